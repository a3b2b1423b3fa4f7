"""
When an attempt on real nodes may end: once what is looked for has shown, or cannot show any more.

The end of a run takes longer than all of the rest where a cluster does not recover: its parts wait
for half a minute each. A recorded failure was complete at some step of that end, or before it. An
attempt needs no step that comes later, because nothing of them counts for the signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from dissever.harness.history import Event, Type
from dissever.harness.runner import Enough
from dissever.harness.vocabulary import ANOMALIES, MAJORITY_ONLY, RECOVERY

__all__ = ["ENDED", "Ending", "Last", "last_of"]

ENDED: Final = "ended early: what comes later makes no difference to what is looked for"
"""Why an attempt ended that needed no more."""

_STEPS: Final = tuple(ANOMALIES)


class Last(msgspec.Struct, frozen=True):
    """
    The last step of a run's end that an attempt needs.

    `step` is the place of that step in `ANOMALIES`, -1 before the first of them. `is_whole`: the
    step itself shows the failure. Otherwise operations of clients that follow it do.
    """

    step: int
    is_whole: bool = False


def last_of(guilty_ns: int | None, events: Sequence[Event]) -> Last | None:
    """
    The last step that a recorded run needed to show its failure; None: all of them.

    Args:
        guilty_ns: When the failure was complete; None: nobody knows.
        events: The history of the run.
    """
    if guilty_ns is None:
        return None
    own = [event for event in events if event.process == RECOVERY and event.time <= guilty_ns]
    begun = [event for event in own if event.type is Type.INVOKE]
    step = _STEPS.index(begun[-1].f) if begun else -1
    return Last(step, any(event.time == guilty_ns for event in own))


class Ending:
    """Implements `Observer`: ends a run after the last step that it needs."""

    def __init__(self, last: Last) -> None:
        self._last = last

    def phase(self, name: str) -> None:
        """Nothing follows from it."""

    def event(self, event: Event) -> None:
        """
        Take in an event.

        Raises:
            Enough: When no more is needed.
        """
        if event.process == MAJORITY_ONLY:
            is_over = self._last.step < 0
        elif event.process != RECOVERY:
            return
        elif event.type is Type.INVOKE:
            is_over = _STEPS.index(event.f) > self._last.step
        else:
            is_over = self._last.is_whole and _STEPS.index(event.f) == self._last.step
        if is_over:
            raise Enough(ENDED)
