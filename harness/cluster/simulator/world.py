"""
The time of a simulator as the event loop's own: when no task has anything to do, it goes on there.

What happened in the simulator is handed over as one call of the loop, never from within its wait:
so it comes before every timer of the same moment, and what it raises is raised in the loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from dissever.harness.clock import VirtualLoop
from dissever.harness.cluster import ClusterLost
from dissever.harness.cluster.simulator.answers import Event, Line
from dissever.harness.cluster.simulator.process import SimulatorLost, SimulatorProcess
from dissever.harness.names import numbered
from dissever.harness.trace import Trace

_NUMBERED: Final = re.compile(rb"\bn([0-9]{1,3})\b")

PATIENCE_NS: Final = 600 * 10**9
"""When no timer of ours is set and nothing happens for this virtual time, nothing ever will."""


class SimulatorWorld:
    """
    Implements `World`.

    `lost` says why there is no simulator any more; then only the timers of the loop let time pass.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        process: SimulatorProcess,
        trace: Trace,
        nodes: Sequence[str],
        hear: Callable[[Sequence[Event]], None],
    ) -> None:
        """`hear` is called with what happened; nothing else may read the process's events."""
        self.lost: ClusterLost | None = None
        self._loop = loop
        self._process = process
        self._trace = trace
        self._hear = hear
        self._nodes = None if tuple(nodes) == numbered(len(nodes)) else nodes
        self._begun_ns = loop.now_ns()
        trace.begun_ns = self._begun_ns

    def advance(self, until_ns: int | None) -> int | None:
        now_ns = self._loop.now_ns()
        if self.lost is not None:
            return until_ns
        limit_ns = now_ns + PATIENCE_NS if until_ns is None else until_ns
        try:
            said_ns = self._process.advance(limit_ns - self._begun_ns).time_ns + self._begun_ns
            if not now_ns <= said_ns <= limit_ns:
                raise SimulatorLost(
                    f"the simulator: from {now_ns} ns on it was to go to {limit_ns} ns at most,"
                    f" and it says {said_ns} ns"
                )
            now_ns = said_ns
            events = self.take()
        except ClusterLost as error:
            self.lost = error
            events = self.take()
        if events or self.lost is not None:
            self._loop.call_soon(self._hear, events)
        elif until_ns is None:
            return None
        return now_ns

    def take(self) -> list[Event]:
        """What has happened since the last time, without the lines of the trace: it has them."""
        heard, self._process.heard = self._process.heard, []
        events: list[Event] = []
        for event in heard:
            if not isinstance(event, Line):
                events.append(event)
                continue
            try:
                self._trace.add_text(event.time_ns, self.named(event.text))
            except ValueError as error:
                self.lost = self.lost or SimulatorLost(f"the simulator: its trace: {error}")
        return events

    def named(self, text: bytes) -> bytes:
        """What the simulator says, which calls the nodes n1, n2, …, by the names of the nodes."""
        nodes = self._nodes
        if nodes is None:
            return text

        def name(match: re.Match[bytes]) -> bytes:
            number = int(match[1])
            return nodes[number - 1].encode() if 1 <= number <= len(nodes) else match[0]

        return _NUMBERED.sub(name, text)
