"""
Transactions that read and write registers: which consistency model do they keep?

Each value is written once to its register, so a read tells which transaction it read from. In which
order values were written is not seen, and is inferred where the data allow it.

Source: Jepsen, `tests/cycle/wr.clj`; Kingsbury and Alvaro, "Elle", VLDB 2020, section 5.
"""

from __future__ import annotations

from dissever.checkers.transactions import Transactions
from dissever.workloads import transactions
from dissever.workloads.transactions import Reading, TransactionClient
from dissever.workloads.workload import Workload

WORKLOAD = Workload(
    description="transactions over registers: read and write; is a consistency model kept?",
    store=transactions.STORE,
    methods=("begin", "read", "write", "commit", "rollback"),
    whole="transaction",
    operations=lambda options: transactions.operations(options, transactions.WRITE),
    final=transactions.final,
    keys=transactions.keys_of,
    client=lambda store: TransactionClient(store, Reading.REGISTERS),
    checkers=lambda options: {
        "transactions": Transactions("wr", transactions.chosen(options, "consistency-model"))
    },
    options=transactions.OPTIONS,
)
