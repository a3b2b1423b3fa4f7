"""
Set the clocks of nodes wrong while they run: a jump, a strobe, a drift; then set them right.

Only nodes have wrong clocks, never the machine: each node's processes take the time from a library
that adds an offset to it. A drift is the offset moved every few ms, so whoever looks at that clock
sees the same. The `monotonic-` faults move the monotonic clock as well, and only forwards, or it
would be none; where one of them is in a plan, the `clock-` faults move both.

Evidence: what a process under that clock takes for the time, against the machine's, and that the
node's own processes still have that library loaded.

Source: Jepsen, `nemesis/time.clj`, for the kinds and their sizes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from dissever.harness.client import Completion, Invocation, Missing
from dissever.harness.cluster import Cluster, NodeClock
from dissever.nemesis import host_scripts, processes
from dissever.nemesis.clock_turns import CLOCK_DRAWS, Turn, turn_of
from dissever.nemesis.processes import Seen
from dissever.nemesis.sights import Insight, Sights

__all__ = ["ClockFault"]

log = logging.getLogger(__name__)

STEP_S = 0.01
"""A drifting clock is moved so often."""

READS = 12
SLACK_MS = 5.0
"""What a reading may be off beside its own error, when the machine is busy."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was seen of a clock: offsets in ms, when in s, each within so much."""

    at_s: tuple[float, ...]
    offset_ms: tuple[float, ...]
    within_ms: float
    processes: tuple[bool, ...]

    @property
    def error_ms(self) -> float:
        """How far an offset may be off."""
        return self.within_ms + SLACK_MS

    @property
    def is_worn(self) -> bool:
        """Whether the node has processes, and all of them go by that clock."""
        return bool(self.processes) and all(self.processes)

    def as_json(self) -> dict[str, Any]:
        """What the history keeps."""
        first, last = self.offset_ms[0], self.offset_ms[-1]
        least, most = min(self.offset_ms), max(self.offset_ms)
        shown = {"first": first, "last": last, "least": least, "most": most}
        return {
            "offset_ms": {name: round(value, 3) for name, value in shown.items()},
            "within_ms": round(self.within_ms, 3),
            "processes": len(self.processes),
        }


