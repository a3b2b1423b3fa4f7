"""
Did the faults take hold, and did they heal? A fault without evidence makes the run unknown.

The completion of a fault carries `{"evidence": {"held": …}}`, that of its healing
`{"evidence": {"healed": …}}`: what was seen from outside. A run whose faults may not have happened
says nothing about the system under faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from dissever.harness.history import Event, History, MalformedHistory, Operation
from dissever.harness.results import Budget, Result, Verdict
from dissever.harness.values import show, show_ns

NOT_FAULTS: Final = frozenset({"recovery"})
"""Processes that are no client and inject nothing; `liveness` judges what they saw."""

REASONS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """The checker. Valid when every fault held and every healing healed, or none was asked for."""

    name: str = "faults"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Look at each completion."""
        try:
            operations = history.faults
        except MalformedHistory as error:
            return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=f"malformed: {error}")
        faults = [each for each in operations if each.process not in NOT_FAULTS]
        doubts = [doubt for each in faults if (doubt := doubt_of(each))]
        details = {"faults": len(faults), "doubts": doubts}
        if doubts:
            why = "; ".join(doubts[:REASONS_MAX])
            more = f"; and {len(doubts) - REASONS_MAX} more" if len(doubts) > REASONS_MAX else ""
            verdict = Verdict.UNKNOWN
            return Result(checker=self.name, verdict=verdict, why=why + more, details=details)
        why = "every fault took hold and healed" if faults else "no faults were asked for"
        return Result(checker=self.name, verdict=Verdict.VALID, why=why, details=details)


def is_healing(f: str) -> bool:
    """Whether a fault operation undoes a fault."""
    return f.startswith(("stop-", "heal", "reset")) or f in ("start", "resume")


def evidence(fault: Operation) -> dict[str, Any]:
    """What was observed, as the completion says; empty without."""
    found = _value(fault).get("evidence")
    return found if isinstance(found, dict) else {}


def _value(fault: Operation) -> dict[str, Any]:
    value = fault.completion.value if fault.completion else None
    return value if isinstance(value, dict) else {}


def doubt_of(fault: Operation) -> str | None:
    """Why a fault operation is not believed, or None."""
    begin = _name(fault)
    if fault.completion is None:
        return f"{begin} never completed"
    found = evidence(fault)
    awaited = _value(fault).get("awaited", {})
    if awaited.get("seen") is False:
        return f"{begin} came too early: {awaited['event']} was not seen{_error(fault.completion)}"
    word = "healed" if "healed" in found else "held"
    if found.get(word) is True:
        return None
    verb = "healed" if is_healing(fault.f) else "took hold"
    return f"{begin} has no evidence that it {verb}{_error(fault.completion)}"


def _name(fault: Operation) -> str:
    return f"{fault.f} ({fault.process}) at {show_ns(fault.invocation.time)}"


def _error(completion: Event) -> str:
    return "" if completion.error is None else f": {show(completion.error)}"
