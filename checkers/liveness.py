"""
Does the system come back? Of a majority that healed, progress is required; of all, convergence.

Each anomaly is proved by what an operation of the recovery saw once faults had healed:
`no-progress` (no write was acknowledged though a majority could talk), `no-recovery` (not every
node serves again), `no-recovery-after-restart` (nor do they when all were restarted), `diverged`
(replicas differ long after the last write) and `diverged-for-good` (they still differ when all
were restarted, so what differs is on their disks). A fault that did not heal excuses everything
after it: then the verdict is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dissever.checkers.run_checker import RunChecker
from dissever.harness.episodes import (
    Actions,
    Episodes,
    Role,
    doubt_of,
    episodes_of,
    is_shown,
    name_of,
)
from dissever.harness.history import History, Operation
from dissever.harness.results import Anomaly, Budget, Result, Verdict
from dissever.harness.values import show, show_ns
from dissever.harness.vocabulary import ANOMALIES, MAJORITY_ONLY, PROGRESS


@dataclass(frozen=True, slots=True)
class Liveness:
    """The checker. Valid when all that was asked for came, or nothing was."""

    actions: Actions = field(default_factory=dict)
    name: str = "liveness"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Look at what the recovery saw."""
        found = episodes_of(history, self.actions)
        missed = [each for each in found.recovery if is_shown(each) is False]
        verdict, why = _verdict(found, missed)
        is_invalid = verdict is Verdict.INVALID
        return Result(
            checker=self.name,
            verdict=verdict,
            why=why,
            anomalies=tuple(_anomaly(each) for each in missed) if is_invalid else (),
            details={
                each.f: each.completion.value if each.completion else None
                for each in found.recovery
            },
        )


def _verdict(found: Episodes, missed: Sequence[Operation]) -> tuple[Verdict, str]:
    if open_ := [each.f for each in found.recovery if each.completion is None]:
        return Verdict.UNKNOWN, f"{open_[0]} never completed"
    if not missed:
        held = [each for each in found.recovery if is_shown(each)]
        took = "; ".join(f"{each.f} took {_waited(each)}" for each in held)
        return Verdict.VALID, took or "nothing was asked for"
    why = _sentence(missed[0])
    excuse = _unhealed(found, missed[0])
    return (Verdict.UNKNOWN, f"{why}, but {excuse}") if excuse else (Verdict.INVALID, why)


def _unhealed(found: Episodes, missed: Operation) -> str | None:
    """
    A fault that the harness had not healed when something was missed, or None.

    Either its last healing went wrong, or nothing healed it. While a majority is asked for
    progress, the rest is cut off on purpose.
    """
    asked = missed.invocation.index
    for each in found.episodes:
        on_purpose = each.fault == MAJORITY_ONLY and missed.f == PROGRESS
        is_over = each.healing is not None and each.healing.invocation.index < asked
        if each.injection.invocation.index < asked and not (on_purpose or is_over):
            return f"{name_of(each.injection)} was not healed by then"
    last = {
        each.process: each
        for each, role in found.faults
        if role is Role.HEAL and each.invocation.index < asked
    }
    return next((doubt for each in last.values() if (doubt := doubt_of(each, Role.HEAL))), None)


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


RUN_CHECKER: Final = RunChecker(
    name="liveness",
    description="a majority that healed makes progress, and in the end all hold the same",
    make=lambda actions, _: Liveness(actions),
)
