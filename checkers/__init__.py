"""
Pure functions from a history to a verdict with its reasons: one file per property, and a room for
linearizability.

A checker reads no clock, file or socket. It holds what it needs and is called with a history and a
budget; past the budget it says unknown, and how far it got.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from dissever.checkers.bank import Bank
from dissever.checkers.compose import compose
from dissever.checkers.evidence import Evidence
from dissever.checkers.invariants import INVARIANTS, Invariants
from dissever.checkers.linearizability import Linearizable
from dissever.checkers.linearizability.model import REFUSED, UNKNOWN, Misfit, Model
from dissever.checkers.linearizability.models import CAS_REGISTER, MUTEX, REGISTER, SET, TEXT
from dissever.checkers.liveness import Liveness
from dissever.checkers.log_patterns import LogPatterns
from dissever.checkers.node_ends import NodeEnds
from dissever.checkers.run_checker import (
    Lines,
    NodeEnd,
    NodeLog,
    Remains,
    RunChecker,
    Searchable,
    Violation,
)
from dissever.checkers.set import GrowOnlySet
from dissever.checkers.stats import Stats
from dissever.checkers.transactions import Transactions

__all__ = [
    "CAS_REGISTER",
    "EVERY_RUN",
    "INVARIANTS",
    "MUTEX",
    "OF_WORKLOADS",
    "REFUSED",
    "REGISTER",
    "SET",
    "TEXT",
    "UNKNOWN",
    "Bank",
    "Evidence",
    "GrowOnlySet",
    "Invariants",
    "Linearizable",
    "Lines",
    "Liveness",
    "LogPatterns",
    "Misfit",
    "Model",
    "NodeEnd",
    "NodeEnds",
    "NodeLog",
    "Remains",
    "RunChecker",
    "Searchable",
    "Stats",
    "Transactions",
    "Violation",
    "compose",
]

FILES: Final = ("liveness", "stats", "evidence", "log_patterns", "node_ends", "invariants")
"""A new checker of every run is a file, and its name here. A workload names its own checkers."""

_EVERY: Final = (import_module(f"{__name__}.{file}").RUN_CHECKER for file in FILES)

EVERY_RUN: Final[Mapping[str, RunChecker]] = {each.name: each for each in _EVERY}
"""The checkers that judge every run, by the name of their result."""

OF_WORKLOADS: Final[Mapping[str, str]] = {
    "linearizable": "each operation takes effect at one instant between its question and answer",
    "set": "every read holds what was acknowledged before it, and nothing that was not asked for",
    "transactions": "an order of all transactions explains what each read, as a model asks for",
    "bank": "every read of all accounts adds up to the same total",
    "rows": "an order of all transactions explains also what selects by a predicate did not find",
}
"""The checkers that workloads use, with one line on each."""
