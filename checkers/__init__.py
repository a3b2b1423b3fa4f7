"""
Pure functions from a history to a verdict with its reasons: one file per property, and a room for
linearizability.

A checker reads no clock, file or socket. It holds what it needs and is called with a history and a
budget; past the budget it says unknown, and how far it got.
"""

from collections.abc import Mapping

from dissever.checkers.compose import compose
from dissever.checkers.evidence import Evidence
from dissever.checkers.linearizability import Linearizable
from dissever.checkers.linearizability.model import REFUSED, UNKNOWN, Misfit, Model
from dissever.checkers.linearizability.models import CAS_REGISTER, MUTEX, REGISTER, SET, TEXT
from dissever.checkers.liveness import Liveness
from dissever.checkers.log_patterns import LogPatterns, NodeLog
from dissever.checkers.set import GrowOnlySet
from dissever.checkers.stats import Stats

__all__ = [
    "CAS_REGISTER",
    "CHECKERS",
    "MUTEX",
    "REFUSED",
    "REGISTER",
    "SET",
    "TEXT",
    "UNKNOWN",
    "Evidence",
    "GrowOnlySet",
    "Linearizable",
    "Liveness",
    "LogPatterns",
    "Misfit",
    "Model",
    "NodeLog",
    "Stats",
    "compose",
]

CHECKERS: Mapping[str, str] = {
    "linearizable": "each operation takes effect at one instant between its question and answer",
    "set": "every acknowledged element is in the final reads, and nothing that was not asked for",
    "stats": "what was asked and answered, how fast, and how fast the system came back",
    "liveness": "a majority that healed makes progress, and in the end all hold the same",
    "faults": "every fault left evidence that it took hold, and that it healed",
    "logs": "no node's log or exit shows an assertion, a sanitizer report, a crash",
}
