"""
Pause nodes with SIGSTOP, and resume them with SIGCONT.

A paused node's kernel still acknowledges packets and accepts connections, so its peers only see a
silence. Evidence: the kernel says that it stands still, and a request to it gets no answer.

Source: Jepsen, `nemesis/combined.clj`, `db-nemesis`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dissever.harness.cluster import Cluster, NodeState
from dissever.harness.missing import Missing
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.processes import Answers, Seen

__all__ = ["Pause"]


class Pause:
    """SIGSTOP; a `Hand`."""

    extra: tuple[str, ...] = ()

    def __init__(self, cluster: Cluster, answers: Answers | None) -> None:
        self._cluster = cluster
        self._answers = answers

    def probe(self) -> Missing | None:
        return None

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        return await processes.pause(self._cluster, node, self._answers)

    async def undo(self, node: str) -> Seen:
        return await processes.resume(self._cluster, node, self._answers)

    def is_back(self, seen: Seen) -> bool:
        return seen.status.state is not NodeState.PAUSED

    async def release(self, node: str) -> None:
        await self._cluster.resume(node)
