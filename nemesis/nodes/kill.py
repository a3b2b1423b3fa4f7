"""
End nodes and start them again: with SIGKILL, with SIGTERM, or over and over.

Evidence is the kernel's: the process that ran is gone by that signal; later another one runs, with
another pid and a greater incarnation.

Source: Jepsen, `nemesis/combined.clj`, `db-nemesis`; crash loops are ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dissever.harness.cluster import Cluster, NodeStatus
from dissever.harness.missing import Missing
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.processes import Seen

__all__ = ["CrashLoop", "Kill", "Stop"]

GRACE_S = 10.0
"""How long a node may take to end on SIGTERM."""

LOOP_GAP_S = 0.4
"""How long a node of a crash loop lives, and how long it is gone."""

CRASHES_SEEN = 3
"""A crash loop took hold once a node crashed so often; it goes on until it is healed."""


class Kill:
    """SIGKILL; a `Hand`."""

    extra: tuple[str, ...] = ()

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._before: dict[str, NodeStatus] = {}

    def probe(self) -> Missing | None:
        return None

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        self._before[node] = await self._cluster.status(node)
        return await processes.kill(self._cluster, node)

    async def undo(self, node: str) -> Seen:
        return await processes.start(self._cluster, node, self._before.get(node))

    def is_back(self, seen: Seen) -> bool:
        return seen.is_so

    async def release(self, node: str) -> None:
        await self._cluster.start(node)


class Stop(Kill):
    """SIGTERM, as an operator does: the node may hand over what it leads; a `Hand`."""

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        self._before[node] = await self._cluster.status(node)
        return await processes.stop(self._cluster, node, GRACE_S)


class CrashLoop(Kill):
    """Kill and start without end; a `Hand`. A node is healed once one process stays."""

    extra: tuple[str, ...] = ("gap_s",)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._crashes: dict[str, int] = {}

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        gap_s = float(told.get("gap_s", LOOP_GAP_S))
        crashes = [await processes.kill(self._cluster, node)]
        while len(crashes) < CRASHES_SEEN:
            crashes.append(await self._crash(node, gap_s))
        self._crashes[node] = len(crashes)
        self._loops[node] = asyncio.create_task(self._loop(node, gap_s))
        facts = {**crashes[-1].facts, "crashes": len(crashes)}
        return replace(crashes[-1], is_so=all(each.is_so for each in crashes), facts=facts)

    async def undo(self, node: str) -> Seen:
        await self._end(node)
        seen = await processes.start(self._cluster, node, self._before.get(node))
        return replace(seen, facts={**seen.facts, "crashes": self._crashes.get(node, 0)})

    async def release(self, node: str) -> None:
        await self._end(node)
        await self._cluster.start(node)

    async def _loop(self, node: str, gap_s: float) -> None:
        while True:
            await self._crash(node, gap_s)
            self._crashes[node] += 1

    async def _crash(self, node: str, gap_s: float) -> Seen:
        """Bring the node back for a moment."""
        await asyncio.sleep(gap_s)
        self._before[node] = await self._cluster.start(node)
        await asyncio.sleep(gap_s)
        return await processes.kill(self._cluster, node)

    async def _end(self, node: str) -> None:
        """Stop the loop where it stands, and leave no process of it behind."""
        loop = self._loops.pop(node, None)
        if loop is None:
            return
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await self._cluster.kill(node)
