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
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from heapq import heappop, heappush
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

JUMPS_PER_LOOK = 64
"""How often the virtual clock jumps between two looks at files; signals arrive by one."""


_RESOLUTION_S: Final = 1e-9
"""Timers so close to the time now are due."""


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
    """
    An event loop on a clock that starts at 0 and jumps to the next timer.

    Its turns are asyncio's own without what costs most of a simulated run: files that are looked at
    in every turn, and timers that compare each other. Timers of one time come in the order in which
    they were set.
    """

    _ready: deque[asyncio.Handle]
    _stopping: bool
    _selector: selectors.BaseSelector
    """Of asyncio's loop."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._set = 0
        """How many timers were set so far."""

        self._jumps = 0
        self.world: World | None = None
        """What else lives on this clock."""
        super().__init__(selectors.SelectSelector())

    def time(self) -> float:
        return self._now_ns / 1e9

    def now_ns(self) -> int:
        """The virtual time in ns."""
        return self._now_ns

    @property
    def wake_up(self) -> int:
        """The file that becomes readable when a signal or another thread has work for the loop."""
        (only,) = self._selector.get_map().values()
        return only.fd

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_ns / 1e9 + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._set += 1
        heappush(self._timers, (when, self._set, timer))
        return timer

    def _run_once(self) -> None:
        """A turn: let time pass if nobody is ready, then run everybody who is."""
        ready, timers = self._ready, self._timers
        while timers and timers[0][2].cancelled():
            heappop(timers)
        if not ready and not self._stopping:
            self._wait(timers[0][0] if timers else None)
        due = self._now_ns / 1e9 + _RESOLUTION_S
        while timers and timers[0][0] < due:
            ready.append(heappop(timers)[2])
        for _ in range(len(ready)):  # What they make ready waits for the next turn.
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _wait(self, until_s: float | None) -> None:
        """Let time pass until a timer, if there is one; files that are ready come first."""
        duration_s = None if until_s is None else until_s - self._now_ns / 1e9
        if duration_s is not None and duration_s <= 0:
            return
        # The only file of a simulation is the loop's own wake-up pipe, and that can wait: a system
        # call per step would be most of a run's time.
        self._jumps += 1
        if duration_s is None or self._jumps % JUMPS_PER_LOOK == 0:
            files = self._selector.select(0)
            if files:
                self._process_events(files)  # type: ignore[attr-defined]  # Of asyncio's loop.
                return
        self.jump(duration_s)

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


def timer_s(wait_ns: float) -> float:
    """
    Return the seconds for a timer that comes after `wait_ns`, on the virtual clock at the very ns.

    That clock takes the next whole ns, and seconds as a float may exceed one by a little: half a ns
    is taken off. So operations and faults of a run that is repeated come when they came.
    """
    return max(0.0, (wait_ns - 0.5) / 1e9)


def clock_ns() -> Callable[[], int]:
    """The clock of the running loop, in ns from any origin; it never goes back."""
    loop = asyncio.get_running_loop()
    return loop.now_ns if isinstance(loop, VirtualLoop) else time.monotonic_ns


def run(main: Coroutine[Any, Any, T], *, is_virtual: bool) -> T:
    """Run a coroutine to its end, on the real clock or on a virtual one of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop if is_virtual else None) as runner:
        return runner.run(main)
