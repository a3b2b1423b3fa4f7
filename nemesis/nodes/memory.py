"""
Let an allocation of a node fail, as when a machine has no memory left.

A program that is written in C must look at what each allocation gives, and the code for the day on
which it gives nothing is hardly ever run. Only a simulated node can be struck so precisely: one
allocation fails, the next succeeds.

Evidence: the node counts its allocations that have failed. Where none has, the fault was idle. A
node may end of it, with an error; healing starts it again.
"""

from __future__ import annotations

from typing import Final

from dissever.harness.cluster import Allocations, NodeProcesses, NodeState
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence
from dissever.nemesis.parameters import Settings, log_uniform, number

__all__ = ["FAULTS"]


class FailedAllocation:
    """A `NodeFault`: the n-th allocation from now on fails."""

    def __init__(self, cluster: AbleCluster) -> None:
        self._cluster = cluster
        self._before: dict[str, int] = {}
        """Node -> how many had failed before."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        self._before[node] = await self._cluster.failed_allocations(node)
        await self._cluster.fail_allocation(node, settings["nth"])
        return await self._seen(node)

    async def look_again(self, node: str) -> NodeEvidence | None:
        return await self._seen(node)

    async def undo(self, node: str) -> NodeEvidence:
        await self._cluster.fail_allocation(node, 0)
        seen = await self._seen(node)
        if (ended := await self._cluster.status(node)).state is NodeState.GONE:
            await self._cluster.start(node)
            seen = await self._seen(node)
            facts = {**seen.facts, "ended": ended.exit_status}
            seen = NodeEvidence(node, seen.is_so, seen.status, facts)
        is_so = seen.status.state is not NodeState.GONE
        return NodeEvidence(node, is_so, seen.status, seen.facts, is_back=True)

    async def release(self, node: str) -> None:
        await self._cluster.fail_allocation(node, 0)
        await self._cluster.start(node)

    async def _seen(self, node: str) -> NodeEvidence:
        failed = await self._cluster.failed_allocations(node) - self._before.get(node, 0)
        status = await self._cluster.status(node)
        return NodeEvidence(node, True, status, {"failed": failed}, is_idle=failed <= 0)


OUT_OF_MEMORY: Final = Fault(
    name="out-of-memory",
    description="let an allocation of nodes fail",
    parameters=(
        number(
            "nth",
            "which allocation fails, counted from when it strikes",
            1,
            1_000_000,
            log_uniform(1, 1000),
        ),
    ),
    takes_down=True,
    heals=Heals.RESOURCES,
    needs=(NodeProcesses, Allocations),
    make=lambda fault, site: PerNode(fault, site, FailedAllocation(site.cluster)),
    held="the node counts an allocation that failed; idle without one",
    healed="the node runs",
)

FAULTS: Final = (OUT_OF_MEMORY,)
