"""
Fill the disk of nodes, and keep it full; then free it.

Each node has a small disk of its own. A balloon takes all space on it, and every page that comes
free again, without pause: a file that only fills the disk once is outlived by what the system has
set aside, and undone by what it deletes (dqlite preallocates segments of 8 MB and drops old ones).

Evidence: a write of ours to that disk meets ENOSPC, and goes through once it is freed. A node may
end of it, or start on a full disk (`restart`): what it did is noted, and healing starts it again.

Source: Jepsen's tests of dqlite fill a tmpfs once; the balloon is ours.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster
from dissever.harness.missing import Missing
from dissever.nemesis import host_scripts
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.down import Down
from dissever.nemesis.nodes.processes import Seen
from dissever.nemesis.nodes.revive import revive, revive_others
from dissever.nemesis.sights import Insight, Sights

__all__ = ["DiskFull"]

log = logging.getLogger(__name__)

NAME = "disk-full"
FULL_LIMIT_S = 5.0
"""A disk has so long to become full, or free again."""

GLANCE_S = 0.02
PAGES = 16
"""So many must not fit on a full disk."""


@dataclass(slots=True)
class _Balloon:
    """One balloon: the task that keeps it blown up, and what it counted in all."""

    task: asyncio.Task[None]
    is_wanted: bool = True
    counts: dict[str, int] = field(default_factory=dict)


class DiskFull:
    """`start-disk-full` and `stop-disk-full`."""

    def __init__(self, cluster: Cluster, down: Down, *, insight: Insight) -> None:
        self._cluster = cluster
        self._down = down
        self._sights = Sights(
            cluster,
            fault=NAME,
            insight=insight,
            settings={"restart": False},
        )
        self._balloons: dict[str, _Balloon] = {}

    def probe(self) -> Missing | None:
        """Without a disk of its own, a node's disk is everybody's."""
        if all(self._cluster.disk(node).size_mb is not None for node in self._cluster.nodes):
            return None
        return Missing("the nodes have no disks of their own", "name it among the run's faults")

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Fill or free.

        Raises:
            ValueError: For another `f`, or a value that means nothing.
        """
        match invocation.f:
            case "start-disk-full":
                return await self._start(invocation)
            case "stop-disk-full":
                return await self._stop(invocation)
        raise ValueError(f"expected start-disk-full or stop-disk-full, got {invocation.f!r}")

    async def heal(self) -> None:
        """Free every disk."""
        await asyncio.gather(*(self._free(node) for node in tuple(self._balloons)))

    async def _start(self, invocation: Invocation) -> Completion:
        sight = await self._sights.take(invocation, self._balloons)
        restart = bool(sight.settings["restart"])
        seen = await asyncio.gather(*(self._fill(node, restart) for node in sight.targets))
        return processes.struck(invocation, sight.spec, sight.notes, seen)

    async def _stop(self, invocation: Invocation) -> Completion:
        nodes = [node for node in self._cluster.nodes if node in self._balloons]
        seen = await asyncio.gather(*(self._empty(node) for node in nodes))
        others = await revive_others(self._cluster, self._down, nodes)
        return processes.healed(invocation, [*seen, *others])

    async def _fill(self, node: str, restart: bool) -> Seen:
        # Entered before anything happens, so that healing knows of it.
        task = asyncio.ensure_future(self._blow_up(node))
        self._balloons[node] = _Balloon(task)
        probed = await self._comes_to(node, "ENOSPC")
        if restart and node not in self._down.reasons:
            await self._cluster.kill(node)
            await self._cluster.start(node)
        facts = {"probe": probed, "size_mb": self._cluster.disk(node).size_mb}
        is_so = probed["error"] == "ENOSPC"
        return Seen(node, is_so, await self._cluster.status(node), facts)

    async def _empty(self, node: str) -> Seen:
        still = await self._probe(node)
        counts = await self._free(node)
        probed = await self._comes_to(node, None)
        reaction = await revive(self._cluster, self._down, node)
        facts = {"probe_before": still, "probe": probed, "balloon": counts, **reaction}
        return Seen(node, probed["error"] is None, await self._cluster.status(node), facts)

    async def _free(self, node: str) -> dict[str, int]:
        """Let the air out. The balloon's last burst ends as soon as its file is gone."""
        balloon = self._balloons.get(node)
        if balloon is None:
            return {}
        balloon.is_wanted = False
        path = self._path(node)
        await host_scripts.run(self._cluster, node, host_scripts.REMOVE, path)
        while not balloon.task.done():
            await asyncio.wait([balloon.task], timeout=GLANCE_S)
            await host_scripts.run(self._cluster, node, host_scripts.REMOVE, path)
        self._balloons.pop(node, None)
        return balloon.counts

    async def _blow_up(self, node: str) -> None:
        await asyncio.sleep(0)  # Until it is entered.
        balloon = self._balloons[node]
        while balloon.is_wanted:
            try:
                told = await host_scripts.run(
                    self._cluster,
                    node,
                    host_scripts.BALLOON,
                    self._path(node),
                    host_scripts.BURST_S,
                )
            except OSError as error:
                log.warning("%s: its disk is not kept full: %s", node, error)
                return
            balloon.counts = {
                name: balloon.counts.get(name, 0) + count for name, count in told.items()
            }

    async def _comes_to(self, node: str, error: str | None) -> dict[str, Any]:
        """Write to the disk until that error is met, or time is up; the last attempt."""
        loop = asyncio.get_running_loop()
        end = loop.time() + FULL_LIMIT_S
        # Nothing but the disk can say so: hence the exemption.
        while (probed := await self._probe(node))["error"] != error and loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(GLANCE_S)
        return probed

    async def _probe(self, node: str) -> dict[str, Any]:
        return await host_scripts.probe_write(self._cluster, node, PAGES)

    def _path(self, node: str) -> str:
        return f"{self._cluster.disk(node).path}/.balloon"
