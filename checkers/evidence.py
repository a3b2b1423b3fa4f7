"""
Did the faults take hold, and did they heal? A fault without evidence makes the run unknown.

The completion of an injection carries `{"evidence": {"held": …}}`, that of a healing
`{"evidence": {"healed": …}}`: what was seen from outside. A run whose faults may not have happened
says nothing about the system under faults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from dissever.checkers.run_checker import RunChecker
from dissever.harness.episodes import Actions, doubt_of, episodes_of
from dissever.harness.history import History
from dissever.harness.results import Budget, Result, Verdict

REASONS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """The checker. Valid when every fault held and every healing healed, or none was asked for."""

    actions: Actions = field(default_factory=dict)
    name: str = "faults"

    def __call__(self, history: History, budget: Budget) -> Result:
        """Look at each completion."""
        found = episodes_of(history, self.actions)
        doubts = [doubt for each, role in found.faults if (doubt := doubt_of(each, role))]
        verdict = Verdict.UNKNOWN if doubts else Verdict.VALID
        why = "every fault took hold and healed" if found.faults else "no faults were asked for"
        if doubts:
            more = [f"and {len(doubts) - REASONS_MAX} more"] if len(doubts) > REASONS_MAX else []
            why = "; ".join((*doubts[:REASONS_MAX], *more))
        details = {"faults": len(found.faults), "doubts": doubts}
        return Result(checker=self.name, verdict=verdict, why=why, details=details)


RUN_CHECKER: Final = RunChecker(
    name="faults",
    description="every fault left evidence that it took hold, and that it healed",
    make=lambda actions, _: Evidence(actions),
)
