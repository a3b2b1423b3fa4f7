"""
Nodes as network namespaces of one machine: real kernel, real packets, no root, nothing left behind.

The harness enters no namespace itself: a process of its own, the keeper (package `keeper`), does,
and PID 1 of the keeper's PID namespace does all work. When the harness closes the cluster, or ends
in whatever way, PID 1 ends, and the kernel takes every process, interface and rule with it.

A node has few variables of the harness's environment, and no capability. Only root's node whose
program or folder stands in the home of another user keeps the right to search and read files.

Known gaps: nodes share the file system and the user of the harness, apart from the disk of its own
that a fault may need a node to have; nodes see themselves as root, or as nobody if their program
refuses that; for an ordinary user there is that one user only; nodes reach no other network.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from dissever.harness.cluster import (
    PLAIN,
    Command,
    Disk,
    Exit,
    Grudge,
    Hosts,
    NodeClock,
    NodeState,
    NodeStatus,
    Program,
    Reachability,
    clock,
    faultfs,
)
from dissever.harness.cluster.backends import NAMESPACES
from dissever.harness.cluster.channel import Channel, inherited
from dissever.harness.cluster.connecting import connected, in_time
from dissever.harness.cluster.filters import Filters
from dissever.harness.cluster.roster import Roster
from dissever.harness.cluster.trial import BRIDGE, address, probe, tool

__all__ = ["NamespacesCluster", "probe"]

_KEEP_S = 10.0
_MIB = 1 << 20
_POOL_SIZE = 16


class NamespacesCluster:
    """A `Cluster` of namespaces; made by `open`, ended by `close` or the end of `async with`."""

    backend: Final = NAMESPACES
    python: Final = sys.executable

    def __init__(self, roster: Roster, directory: Path, hosts: Hosts) -> None:
        """Starts the keeper, and is of no use before its answer: `open` is what to call."""
        self._roster = roster
        self.nodes: Final = roster.nodes
        self._hosts = hosts
        self._addresses = {node: address(i) for i, node in enumerate(self.nodes, start=1)}
        self._directory = directory.absolute()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._programs: dict[str, Program] = {}
        self._filters = Filters(self._addresses, self.command)
        self._filling = asyncio.Lock()
        self._pool: list[socket.socket] = []
        self._is_closing = False
        self._channel = Channel(self._directory / "keeper.log", self._hear)

    @classmethod
    async def open(cls, nodes: Sequence[str], directory: Path, hosts: Hosts = PLAIN) -> Self:
        """
        Make the hosts; no process runs on them yet.

        Args:
            nodes: 1 to `NODES_MAX` different names, which also name their folders.
            directory: Where each node's folder is made.
            hosts: What the nodes have beyond the plain case.

        Raises:
            ValueError: When a name is unfit.
            FileNotFoundError: When ip or nft is not installed, or what `hosts` asks for.
            ClusterLost: When the machine does not allow it; `probe` says what would help.
        """
        roster = Roster(nodes)
        tool("nft")  # Its absence should show now, not at the first cut.
        cluster = cls(roster, directory, hosts)
        try:
            await cluster._channel.request(
                "open",
                nodes=[
                    {"name": node, "address": address, "directory": str(cluster.directory(node))}
                    for node, address in cluster._addresses.items()
                ],
                bridge=BRIDGE,
                ip=tool("ip"),
                disk_bytes=None if hosts.disk_mb is None else hosts.disk_mb * _MIB,
                faultfs=str(faultfs.program()) if hosts.faulty_disks else None,
                mapped=hosts.mapped_files,
            )
            for node in nodes:
                if (own_clock := cluster.clock(node)) is not None:
                    Path(own_clock.file).write_text(clock.RIGHT, encoding="ascii")
        except BaseException:
            await cluster._end()
            raise
        return cluster

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def exits(self) -> tuple[Exit, ...]:
        return tuple(self._roster.exits)

    def address(self, node: str) -> str:
        return self._addresses[self._roster.known(node)]

    def directory(self, node: str) -> Path:
        return self._directory / self._roster.known(node)

    def disk(self, node: str) -> Disk:
        """Where the node keeps its data. Only processes in the cluster see a disk of its own."""
        folder = self.directory(node)
        data = str(folder / "data")
        if not self._hosts.faulty_disks:
            return Disk(data, self._hosts.disk_mb)
        ask = (str(faultfs.program()), "send", str(folder / "faultfs" / "sock"))
        return Disk(data, self._hosts.disk_mb, ask)

    def clock(self, node: str) -> NodeClock | None:
        if not self._hosts.own_clocks:
            return None
        preload = clock.library()
        if preload is None:
            raise FileNotFoundError(errno.ENOENT, "libfaketime is not installed")
        file = str(self.directory(node) / "clock")
        return clock.node_clock(file, str(preload), is_monotonic=self._hosts.own_monotonic)

    async def start(self, node: str, program: Program | None = None) -> NodeStatus:
        program = program or self._programs.get(node)
        if program is None:
            raise ValueError(f"{node} has no program yet")
        own_clock = self.clock(node)
        environment = {
            **inherited(),
            **program.environment,
            **(own_clock.environment if own_clock else {}),
        }
        self._programs[node] = program
        words = {"argv": list(program.argv), "environment": environment}
        status = await self._turn("start", node, **words, as_nobody=program.as_nobody)
        return self._roster.begun(node, status)

    async def stop(self, node: str, timeout_s: float) -> NodeStatus:
        return await self._turn("stop", node, timeout_s=timeout_s)

    async def kill(self, node: str) -> NodeStatus:
        return await self._turn("kill", node)

    async def pause(self, node: str) -> NodeStatus:
        return await self._turn("pause", node)

    async def resume(self, node: str) -> NodeStatus:
        return await self._turn("resume", node)

    async def status(self, node: str) -> NodeStatus:
        return _status(await self._channel.request("status", node=self._roster.known(node)))

    async def drop(self, grudge: Grudge) -> None:
        await self._filters.drop(grudge)

    async def dropped(self) -> Mapping[tuple[str, str], int]:
        return await self._filters.dropped()

    async def reach(self, pairs: Sequence[tuple[str, str]], timeout_s: float) -> Reachability:
        for node in itertools.chain(*pairs):
            self._roster.known(node)
        arrived = await self._channel.request("reach", pairs=list(pairs), timeout_s=timeout_s)
        return dict(zip(pairs, arrived, strict=True))

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        target = self.address(node), port
        return await in_time(self._connect(target), node, port, timeout_s)

    async def command(self, node: str, argv: Sequence[str], stdin: str = "") -> Command:
        """It runs in `/`, and is looked for where root would look, too."""
        answer = await self._channel.request(
            "run", node=self._roster.known(node), argv=[tool(argv[0]), *argv[1:]], stdin=stdin
        )
        return Command(**answer)

    async def spawn(self, node: str, name: str, argv: Sequence[str]) -> int:
        log = str(self.directory(node) / f"{name}.log")
        argv = [tool(argv[0]), *argv[1:]]
        pid: int = await self._channel.request("spawn", node=node, argv=argv, log=log)
        return pid

    async def carry(self, node: str, path: Path) -> str:
        """Hosts see the machine's own files."""
        self._roster.known(node)
        return str(path)

    async def limit(
        self, node: str, cpus: float | None = None, memory_bytes: int | None = None
    ) -> Mapping[str, Any]:
        """By control groups, which take root."""
        readings: Mapping[str, Any] = await self._channel.request(
            "limit", node=self._roster.known(node), cpus=cpus, memory_bytes=memory_bytes
        )
        return readings

    async def readings(self, node: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self._channel.request(
            "readings", node=self._roster.known(node)
        )
        return found

    async def lift(self, node: str) -> None:
        await self._channel.request("lift", node=self._roster.known(node))

    async def close(self) -> None:
        """
        End every process, and remove every interface and rule. Idempotent.

        What is on a node's own disk is copied to its `data/` before, where there is time.
        """
        try:
            if self._hosts.disk_mb is not None and not self._is_closing:
                self._is_closing = True
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_KEEP_S):
                        await asyncio.gather(*(self.kill(node) for node in self.nodes))
                        await self._channel.request("keep", nodes=list(self.nodes), cp=tool("cp"))
        finally:
            await self._end()

    async def _end(self) -> None:
        try:
            await self._channel.close()
        finally:
            while self._pool:
                self._pool.pop().close()

    async def _turn(self, verb: str, node: str, **arguments: Any) -> NodeStatus:
        """Change a node's processes."""
        change = self._channel.request(verb, node=self._roster.known(node), **arguments)
        return _status(await self._roster.take_turn(node, change))

    async def _connect(self, target: tuple[str, int]) -> socket.socket:
        while not self._pool:
            await asyncio.shield(self._fill_pool())
        return await connected(self._pool.pop(), target)

    async def _fill_pool(self) -> None:
        """Fetch sockets in batches, so that most calls of `dial` need no keeper."""
        async with self._filling:
            if not self._pool:
                _, made = await self._channel.request_descriptors("sockets", count=_POOL_SIZE)
                self._pool = [socket.socket(fileno=each) for each in made]

    def _hear(self, event: dict[str, Any]) -> None:
        """An exit is the only event there is."""
        del event["event"]
        self._roster.hear(Exit(**event))


def _status(answer: dict[str, Any]) -> NodeStatus:
    return NodeStatus(
        NodeState(answer["state"]), answer["incarnation"], answer["pid"], answer["exit_status"]
    )
