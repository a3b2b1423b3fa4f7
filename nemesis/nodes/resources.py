"""
Limit what nodes may use of the machine: processor time, memory.

Evidence is the kernel's: the limit read back, with processes under it; how often it was reached
comes with the healing. A node that the kernel ended for want of memory is started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dissever.harness.cluster import Cluster, NodeState
from dissever.harness.missing import Missing
from dissever.nemesis.nodes.processes import Seen

__all__ = ["LimitCpu", "LimitMemory"]

CPUS = 0.05
"""Of one processor."""

MEMORY_BYTES = 24 << 20

REACHED_LIMIT_S = 4.0
"""A node that does not reach its limit of memory within so long is not limited by it."""

GLANCE_S = 0.05


class _Limit:
    """What both share; each is a `Hand`."""

    extra: tuple[str, ...] = ()
    controller = ""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def probe(self) -> Missing | None:
        return None

    def is_back(self, seen: Seen) -> bool:
        return seen.is_so

    async def undo(self, node: str) -> Seen:
        readings = (await self._cluster.readings(node)).get(self.controller, {})
        await self._cluster.lift(node)
        left = (await self._cluster.readings(node)).get(self.controller)
        if (await self._cluster.status(node)).state is NodeState.GONE:
            await self._cluster.start(node)
        status = await self._cluster.status(node)
        is_so = left is None and status.state is NodeState.RUNNING
        return Seen(node, is_so, status, dict(readings))

    async def release(self, node: str) -> None:
        await self._cluster.lift(node)
        await self._cluster.start(node)

    async def _limited(self, node: str, value: float, readings: Mapping[str, Any]) -> Seen:
        read = readings.get(self.controller, {})
        is_so = bool(read) and 0 < read["limit"] <= value and read["pids"] > 0
        return Seen(node, is_so, await self._cluster.status(node), dict(read))


class LimitCpu(_Limit):
    """A small share of one processor."""

    extra: tuple[str, ...] = ("cpus",)
    controller = "cpu"

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        cpus = float(told.get("cpus", CPUS))
        return await self._limited(node, cpus, await self._cluster.limit(node, cpus=cpus))


class LimitMemory(_Limit):
    """
    Less memory than a node would like; the kernel may end it.

    The node is started again under the limit, for memory is charged where it was first touched.
    """

    extra: tuple[str, ...] = ("memory_bytes",)
    controller = "memory"

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        memory = int(told.get("memory_bytes", MEMORY_BYTES))
        await self._cluster.kill(node)
        await self._cluster.limit(node, memory_bytes=memory)
        await self._cluster.start(node)
        for _ in range(int(REACHED_LIMIT_S / GLANCE_S)):
            await asyncio.sleep(GLANCE_S)
            read = (await self._cluster.readings(node)).get(self.controller, {})
            if read.get("reached"):
                break
        charged = {**read, "pids": 1} if read else {}  # Who reached it may have been ended by it.
        seen = await self._limited(node, memory, {self.controller: charged})
        return replace(seen, is_so=seen.is_so and read["reached"] > 0, facts=dict(read))
