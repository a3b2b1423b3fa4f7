"""
Invariants that a simulation looked at after each event: what was broken, by name, node and time.

The clients of a run see a broken invariant only if an answer depends on it. A simulation sees all
servers at once, so it finds the step that was wrong. Only a run that looked is judged by it.

Source: Ongaro's thesis, figure 3.2, has the first four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers.run_checker import Remains, RunChecker, Violation
from dissever.harness.episodes import Actions
from dissever.harness.history import History
from dissever.harness.results import Anomaly, Budget, Checker, Result, Step, Verdict
from dissever.harness.values import show_ns

__all__ = ["INVARIANTS", "RUN_CHECKER", "Invariants"]

INVARIANTS: Final[Mapping[str, str]] = {
    "election-safety": "at most one leader is elected in a term",
    "log-matching": "two logs that hold an entry of the same index and term are equal up to it",
    "leader-completeness": "a leader holds every entry that was committed before its term",
    "state-machine-safety": "all servers apply the same entry at an index",
    "two-changes": "a leader begins no change of the members before the last one is committed",
    "earlier-term-committed": "a leader commits by counting copies of its own term's entries alone",
    "durability": "what was acknowledged is durable on a majority of the configuration in force",
    "commit-goes-back": "the commit index of a server that runs never goes back",
    "term-not-stored": "the term on a server's disk is the one that it acts by",
    "vote-not-stored": "the vote on a server's disk is the one that it has given",
    "stored-index": "a server counts only those of its entries as durable that are on its disk",
    "snapshot-differs": "a snapshot that is restored holds what was applied up to its index",
    "memory-safety": "a server frees only memory that it has, and only once",
    "send-to-nobody": "a server sends messages to members alone",
}
"""What each invariant asks. A simulation may know others."""

SHOWN_MAX: Final = 20
"""How many violations are anomalies of their own; all are counted."""


@dataclass(frozen=True, slots=True)
class Invariants:
    """The checker. Invalid as soon as one was broken."""

    violations: Sequence[Violation]
    name: str = "invariants"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Look at each violation once."""
        ordered = sorted(self.violations, key=lambda each: each.time_ns)
        anomalies = tuple(_anomaly(each) for each in ordered[:SHOWN_MAX])
        count = len(ordered)
        if anomalies:
            more = f"; {count - 1} more" if count > 1 else ""
            why = f"{anomalies[0].summary}{more}"
        else:
            why = "no invariant was broken after any event of the simulation"
        return Result(
            checker=self.name,
            verdict=Verdict.INVALID if anomalies else Verdict.VALID,
            why=why,
            anomalies=anomalies,
            details={
                "violations": count,
                "moments": [
                    {"node": each.node, "time_ns": each.time_ns} for each in ordered[:SHOWN_MAX]
                ],
            },
        )


def _anomaly(violation: Violation) -> Anomaly:
    where = "" if violation.node is None else f" on {violation.node}"
    when = show_ns(violation.time_ns)
    summary = f"{violation.name}{where} at {when}: {violation.text}"
    steps = [Step(f"{violation.text}{where}, at {when}")]
    if asked := INVARIANTS.get(violation.name):
        steps.append(Step(f"the invariant is: {asked}"))
    return Anomaly(name=violation.name, summary=summary, indices=(), steps=tuple(steps))


def _make(_: Actions, remains: Remains) -> Checker:
    return Invariants(remains.violations or ())


RUN_CHECKER: Final = RunChecker(
    name="invariants",
    description="in a simulation, no invariant of consensus was broken after any event",
    make=_make,
    applies=lambda remains: remains.violations is not None,
)
