"""
Clocks of simulated nodes that go wrong, with all timers of the node.

Evidence: the offset of the node's clock from time, read back: once for a jump, over a while for a
clock that is too fast or too slow. Healed, the offset is 0. A monotonic clock must never be seen to
go back: its node is ended first, and starts again under the right one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from dissever.harness.cluster import NodeProcesses, NodeTimes
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.environment import Environment
from dissever.nemesis.fault import Fault, Simulated
from dissever.nemesis.needs import Offer
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence, now
from dissever.nemesis.parameters import Parameter, Settings

__all__ = ["turned"]

ERROR_S: Final = 0.002
"""A clock counts as right, or as wrong as it should be, within this."""

SEEN_S: Final = 0.2
"""A clock that gains or loses time is looked at for so long."""


class TurnedClock:
    """A `NodeFault`: the clock of a node jumps, is set wrong and right by turns, or drifts."""

    def __init__(self, site: Environment, *, is_monotonic: bool) -> None:
        self._cluster: AbleCluster = site.cluster
        self._is_monotonic = is_monotonic
        self._asked: dict[str, tuple[Settings, float]] = {}
        """Node -> what was asked for, and when."""
        self._strobes: dict[str, asyncio.Task[None]] = {}

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        self._asked[node] = settings, now()
        offset_s, rate = settings.get("offset_s", 0.0), settings.get("rate", 0.0)
        await self._cluster.turn_clock(node, offset_s, 1.0 + rate)
        if "period_s" in settings:
            return await self._strobed(node, offset_s, settings["period_s"])
        if rate:
            await asyncio.sleep(SEEN_S)
        return await self._seen(node)

    async def _strobed(self, node: str, offset_s: float, period_s: float) -> NodeEvidence:
        """Wrong, and right a period later."""
        self._strobes[node] = asyncio.create_task(self._strobe(node, offset_s, period_s))
        wrong_s = await self._cluster.clock_offset_s(node)
        await asyncio.sleep(1.5 * period_s)
        right_s = await self._cluster.clock_offset_s(node)
        is_so = abs(wrong_s - offset_s) <= ERROR_S and abs(right_s) <= ERROR_S
        status = await self._cluster.status(node)
        facts = {"offset_s": round(wrong_s, 6), "then_s": round(right_s, 6)}
        return NodeEvidence(node, is_so, status, facts)

    async def look_again(self, node: str) -> NodeEvidence | None:
        return await self._seen(node)

    async def undo(self, node: str) -> NodeEvidence:
        await self.release(node)
        offset_s = await self._cluster.clock_offset_s(node)
        status = await self._cluster.status(node)
        facts = {"offset_s": round(offset_s, 6)}
        return NodeEvidence(node, abs(offset_s) <= ERROR_S, status, facts, is_back=True)

    async def release(self, node: str) -> None:
        strobe = self._strobes.pop(node, None)
        if strobe is not None:
            strobe.cancel()
            await asyncio.gather(strobe, return_exceptions=True)
        if self._is_monotonic:
            await self._cluster.kill(node)
        await self._cluster.turn_clock(node, 0.0, 1.0)
        if self._is_monotonic:
            await self._cluster.start(node)

    async def _strobe(self, node: str, offset_s: float, period_s: float) -> None:
        turns = 0
        while True:
            await asyncio.sleep(period_s)
            turns += 1
            await self._cluster.turn_clock(node, 0.0 if turns % 2 else offset_s, 1.0)

    async def _seen(self, node: str) -> NodeEvidence:
        """Whether the offset is one that the clock should have now."""
        settings, since_s = self._asked[node]
        offset_s = await self._cluster.clock_offset_s(node)
        asked_s = settings.get("offset_s", 0.0) + settings.get("rate", 0.0) * (now() - since_s)
        strobe = self._strobes.get(node)
        expected = (asked_s, 0.0) if strobe else (asked_s,)
        is_so = any(abs(offset_s - each) <= ERROR_S for each in expected)
        is_so = is_so and not (strobe and strobe.done())
        status = await self._cluster.status(node)
        return NodeEvidence(node, is_so, status, {"offset_s": round(offset_s, 6)})


def turned(
    held: str,
    *,
    is_monotonic: bool,
    check: Callable[[Settings], object],
    parameters: tuple[Parameter, ...] | None = None,
) -> Simulated:
    """How a fault of clocks strikes simulated hosts; a wall clock must be one that nodes read."""

    def make(fault: Fault, site: Environment) -> PerNode:
        return PerNode(fault, site, TurnedClock(site, is_monotonic=is_monotonic))

    return Simulated(
        needs=(NodeProcesses, NodeTimes, *([] if is_monotonic else [Offer.WALL_CLOCKS])),
        make=make,
        held=f"the clock of the node has {held}",
        healed="the offset is 0" + (", after a restart" if is_monotonic else ""),
        parameters=parameters,
        check=check,
    )
