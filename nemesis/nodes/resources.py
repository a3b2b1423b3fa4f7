"""
Limit what nodes may use of the machine: processor time, memory.

Evidence is the kernel's: the limit read back, with processes under it; how often it was reached
comes with the healing. A node that the kernel ended for want of memory is started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from dissever.harness.cluster import NodeProcesses, NodeState, ResourceLimits
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.needs import Need
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence
from dissever.nemesis.parameters import Settings, number

__all__ = ["FAULTS"]

CPUS = 0.05
"""Of one processor."""

MEMORY_BYTES = 24 << 20

REACHED_LIMIT_S = 4.0
"""How long to wait for a node to reach its limit of memory. One that never does did not meet it."""

GLANCE_S = 0.05


class Limit:
    """
    A `NodeFault`: a small share of one processor, or less memory than a node would like.

    The kernel may end a node that has little memory. The node is started again under that limit,
    for memory is charged where it was first touched.
    """

    def __init__(self, cluster: AbleCluster, controller: str) -> None:
        """`controller`: `cpu` or `memory`."""
        self._cluster = cluster
        self._controller = controller
        self._asked: dict[str, float] = {}
        self._throttled: dict[str, int] = {}
        """Node -> how often it was held back when the limit was seen first."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        if self._controller == "cpu":
            value = float(settings["cpus"])
            self._asked[node] = value
            await self._cluster.limit(node, cpus=value)
            read = await self._read(node)
            self._throttled[node] = read.get("throttled", 0)
            is_so = _is_limited(read, value) and read["pids"] > 0
        else:
            memory = int(settings["memory_bytes"])
            self._asked[node] = memory
            await self._cluster.kill(node)
            await self._cluster.limit(node, memory_bytes=memory)
            await self._cluster.start(node)
            for _ in range(int(REACHED_LIMIT_S / GLANCE_S)):
                await asyncio.sleep(GLANCE_S)
                read = await self._read(node)
                if read.get("reached"):
                    break
            # Who reached it may have been ended by it: none need be under it.
            is_so = _is_limited(read, memory)
        return NodeEvidence(node, is_so, await self._cluster.status(node), dict(read))

    async def look_again(self, node: str) -> NodeEvidence | None:
        """A node that was never held back by its limit did not meet it."""
        read, status = await self._read(node), await self._cluster.status(node)
        if not read and status.state is NodeState.GONE:
            return None  # Where its control group ended with it, nobody can say.
        is_so = _is_limited(read, self._asked[node])
        if self._controller == "cpu":
            is_idle = read.get("throttled") == self._throttled.get(node, -1)
        else:
            is_idle = read.get("reached") == 0
        return NodeEvidence(node, is_so, status, dict(read), is_idle=is_idle)

    async def undo(self, node: str) -> NodeEvidence:
        read = await self._read(node)
        await self._cluster.lift(node)
        left = await self._read(node)
        await asyncio.sleep(GLANCE_S)  # One that the kernel ended for it is gone by then.
        if (await self._cluster.status(node)).state is NodeState.GONE:
            await self._cluster.start(node)
        status = await self._cluster.status(node)
        is_so = not left and status.state is NodeState.RUNNING
        return NodeEvidence(node, is_so, status, dict(read))

    async def release(self, node: str) -> None:
        await self._cluster.lift(node)
        await self._cluster.start(node)

    async def _read(self, node: str) -> Mapping[str, Any]:
        """What the kernel says of the limit; nothing where there is none."""
        found: Mapping[str, Any] = (await self._cluster.readings(node)).get(self._controller, {})
        return found


def _is_limited(read: Mapping[str, Any], value: float) -> bool:
    return bool(read) and 0 < read["limit"] <= value


LIMIT_CPU = Fault(
    name="limit-cpu",
    description="leave nodes a small share of a processor",
    parameters=(number("cpus", "share of one processor", 0.01, 8, default=CPUS),),
    takes_down=True,
    heals=Heals.RESOURCES,
    needs=(NodeProcesses, ResourceLimits, Need.CGROUPS),
    make=lambda fault, site: PerNode(fault, site, Limit(site.cluster, "cpu")),
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
    needs=(NodeProcesses, ResourceLimits, Need.CGROUPS),
    slow_s=REACHED_LIMIT_S,
    make=lambda fault, site: PerNode(fault, site, Limit(site.cluster, "memory")),
    held="the kernel's limit, read back; idle when it is never reached",
    healed="no limit is left, and the node runs",
)

FAULTS: Final = (LIMIT_CPU, LIMIT_MEMORY)
