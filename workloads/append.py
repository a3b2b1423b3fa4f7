"""
Transactions that read lists and append to them: which consistency model do they keep?

What a list is read as shows in which order values were appended, so nearly every dependency between
transactions can be seen from outside.

Source: Jepsen, `tests/cycle/append.clj`; Kingsbury and Alvaro, "Elle", VLDB 2020, section 4.
"""

from __future__ import annotations

from dissever.checkers.transactions import Transactions
from dissever.workloads import transactions
from dissever.workloads.transactions import Reading, TransactionClient
from dissever.workloads.workload import Workload

WORKLOAD = Workload(
    description="transactions over lists: read and append; is a consistency model kept?",
    store=transactions.STORE,
    methods=("begin", "read_list", "append", "commit", "rollback"),
    whole="transaction",
    operations=lambda options: transactions.operations(options, transactions.APPEND),
    final=transactions.final,
    keys=transactions.keys_of,
    client=lambda store: TransactionClient(store, Reading.LISTS),
    checkers=lambda options: {
        "transactions": Transactions("append", transactions.model_of(options))
    },
    options=transactions.OPTIONS,
)
