"""
Let the power of nodes fail: what they wrote and did not sync is gone, and so are they.

At one moment the disk forgets what is not durable and refuses everything, then the processes are
killed; healing gives the disk back and starts the node. Some sectors of unsynced writes may survive
(`keep`), in whatever order, as on a disk.

Evidence: a write of ours meets EIO on the dead disk; a file of ours, synced and then written again
without, has its old sectors once the power is back; the process is gone, and another one comes.

Source: LazyFS, and Ramos et al., "When Amnesia Strikes" (VLDB 2024).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster, NodeStatus
from dissever.harness.missing import Missing
from dissever.nemesis import host_scripts
from dissever.nemesis.disks.draws import DISK_DRAWS
from dissever.nemesis.disks.faulty import ask, missing_faultfs
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.down import Down
from dissever.nemesis.nodes.processes import Seen
from dissever.nemesis.sights import Insight, Sights

__all__ = ["PowerFailure"]

NAME = "power-failure"
PAGES = 1


class PowerFailure:
    """`start-power-failure` and `stop-power-failure`."""

    def __init__(self, cluster: Cluster, down: Down, *, insight: Insight) -> None:
        self._cluster = cluster
        self._down = down
        settings = DISK_DRAWS[NAME](Random(f"{insight.seed}/{NAME}"))
        self._sights = Sights(cluster, fault=NAME, insight=insight, settings=settings, down=down)
        self._before: dict[str, NodeStatus] = {}

    def probe(self) -> Missing | None:
        """The nodes' data must go through faultfs, and the budget must allow one node."""
        return missing_faultfs(self._cluster) or self._down.probe()

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Power off or on.

        Raises:
            ValueError: For another `f`, or a value that means nothing.
        """
        match invocation.f:
            case "start-power-failure":
                return await self._start(invocation)
            case "stop-power-failure":
                nodes = self._down.of(NAME)
                seen = await asyncio.gather(*(self._turn_on(node) for node in nodes))
                for each in seen:
                    if each.is_so:
                        self._down.give_back(each.node)
                return processes.healed(invocation, seen)
        raise ValueError(f"expected start- or stop-power-failure, got {invocation.f!r}")

    async def heal(self) -> None:
        """Give every node its power back, and start it."""

        async def undo(node: str) -> None:
            await ask(self._cluster, node, "on")
            await self._cluster.start(node)

        await self._down.bring_back(NAME, undo)

    async def _start(self, invocation: Invocation) -> Completion:
        sight = await self._sights.take(invocation)
        seen = await asyncio.gather(*(self._turn_off(n, sight.settings) for n in sight.targets))
        notes = {**sight.notes, **sight.settings}
        return processes.struck(invocation, sight.spec, notes, seen)

    async def _turn_off(self, node: str, settings: Mapping[str, Any]) -> Seen:
        path = self._cluster.disk(node).path
        self._before[node] = await self._cluster.status(node)
        await host_scripts.run(self._cluster, node, host_scripts.WRITE_UNSYNCED, path)
        words = (str(settings["keep"]), str(settings["keep_seed"]))
        lost = await ask(self._cluster, node, "off", *words)
        probed = await host_scripts.probe_write(self._cluster, node, PAGES)
        killed = await processes.kill(self._cluster, node)
        is_so = killed.is_so and probed["error"] == "EIO" and lost["lost_bytes"] > 0
        facts = {**killed.facts, "probe": probed, "disk": lost}
        return Seen(node, is_so, killed.status, facts)

    async def _turn_on(self, node: str) -> Seen:
        path = self._cluster.disk(node).path
        await ask(self._cluster, node, "on")
        read = await host_scripts.run(self._cluster, node, host_scripts.READ_UNSYNCED, path)
        probed = await host_scripts.probe_write(self._cluster, node, PAGES)
        started = await processes.start(self._cluster, node, self._before.get(node))
        is_so = started.is_so and probed["error"] is None
        return Seen(
            node, is_so, started.status, {**started.facts, "probe": probed, "unsynced": read}
        )
