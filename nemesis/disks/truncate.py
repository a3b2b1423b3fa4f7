"""
Cut the ends off the newest files of a node, while it is down, and start it on what is left.

So ends a file when its last writes never reached the disk. The ends are kept: where the node does
not start on what is left, healing puts them back and starts it again. Where it does start, it has
forgotten what it had promised, which is more than most systems claim to survive.

Evidence: the sizes of the files before and after.

Source: Jepsen, `nemesis.clj`, `truncate-file`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster, NodeState
from dissever.harness.missing import Missing
from dissever.nemesis import host_scripts
from dissever.nemesis.disks.draws import DISK_DRAWS
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.down import Down
from dissever.nemesis.nodes.processes import Seen
from dissever.nemesis.nodes.revive import revive, revive_others
from dissever.nemesis.sights import Insight, Sights

__all__ = ["DiskTruncate"]

NAME = "disk-truncate"


class DiskTruncate:
    """`start-disk-truncate` and `stop-disk-truncate`."""

    def __init__(self, cluster: Cluster, down: Down, *, insight: Insight) -> None:
        self._cluster = cluster
        self._down = down
        settings = DISK_DRAWS[NAME](Random(f"{insight.seed}/{NAME}"))
        self._sights = Sights(cluster, fault=NAME, insight=insight, settings=settings)
        self._struck: set[str] = set()

    def probe(self) -> Missing | None:
        """Every disk can be cut."""
        return None

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Cut, or see what came of it.

        Raises:
            ValueError: For another `f`, or a value that means nothing.
        """
        match invocation.f:
            case "start-disk-truncate":
                sight = await self._sights.take(invocation, {*self._struck, *self._down.reasons})
                self._struck.update(sight.targets)
                seen = await asyncio.gather(*(self._cut(n, sight.settings) for n in sight.targets))
                notes = {**sight.notes, **sight.settings, "damages_disk": True}
                return processes.struck(invocation, sight.spec, notes, seen)
            case "stop-disk-truncate":
                nodes = [node for node in self._cluster.nodes if node in self._struck]
                mended = await asyncio.gather(*(self._mend(node) for node in nodes))
                others = await revive_others(self._cluster, self._down, nodes)
                return processes.healed(invocation, [*mended, *others])
        raise ValueError(f"expected start- or stop-disk-truncate, got {invocation.f!r}")

    async def heal(self) -> None:
        """Start every node that this fault cut."""
        await asyncio.gather(*(self._mend(node) for node in tuple(self._struck)))

    async def _cut(self, node: str, settings: Mapping[str, Any]) -> Seen:
        await self._cluster.kill(node)
        path = self._cluster.disk(node).path
        arguments = (path, settings["share"], settings["files"])
        told = await host_scripts.run(self._cluster, node, host_scripts.CUT_ENDS, *arguments)
        await self._cluster.start(node)
        cut = told["files"]
        is_so = bool(cut) and all(each["is"] < each["was"] for each in cut.values())
        return Seen(node, is_so, await self._cluster.status(node), {"files": cut})

    async def _mend(self, node: str) -> Seen:
        status = await self._cluster.status(node)
        has_ended = status.state is NodeState.GONE and node not in self._down.reasons
        path, verb = self._cluster.disk(node).path, "restore" if has_ended else "forget"
        told = await host_scripts.run(self._cluster, node, host_scripts.MEND_ENDS, path, verb)
        facts = {**told, **await revive(self._cluster, self._down, node)}
        self._struck.discard(node)
        status = await self._cluster.status(node)
        return Seen(node, node in self._down.reasons or status.pid is not None, status, facts)
