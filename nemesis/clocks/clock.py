"""
Set the clocks of nodes wrong while they run: a jump, a strobe, a drift; then set them right.

Only nodes have wrong clocks, never the machine: each node's processes take the time from a library
that adds an offset to it. A drift is the offset moved every few ms, so whoever looks at that clock
sees the same. The `monotonic-` faults move the monotonic clock as well, and only forwards, or it
would be none: they heal by starting nodes anew, hence count as taking them down, and no plan has
them together with the `clock-` faults, which go to and fro.

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

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster, NodeClock
from dissever.harness.missing import Missing
from dissever.nemesis import host_scripts
from dissever.nemesis.clocks.turns import CLOCK_DRAWS, MONOTONIC, Turn, turn_of
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.down import Down
from dissever.nemesis.nodes.processes import Seen
from dissever.nemesis.sights import Insight, Sights

__all__ = ["ClockFault"]

log = logging.getLogger(__name__)

SETTLE_S = 0.1

STEP_S = 0.01
"""A drifting clock is moved so often."""

HOLD_LIMIT_S = 5.0
"""A clock has so long to be seen wrong: what turns it must come up first."""

READS = 12
DRIFT_SEEN_S = 0.4
"""The readings of a drifting clock are spread over so long."""

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
        self, cluster: Cluster, wrong: dict[str, str], down: Down, *, name: str, insight: Insight
    ) -> None:
        """
        Make one of the clock faults.

        Args:
            wrong: Node -> the fault that has set its clock wrong; shared by all that do.
            down: The ledger that nodes are entered in which must be started anew.
            insight: Who can say whom a target means.
        """
        self._wrong = wrong
        self._down = down
        self._cluster = cluster
        self._name = name
        self._turn = turn_of(name)
        self._is_monotonic = name in MONOTONIC
        settings = CLOCK_DRAWS[name](Random(f"{insight.seed}/{name}"))
        ledger = down if self._is_monotonic else None
        self._sights = Sights(cluster, fault=name, insight=insight, settings=settings, down=ledger)
        self._turning: dict[str, asyncio.Task[None]] = {}
        """Node -> what keeps turning its clock, where it must be kept up."""

    def probe(self) -> Missing | None:
        """Nodes must have been started under a clock of their own."""
        try:
            if all(self._cluster.clock(node) is not None for node in self._cluster.nodes):
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
        reads, gap_s = 1, 0.0
        match self._turn:
            case Turn.JUMP:
                await self._set(node, settings["offset_s"])
            case Turn.STROBE:
                self._keep_up(node, settings["period_s"], settings["offset_s"])
                reads, gap_s = READS, 2.3 * settings["period_s"] / READS
            case Turn.DRIFT:
                self._keep_up(node, STEP_S, settings["rate"])
                reads, gap_s = READS, DRIFT_SEEN_S / READS
        loop = asyncio.get_running_loop()
        end = loop.time() + HOLD_LIMIT_S
        while True:
            reading = await self._read(node, reads, gap_s)
            is_so = _is_turned(self._turn, reading, settings)
            if is_so or loop.time() > end:
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
        """
        Set it right until nobody keeps turning it: who does ends once somebody else has set it.

        A monotonic clock must never be seen to go back: its node starts anew under the right one.
        """
        if self._is_monotonic:
            await self._cluster.kill(node)
        task = self._turning.pop(node, None)
        await self._set(node, 0.0)
        while task is not None and not task.done():
            await asyncio.wait([task], timeout=SETTLE_S)
            await self._set(node, 0.0)
        if self._is_monotonic:
            await self._cluster.start(node)
            self._down.give_back(node)
        self._wrong.pop(node, None)

    def _keep_up(self, node: str, step_s: float, value: float) -> None:
        self._turning[node] = asyncio.ensure_future(self._turn_on(node, step_s, value))

    async def _turn_on(self, node: str, step_s: float, value: float) -> None:
        file, limit_s = self._clock(node).file, host_scripts.BURST_S
        arguments = (file, self._turn.value, limit_s, step_s, value)
        loop = asyncio.get_running_loop()
        try:
            while node in self._turning:
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


def _is_turned(turn: Turn, reading: _Reading, settings: Mapping[str, Any]) -> bool:
    """Whether a clock was seen as wrong as it should be."""
    first, last = reading.offset_ms[0], reading.offset_ms[-1]
    offset_ms: float = settings.get("offset_s", 0.0) * 1000
    match turn:
        case Turn.JUMP:
            return abs(last - offset_ms) <= reading.error_ms
        case Turn.STROBE:
            width_ms = max(reading.offset_ms) - min(reading.offset_ms)
            return abs(width_ms - abs(offset_ms)) <= 2 * reading.error_ms
        case Turn.DRIFT:
            rate: float = settings["rate"]
            gained_ms = last - first
            passed_ms = (reading.at_s[-1] - reading.at_s[0]) * 1000
            error_ms = 2 * reading.error_ms + abs(rate) * STEP_S * 1000
            return gained_ms * rate > 0 and abs(gained_ms - rate * passed_ms) <= error_ms
