"""
Interleavings of few transactions that tell levels of isolation apart, each with its anomaly.

A line is one step: which transaction, what it does, and with what. Rows 1 and 2 hold 10 and 20
before. A transaction begins with its first step. A step that waits for a lock is tried again after
each step of the others; what its transaction has to do meanwhile waits with it.

Source: the cases of M. Kleppmann's "Hermitage" (github.com/ept/hermitage), told here in our own
steps; P. Bailis and others, "Highly Available Transactions", 2013, for OTV and PMP.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """`names` are those of its anomaly: where the level permits it, one of them is found."""

    name: str
    names: tuple[str, ...]
    steps: str


CASES = {
    case.name: case
    for case in (
        Case(
            "G0",
            ("G0",),
            """
            1 update 1 11
            2 update 1 12
            2 update 2 22
            1 update 2 21
            1 commit
            2 commit
            """,
        ),
        Case(
            "G1a",
            ("G1a",),
            """
            1 update 1 101
            2 get 1
            1 rollback
            2 get 1
            2 commit
            """,
        ),
        Case(
            "G1b",
            ("G1b",),
            """
            1 update 1 101
            2 get 1
            1 update 1 11
            1 commit
            2 get 1
            2 commit
            """,
        ),
        Case(
            "G1c",
            ("G1c",),
            """
            1 update 1 11
            2 update 2 22
            1 get 2
            2 get 1
            1 commit
            2 commit
            """,
        ),
        Case(
            "OTV",  # An observed transaction vanishes.
            ("G-monotonic",),
            """
            1 update 1 11
            1 update 2 19
            2 update 1 12
            1 commit
            3 get 1
            2 update 2 18
            3 get 2
            2 commit
            3 get 2
            3 get 1
            3 commit
            """,
        ),
        Case(
            "PMP",  # A predicate has many preceders.
            ("G-single-predicate",),
            """
            1 select 30 0
            2 insert 3 30
            2 commit
            1 select 3 0
            1 commit
            """,
        ),
        Case(
            "P4",  # A lost update.
            ("lost-update",),
            """
            1 get 1
            2 get 1
            1 update 1 11
            2 update 1 12
            1 commit
            2 commit
            """,
        ),
        Case(
            "G-single",  # Read skew.
            ("G-single",),
            """
            1 get 1
            2 get 1
            2 get 2
            2 update 1 12
            2 update 2 18
            2 commit
            1 get 2
            1 commit
            """,
        ),
        Case(
            "G-single-predicate",  # The row was missed before it was changed, and is found after.
            ("G-single-predicate", "G-single"),
            """
            1 select 3 0
            2 update 1 12
            2 commit
            1 select 3 0
            1 commit
            """,
        ),
        Case(
            "G2-item",  # Write skew.
            ("write-skew", "G2-item"),
            """
            1 get 1
            1 get 2
            2 get 1
            2 get 2
            1 update 1 11
            2 update 2 21
            1 commit
            2 commit
            """,
        ),
        Case(
            "G2",  # Write skew by predicate.
            ("G2",),
            """
            1 select 3 0
            2 select 3 0
            1 insert 3 30
            2 insert 4 42
            1 commit
            2 commit
            """,
        ),
        Case(
            "read-only",  # Only the one that changes nothing shows that the others were skewed.
            ("G2-item",),
            """
            1 select 1 0
            2 update 2 25
            2 commit
            3 select 1 0
            3 commit
            1 update 1 0
            1 commit
            """,
        ),
    )
}

DIRTY = frozenset({"G1a", "G1b", "G1c"})
UNREPEATABLE = frozenset(
    {"PMP", "P4", "G-single", "G-single-predicate", "G2-item", "G2", "read-only"}
)
SKEWED = frozenset({"G2-item", "G2", "read-only"})

LEVELS = {
    "simulated dirty-write": ("", frozenset(CASES) - {"OTV"}),
    "simulated read-uncommitted": ("read-uncommitted", UNREPEATABLE | DIRTY),
    "simulated read-committed": ("read-committed", UNREPEATABLE),
    "simulated prefix": ("causal-cerone", SKEWED | {"P4"}),
    "simulated snapshot": ("snapshot-isolation", SKEWED),
    "simulated repeatable-read": (
        "repeatable-read",
        frozenset({"PMP", "G-single-predicate", "G2"}),
    ),
    "simulated serializable": ("serializable", frozenset()),
    "postgres read-committed": ("read-committed", UNREPEATABLE),
    "postgres repeatable-read": ("snapshot-isolation", SKEWED),
    "postgres serializable": ("serializable", frozenset()),
    "sqlite": ("serializable", frozenset()),
    "sqlite wal": ("serializable", frozenset()),
    "sqlite read-uncommitted": ("read-uncommitted", UNREPEATABLE | {"G1a", "G1b"}),
}
"""Database and level -> the model that it keeps, and the cases that show their anomaly there."""
