"""
The clock of a simulated node, and the timers of its process.

A clock that is turned takes all timers with it: what was due in 100 ms is due in 50 ms on a clock
that goes twice as fast, and at once on a clock that was put forward by more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

RATE_LEAST: Final = 0.01


class NodeClock:
    """What a node takes for the time, in seconds; it may go ahead, behind, fast or slow."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self._shown_s = 0.0
        self.rate = 1.0

    def now_s(self, time_s: float) -> float:
        """What it shows at a time."""
        return self._shown_s + (time_s - self._since_s) * self.rate

    def time_s(self, shown_s: float) -> float:
        """When it shows that."""
        return self._since_s + (shown_s - self._shown_s) / self.rate

    def turn(self, time_s: float, offset_s: float, rate: float) -> None:
        """
        From that time on show so much more than the time, and go at that rate.

        Raises:
            ValueError: For a rate at which it would stand still or go back.
        """
        if not rate >= RATE_LEAST:
            raise ValueError(f"expected a rate of at least {RATE_LEAST:g}, got {rate:g}")
        self._since_s, self._shown_s, self.rate = time_s, time_s + offset_s, rate


class Timer:
    """Something that happens once when a node's clock shows `due_s`, unless it is cancelled."""

    __slots__ = ("_clock", "_fire", "_handle", "due_s")

    def __init__(self, clock: NodeClock, due_s: float, fire: Callable[[Timer], None]) -> None:
        self._clock = clock
        self._fire = fire
        self.due_s = due_s
        self._handle: asyncio.TimerHandle | None = None
        self.arm()

    def arm(self) -> None:
        """Set it again, since its clock was turned."""
        self.cancel()
        loop = asyncio.get_running_loop()
        self._handle = loop.call_at(self._clock.time_s(self.due_s), self._fire, self)

    def cancel(self) -> None:
        """It does not happen."""
        if self._handle is not None:
            self._handle.cancel()
