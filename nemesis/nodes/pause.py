"""
Pause nodes with SIGSTOP, and resume them with SIGCONT.

A paused node's kernel still acknowledges packets and accepts connections, so its peers only see a
silence. Evidence: the kernel says that it stands still, and a request to it gets no answer.

Source: Jepsen, `nemesis/combined.clj`, `db-nemesis`.
"""

from __future__ import annotations

from dataclasses import replace

from dissever.harness.cluster import NodeState, Processes
from dissever.harness.episodes import Action, Effect, Role
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import Answers, NodeEvidence
from dissever.nemesis.parameters import Settings

__all__ = ["PAUSE"]


class Pause:
    """SIGSTOP; a `NodeFault`."""

    def __init__(self, cluster: AbleCluster, answers: Answers | None) -> None:
        self._cluster = cluster
        self._answers = answers

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        return await processes.pause(self._cluster, node, self._answers)

    async def undo(self, node: str) -> NodeEvidence:
        seen = await processes.resume(self._cluster, node, self._answers)
        return replace(seen, is_back=seen.status.state is not NodeState.PAUSED)

    async def release(self, node: str) -> None:
        await self._cluster.resume(node)


PAUSE = Fault(
    name="pause",
    description="stop nodes with SIGSTOP, then let them go on",
    actions={
        "pause": Action(Role.INJECT, Effect.PAUSED),
        "resume": Action(Role.HEAL, Effect.RESUMED),
    },
    takes_down=True,
    heals=Heals.RESUME,
    needs=(Processes,),
    make=lambda fault, site: PerNode(fault, site, Pause(site.cluster, site.answers)),
    held="the kernel says that the process stands still, and a request gets no answer",
    healed="the process runs, and answers",
)
