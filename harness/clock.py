"""
Time: the monotonic clock of a real run, and an event loop whose time jumps for a simulated one.

On the virtual loop nothing waits: when no task is ready the clock jumps to the next timer. A run of
30 s takes as long as its computations, and the same seed gives the same history to the byte.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

JUMPS_PER_LOOK = 64
"""How often the virtual clock jumps between two looks at files; signals arrive by one."""


class NothingWillHappen(RuntimeError):
    """On the virtual clock every task waits and no timer is set: a real run would hang."""


class World(Protocol):
    """Something outside of the event loop that lives on its clock, such as a simulator."""

    def advance(self, until_ns: int | None) -> int | None:
        """
        Let time pass until something happens for the loop, or until that time; None: without end.

        What happened is handed over by the loop's own means, such as futures.

        Returns:
            The time then, in ns; None when nothing will ever happen.
        """


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a clock that starts at 0 and jumps to the next timer."""

    def __init__(self) -> None:
        self._now_ns = 0
        self.world: World | None = None
        """What else lives on this clock."""
        self._selects = _JumpingSelector(self)
        super().__init__(self._selects)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now_ns / 1e9

    def now_ns(self) -> int:
        """The virtual time in ns."""
        return self._now_ns

    @property
    def wake_up(self) -> int:
        """The file that becomes readable when a signal or another thread has work for the loop."""
        (only,) = self._selects.get_map().values()
        return only.fd

    def jump(self, duration_s: float | None) -> None:
        """
        Let time pass: so much, or until something happens.

        Raises:
            NothingWillHappen: Without a duration, when nothing is to come.
        """
        until_ns = None if duration_s is None else self._now_ns + math.ceil(duration_s * 1e9)
        if self.world is not None:
            until_ns = self.world.advance(until_ns)
        if until_ns is None:
            raise NothingWillHappen("every task waits and no timer is set")
        self._now_ns = until_ns


class _JumpingSelector(selectors.SelectSelector):
    """Lets the clock jump instead of waiting; files that are ready come first."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._jumps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # The only file of a simulation is the loop's own wake-up pipe, and that can wait: a system
        # call per step would be most of a run's time.
        if timeout is not None and timeout <= 0:
            return []
        self._jumps += 1
        if timeout is None or self._jumps % JUMPS_PER_LOOK == 0:
            ready = super().select(0)
            if ready:
                return ready
        self._loop.jump(timeout)
        return []


def clock_ns() -> Callable[[], int]:
    """The clock of the running loop, in ns from any origin; it never goes back."""
    loop = asyncio.get_running_loop()
    return loop.now_ns if isinstance(loop, VirtualLoop) else time.monotonic_ns


def run(main: Coroutine[Any, Any, T], *, is_virtual: bool) -> T:
    """Run a coroutine to its end, on the real clock or on a virtual one of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop if is_virtual else None) as runner:
        return runner.run(main)
