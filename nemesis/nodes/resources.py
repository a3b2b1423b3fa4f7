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

from dissever.harness.cluster import NodeState, Processes, ResourceLimits
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.needs import Need
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence
from dissever.nemesis.parameters import Settings, number

__all__ = ["LIMIT_CPU", "LIMIT_MEMORY"]

CPUS = 0.05
"""Of one processor."""

MEMORY_BYTES = 24 << 20

REACHED_LIMIT_S = 4.0
"""A node that does not reach its limit of memory in this time is not limited by it."""

GLANCE_S = 0.05


class _Limit:
    """What both share; each is a `NodeFault`."""

    controller = ""

    def __init__(self, cluster: AbleCluster) -> None:
        self._cluster = cluster

    async def undo(self, node: str) -> NodeEvidence:
        readings = (await self._cluster.readings(node)).get(self.controller, {})
        await self._cluster.lift(node)
        left = (await self._cluster.readings(node)).get(self.controller)
        if (await self._cluster.status(node)).state is NodeState.GONE:
            await self._cluster.start(node)
        status = await self._cluster.status(node)
        is_so = left is None and status.state is NodeState.RUNNING
        return NodeEvidence(node, is_so, status, dict(readings))

    async def release(self, node: str) -> None:
        await self._cluster.lift(node)
        await self._cluster.start(node)

    async def _limited(self, node: str, value: float, readings: Mapping[str, Any]) -> NodeEvidence:
        read = readings.get(self.controller, {})
        is_so = bool(read) and 0 < read["limit"] <= value and read["pids"] > 0
        return NodeEvidence(node, is_so, await self._cluster.status(node), dict(read))


class LimitCpu(_Limit):
    """A small share of one processor."""

    controller = "cpu"

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        cpus = float(settings["cpus"])
        return await self._limited(node, cpus, await self._cluster.limit(node, cpus=cpus))


class LimitMemory(_Limit):
    """
    Less memory than a node would like; the kernel may end it.

    The node is started again under the limit, for memory is charged where it was first touched.
    """

    controller = "memory"

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        memory = int(settings["memory_bytes"])
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


LIMIT_CPU = Fault(
    name="limit-cpu",
    description="leave nodes a small share of a processor",
    parameters=(number("cpus", "share of one processor", 0.01, 1024, default=CPUS),),
    takes_down=True,
    heals=Heals.RESOURCES,
    needs=(Processes, ResourceLimits, Need.CGROUPS),
    make=lambda fault, site: PerNode(fault, site, LimitCpu(site.cluster)),
    held="the kernel's limit, read back, with processes under it",
    healed="no limit is left, and the node runs",
)

LIMIT_MEMORY = Fault(
    name="limit-memory",
    description="leave nodes little memory",
    parameters=(
        number(
            "memory_bytes",
            "what the processes of a node may use",
            1 << 20,
            1 << 46,
            default=MEMORY_BYTES,
        ),
    ),
    takes_down=True,
    heals=Heals.RESOURCES,
    needs=(Processes, ResourceLimits, Need.CGROUPS),
    make=lambda fault, site: PerNode(fault, site, LimitMemory(site.cluster)),
    held="the kernel's limit, read back, and it was reached",
    healed="no limit is left, and the node runs",
)
