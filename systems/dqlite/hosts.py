"""What runs nodes: processes of `python -m dqlite.node` on hosts, or something else that serves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import dqlite
from dissever.harness.cluster import Program
from dissever.harness.plan import Options
from dissever.harness.system import Builds, Replica, Snapshot
from dissever.systems.clients.members import wipe
from dissever.systems.dqlite.builds import DqliteBuilds
from dissever.systems.dqlite.cluster import DqliteCluster, HostsCluster
from dissever.systems.dqlite.database import digest_of, snapshots_of
from dissever.systems.dqlite.options import option
from dissever.systems.dqlite.space import lack_of_room

__all__ = ["PORT", "SNAPSHOT_THRESHOLD", "SNAPSHOT_TRAILING", "DqliteHosts", "ProcessHosts"]

PORT = 9001

SNAPSHOT_THRESHOLD = 128
SNAPSHOT_TRAILING = 1024
"""
The threshold is low, so that snapshots are taken and installed while a run lasts. The log that is
kept behind a snapshot must reach back beyond the last two, or a snapshot that a node took itself
would look installed.
"""


class DqliteHosts(Protocol):
    """How nodes are started, reached and looked at."""

    @property
    def cluster(self) -> DqliteCluster:
        """Where they run."""

    def builds(self, start: Callable[[str], Awaitable[None]]) -> Builds:
        """Which library each runs. `start` starts a node with the one that this then names."""

    async def start(self, node: str, node_id: int, address: str, builds: Builds) -> None:
        """Start a node with this id of Raft and this address."""

    async def dial(self, node: str, timeout_s: float) -> socket.socket | dqlite.Attach:
        """
        A way to the port of a node; a socket is the caller's to close.

        Raises:
            OSError: When there is no connection in time.
        """

    async def snapshots(self, node: str) -> frozenset[Snapshot]:
        """The snapshots that a node holds."""

    async def wipe(self, node: str) -> None:
        """Remove all data of a node that does not run. Raises OSError when something is left."""

    async def digest(self, node: str, files: Mapping[str, bytes]) -> Replica:
        """Of a node's dump, as `database.digest_of`."""

    async def lack(self) -> str:
        """What they lack for a node to start, in words; empty when nothing, or nobody knows."""


class ProcessHosts:
    """Implements `DqliteHosts` with a process for each node, in namespaces and containers."""

    def __init__(self, cluster: HostsCluster, options: Options) -> None:
        self.cluster = cluster
        self._options = options

    def builds(self, start: Callable[[str], Awaitable[None]]) -> DqliteBuilds:
        return DqliteBuilds(self.cluster, start, self._options)

    async def start(self, node: str, node_id: int, address: str, builds: Builds) -> None:
        assert isinstance(builds, DqliteBuilds)
        directory = self.cluster.directory(node) / "data"
        directory.mkdir(parents=True, exist_ok=True)
        argv = [
            *(self.cluster.python, "-P", "-m", "dqlite.node"),
            *("--id", str(node_id), "--address", address),
            *("--data-dir", "data"),  # In the node's folder, its working directory.
            *("--network-latency-ms", str(option(self._options, "latency-ms"))),
            *("--snapshot-threshold", str(SNAPSHOT_THRESHOLD)),
            *("--snapshot-trailing", str(SNAPSHOT_TRAILING)),
            "--unchecked",  # What the library makes of damaged files is for the checkers to see.
        ]
        program = Program(argv, builds.environment(node), builds.image(node))
        await self.cluster.start(node, program)

    async def dial(self, node: str, timeout_s: float) -> socket.socket:
        return await self.cluster.dial(node, PORT, timeout_s)

    async def snapshots(self, node: str) -> frozenset[Snapshot]:
        """Listed on its host: not every disk is seen from here."""
        listed = await self.cluster.command(node, ["ls", self.cluster.disk(node).path])
        return snapshots_of(listed.stdout.split())

    async def wipe(self, node: str) -> None:
        await wipe(self.cluster, node)

    async def digest(self, node: str, files: Mapping[str, bytes]) -> Replica:
        return await asyncio.to_thread(digest_of, files, self.cluster.directory(node))

    async def lack(self) -> str:
        return await lack_of_room(self.cluster)