class ClockFault:
    """`start-…` sets clocks wrong, `stop-…` those right that it set wrong."""

    def __init__(
        self, cluster: Cluster, wrong: dict[str, str], *, name: str, insight: Insight
    ) -> None:
        """
        Make one of the clock faults.

        Args:
            wrong: Node -> the fault that has set its clock wrong; shared by all that do.
            insight: Who can say whom a target means.
        """
        self._wrong = wrong
        self._cluster = cluster
        self._name = name
        self._turn = turn_of(name)
        settings = CLOCK_DRAWS[name](Random(f"{insight.seed}/{name}"))
        self._sights = Sights(cluster, fault=name, insight=insight, settings=settings)
        self._turning: dict[str, asyncio.Task[None]] = {}
        """Node -> what keeps turning its clock, where it must be kept up."""

    def probe(self, cluster: Cluster) -> Missing | None:
        """Nodes must have been started under a clock of their own."""
        try:
            if all(cluster.clock(node) is not None for node in cluster.nodes):
                return None
        except FileNotFoundError as error:
            return Missing(str(error.strerror), "apt-get install libfaketime")
        return Missing("the nodes have no clocks of their own", "name it among the run's faults")

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Set wrong or right.

        Raises:
            ValueError: For another `f`, or a value that means nothing.
        """
        if invocation.f == f"start-{self._name}":
            sight = await self._sights.take(invocation, self._wrong)
            self._wrong.update(dict.fromkeys(sight.targets, self._name))
            strikes = (self._strike(node, sight.settings) for node in sight.targets)
            seen = await asyncio.gather(*strikes)
            notes = {**sight.notes, **sight.settings}
            return processes.struck(invocation, sight.spec, notes, seen)
        if invocation.f == f"stop-{self._name}":
            nodes = self._own()
            return processes.healed(
                invocation, await asyncio.gather(*(self._mend(node) for node in nodes))
            )
        raise ValueError(f"expected start- or stop-{self._name}, got {invocation.f!r}")

    async def heal(self) -> None:
        """Set every clock right."""
        await asyncio.gather(*(self._set_right(node) for node in self._own()))

    def _own(self) -> list[str]:
        return [node for node in self._cluster.nodes if self._wrong.get(node) == self._name]

    async def _strike(self, node: str, settings: Mapping[str, Any]) -> Seen:
        match self._turn:
            case Turn.JUMP:
                await self._set(node, settings["offset_s"])
                reading = await self._read(node)
                wanted_ms = settings["offset_s"] * 1000
                is_so = abs(reading.offset_ms[-1] - wanted_ms) <= reading.error_ms
            case Turn.STROBE:
                offset_s, period_s = settings["offset_s"], settings["period_s"]
                self._keep_up(node, period_s, offset_s)
                reading = await self._read(node, READS, 2.3 * period_s / READS)
                width_ms = max(reading.offset_ms) - min(reading.offset_ms)
                is_so = abs(width_ms - abs(offset_s) * 1000) <= 2 * reading.error_ms
            case Turn.DRIFT:
                rate = settings["rate"]
                self._keep_up(node, STEP_S, rate)
                reading = await self._read(node, READS, 0.4 / READS)
                gained_ms = reading.offset_ms[-1] - reading.offset_ms[0]
                passed_ms = (reading.at_s[-1] - reading.at_s[0]) * 1000
                error_ms = 2 * reading.error_ms + abs(rate) * STEP_S * 1000
                is_so = abs(gained_ms - rate * passed_ms) <= error_ms
                is_so = is_so and gained_ms * rate > 0
        return await self._seen(node, is_so and reading.is_worn, reading)

    async def _mend(self, node: str) -> Seen:
        before = await self._read(node)
        await self._set_right(node)
        reading = await self._read(node)
        is_so = abs(reading.offset_ms[-1]) <= reading.error_ms
        return await self._seen(node, is_so, reading, {"before": before.as_json()})

    async def _seen(
        self, node: str, is_so: bool, reading: _Reading, more: Mapping[str, Any] | None = None
    ) -> Seen:
        facts = {"clock": reading.as_json(), **(more or {})}
        return Seen(node, is_so, await self._cluster.status(node), facts)

    async def _set_right(self, node: str) -> None:
        """Whoever keeps turning the clock sees that it was set, and ends; but may set it once."""
        await self._set(node, 0.0)
        if (task := self._turning.pop(node, None)) is not None:
            await asyncio.wait([task], timeout=host_scripts.BURST_S + 1)
            await self._set(node, 0.0)
        self._wrong.pop(node, None)

    def _keep_up(self, node: str, step_s: float, value: float) -> None:
        self._turning[node] = asyncio.ensure_future(self._turn_on(node, step_s, value))

    async def _turn_on(self, node: str, step_s: float, value: float) -> None:
        file, limit_s = self._clock(node).file, host_scripts.BURST_S
        arguments = (file, self._turn.value, limit_s, step_s, value)
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                await host_scripts.run(self._cluster, node, host_scripts.TURN_CLOCK, *arguments)
                if loop.time() - began < limit_s:  # Somebody else has set the clock.
                    return
        except OSError as error:
            log.warning("%s: its clock is not turned any more: %s", node, error)

    async def _set(self, node: str, offset_s: float) -> None:
        file = self._clock(node).file
        arguments = (file, Turn.JUMP.value, 0, 0, offset_s)
        await host_scripts.run(self._cluster, node, host_scripts.TURN_CLOCK, *arguments)

    async def _read(self, node: str, reads: int = 1, gap_s: float = 0.0) -> _Reading:
        environment = host_scripts.environment_arguments(self._clock(node).environment)
        told = await host_scripts.run(
            self._cluster, node, host_scripts.READ_CLOCK, environment, reads, gap_s
        )
        return _Reading(
            tuple(told["at_s"]),
            tuple(told["offset_ms"]),
            told["within_ms"],
            tuple(told["processes"]),
        )

    def _clock(self, node: str) -> NodeClock:
        clock = self._cluster.clock(node)
        assert clock is not None, "the probe has seen it"
        return clock
