"""
Transactions that read and write registers: which consistency model do they keep?

Each value is written once to its register, so a read tells which transaction it read from. In which
order values were written is not seen. So a transaction reads a register before it writes it: that
shows which value it replaces, unless the isolation is broken. With blind writes the order is
inferred where the data allow it, and more histories stay undecided.

Source: Jepsen, `tests/cycle/wr.clj`; Kingsbury and Alvaro, "Elle", VLDB 2020, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dissever.checkers.transactions import Transactions
from dissever.harness.options import Option
from dissever.harness.plan import Options
from dissever.workloads import transactions
from dissever.workloads.transactions import Reading, TransactionClient
from dissever.workloads.workload import Workload

BLIND_WRITES: Final = "blind-writes"

OPTIONS: Final[Mapping[str, Option]] = {
    **transactions.OPTIONS,
    BLIND_WRITES: Option(
        "whether a transaction may write a register that it has not read; `no`: a read is put"
        " before such a write, and does not count for the length",
        "no",
        choices=("no", "yes"),
    ),
}


def operations(options: Options) -> transactions.Drawn:
    """Endless transactions; in runs that were planned without the option, writes are blind."""
    is_blind = options.workload_options.get(BLIND_WRITES) != "no"
    return transactions.operations(options, transactions.WRITE, is_blind=is_blind)


WORKLOAD = Workload(
    description="transactions over registers: read and write; is a consistency model kept?",
    store=transactions.STORE,
    methods=("begin", "read", "write", "commit", "rollback"),
    whole="transaction",
    operations=operations,
    final=transactions.final,
    keys=transactions.keys_of,
    client=lambda store: TransactionClient(store, Reading.REGISTERS),
    checkers=lambda options: {"transactions": Transactions("wr", transactions.model_of(options))},
    options=OPTIONS,
)
