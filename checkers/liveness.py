"""
Does the system come back? Of a majority that healed, progress is required; of all, convergence.

Five anomalies, each proved by what the process `recovery` saw once faults had healed:
`no-progress` (no write was acknowledged though a majority could talk), `no-recovery` (not every
node serves again), `no-recovery-after-restart` (not even when all were started anew), `diverged`
(replicas differ long after the last write) and `diverged-for-good` (also when all were started
anew: so it is not in memory alone). A fault that did not heal excuses everything after it: then the
verdict is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from dissever.checkers.evidence import doubt_of, evidence, is_healing
from dissever.harness.history import History, MalformedHistory, Operation
from dissever.harness.results import Anomaly, Budget, Result, Verdict
from dissever.harness.values import show, show_ns

RECOVERY: Final = "recovery"

ANOMALIES: Final = {
    "await-progress": "no-progress",
    "await-ready": "no-recovery",
    "restart-all": "no-recovery-after-restart",
    "compare-replicas": "diverged",
    "restart-to-compare": "no-recovery-after-restart",
    "compare-after-restart": "diverged-for-good",
}
"""What the recovery asked -> the anomaly when it did not come."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """The checker. Valid when all that was asked for came, or nothing was."""

    name: str = "liveness"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Look at what the recovery saw."""
        try:
            operations = history.faults
        except MalformedHistory as error:
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=f"malformed: {error}")
        asked = [each for each in operations if each.process == RECOVERY]
        details = {each.f: _seen(each) for each in asked}
        if open_ := [each.f for each in asked if each.completion is None]:
            why = f"{open_[0]} never completed"
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=why, details=details)
        missed = [each for each in asked if evidence(each).get("held") is False]
        if not missed:
            return Result(
                checker=self.name, verdict=Verdict.VALID, why=_praise(asked), details=details
            )
        excuse = _unhealed(operations, missed[0])
        if excuse is not None:
            why = f"{_sentence(missed[0])}, but {excuse}"
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=why, details=details)
        return Result(
            checker=self.name,
            verdict=Verdict.INVALID,
            why=_sentence(missed[0]),
            anomalies=tuple(_anomaly(each) for each in missed),
            details=details,
        )


def _unhealed(operations: tuple[Operation, ...], missed: Operation) -> str | None:
    """The last healing of a fault that went wrong before something was missed."""
    last: dict[Any, Operation] = {}
    for each in operations:
        if each.process == RECOVERY or each.invocation.index > missed.invocation.index:
            continue
        if is_healing(each.f):
            last[each.process] = each
    doubts = [doubt for each in last.values() if (doubt := doubt_of(each))]
    return doubts[0] if doubts else None


def _seen(operation: Operation) -> Any:
    return operation.completion.value if operation.completion else None


def _praise(asked: list[Operation]) -> str:
    told = [f"{each.f} took {_waited(each)}" for each in asked if evidence(each).get("held")]
    return "; ".join(told) or "nothing was asked for"


def _waited(operation: Operation) -> str:
    assert operation.completion is not None
    return show_ns(operation.completion.time - operation.invocation.time)


def _sentence(operation: Operation) -> str:
    assert operation.completion is not None
    begin = f"{operation.f} at {show_ns(operation.invocation.time)} saw nothing for"
    return f"{begin} {_waited(operation)}: {show(operation.completion.error)}"


def _anomaly(operation: Operation) -> Anomaly:
    return Anomaly(
        name=ANOMALIES.get(operation.f, operation.f),
        summary=_sentence(operation),
        indices=operation.indices,
    )
