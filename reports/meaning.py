"""
What an invalid run means and what it does not, by the kinds of its anomalies.

A sentence must be true of the run: answers that cannot be are one kind of failure, and a process
that ended by itself is another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from dissever.harness.results import Results, Verdict
from dissever.reports.overview import Overview
from dissever.reports.prose import ANOMALIES, DOES_NOT_MEAN, MEANS, ORDERS
from dissever.reports.told import told

_FAULTS: Final = "faults"
"""The checker that says whether the faults took hold and healed."""

_DIVERGED: Final = frozenset({"diverged", "diverged-for-good"})


class Family(Enum):
    """What an anomaly is about. The order is that of `by_cause`."""

    CRASH = "crash"
    LOGS = "logs"
    INVARIANTS = "invariants"
    ANSWERS = "answers"
    STUCK = "stuck"
    REPLICAS = "replicas"


_OF_CHECKERS: Final = {
    "nodes": Family.CRASH,
    "logs": Family.LOGS,
    "invariants": Family.INVARIANTS,
    "liveness": Family.STUCK,
}
"""The anomalies of all other checkers are answers."""

_MEANS: Final = {
    Family.CRASH: (
        "A node's process ended by itself: the harness did not ask for that, and no fault explains "
        "it."
    ),
    Family.LOGS: "A node wrote to its log what no healthy node writes.",
    Family.INVARIANTS: (
        "The simulation looked into the servers and saw a rule broken that must always hold."
    ),
    Family.ANSWERS: (
        "No correct system can have given these answers. The history is the counterexample, "
        "whatever the cause."
    ),
    Family.STUCK: "All faults had healed, and the system did not come back in the time it had.",
    Family.REPLICAS: (
        "All faults had healed and no client wrote any more, and the replicas still held different "
        "data."
    ),
}

_CLAUSES: Final = {
    Family.CRASH: "a node's process ended by itself",
    Family.LOGS: "a log has a line that no healthy node writes",
    Family.INVARIANTS: "an invariant was broken inside the servers",
    Family.ANSWERS: "clients got answers that no correct system can give",
    Family.STUCK: "the system did not come back once all faults had healed",
    Family.REPLICAS: "replicas held different data in the end",
}

_NOT: Final = {
    Family.CRASH: (
        "It does not say why the process ended, nor that an answer was wrong. The end itself and "
        "the last lines of its log are the evidence."
    ),
    Family.LOGS: (
        "It does not say that an answer was wrong, nor why the node wrote this. The lines are the "
        "evidence."
    ),
    Family.INVARIANTS: (
        "It does not say that a client noticed. What the simulation saw is the evidence."
    ),
    Family.ANSWERS: DOES_NOT_MEAN[Verdict.INVALID],
    Family.STUCK: (
        "It does not say that an answer was wrong, nor that the system would never have come back: "
        "the harness waited for a limited time."
    ),
    Family.REPLICAS: (
        "It does not say which replica is right, nor that a client got a wrong answer."
    ),
}

_NOT_MIXED: Final = (
    "It does not say that one of these caused another, nor which part of the system is at fault."
)


def family_of(checker: str, name: str) -> Family:
    """What an anomaly of this name, found by this checker, is about."""
    family = _OF_CHECKERS.get(checker, Family.ANSWERS)
    return Family.REPLICAS if family is Family.STUCK and name in _DIVERGED else family


def meaning_of_name(name: str) -> str:
    """What the name of an anomaly means; nothing if it is unknown."""
    plain, _, order = name.rpartition("-")
    if order not in ORDERS:
        return ANOMALIES.get(name, "")
    return f"{ANOMALIES.get(plain, '')} {ORDERS[order]}".strip()


def means(results: Results) -> str:
    """One sentence, or two, that are true of what was found."""
    found = _of_results(results)
    if not found:
        return MEANS[results.verdict]
    if len(found) == 1:
        return _MEANS[found[0]]
    *most, last = (_CLAUSES[family] for family in found)
    return f"Several things went wrong: {', '.join(most)}, and {last}."


def does_not_mean(results: Results) -> str:
    """What nobody may conclude from it."""
    return _no_meaning(results.verdict, _of_results(results))


def doubts_mean(results: Results) -> str:
    """What it means for the verdict that too little is known of faults; empty when enough is."""
    faults = next((each for each in results.results if each.checker == _FAULTS), None)
    if faults is None or faults.verdict is not Verdict.UNKNOWN:
        return ""
    if results.verdict is Verdict.INVALID:
        return "That does not change the verdict: what was found counts, whatever the faults did."
    return "Therefore the verdict is unknown: the run may not show the system under these faults."


def no_meaning_of(runs: Overview) -> str:
    """What nobody may conclude from several runs."""
    pairs = [(each.checker, each.name, each.verdict) for run in runs.runs for each in run.findings]
    return _no_meaning(runs.verdict, _ordered(pairs))


def _no_meaning(verdict: Verdict, found: Sequence[Family]) -> str:
    if not found:
        return DOES_NOT_MEAN[verdict]
    return _NOT[found[0]] if len(found) == 1 else _NOT_MIXED


def _of_results(results: Results) -> list[Family]:
    return _ordered(
        (result.checker, anomaly.name, result.verdict) for result, anomaly in told(results)
    )


def _ordered(named: Iterable[tuple[str, str, Verdict]]) -> list[Family]:
    """The families of invalid anomalies: each a checker, a name and a verdict."""
    found = {
        family_of(checker, name) for checker, name, verdict in named if verdict is Verdict.INVALID
    }
    return [family for family in Family if family in found]
