"""
Nodes as Docker containers on one network: images of any version, on this machine or another.

A node is a pod (`pod.py`). Where the engine sees this machine's files, the node's folder is mounted
into it; elsewhere it is a volume, whose data are fetched at the end. Clients come in by published
ports, so no route to the network is needed. Everything that is made carries labels, and is removed
when the harness ends, in whatever way (`reaper.py`).

Known gaps: a published port accepts for a host that drops everything; an exit status above 128 is
taken for a signal, as by a shell; nodes share the machine's clock, unless a fault of the plan needs
them to have their own.
"""

from __future__ import annotations

import asyncio
import errno
import io
import itertools
import logging
import os
import secrets
import shutil
import signal
import socket
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

from docker.types import Mount

from dissever.harness.cluster import (
    PLAIN,
    ClusterLost,
    Command,
    Disk,
    Exit,
    Grudge,
    Hosts,
    NodeClock,
    NodeStatus,
    Program,
    Reachability,
    clock,
    faultfs,
    limits,
    reaper,
)
from dissever.harness.cluster.backends import CONTAINERS
from dissever.harness.cluster.connecting import connect, in_time
from dissever.harness.cluster.engine import Engine, labels, reap
from dissever.harness.cluster.filters import Filters
from dissever.harness.cluster.host import FOLDER, reach, relayed
from dissever.harness.cluster.keeper.agent import RELAY_PORT
from dissever.harness.cluster.pod import Pod, Recipe
from dissever.harness.cluster.roster import Roster
from dissever.harness.names import label

log = logging.getLogger(__name__)

_SETTLE_S: Final = 10.0
_DATA: Final = f"{FOLDER}/data"
_CLOCK: Final = f"{FOLDER}/clock"
_CONTROL: Final = "faultfs.sock"
_FUSE: Final = "65735546"
"""What the kernel calls the type of every FUSE file system, in hexadecimal."""

_FAKETIME: Final = "/usr/$LIB/faketime/libfaketimeMT.so.1"
"""In the images; the loader of programs knows what `$LIB` is on their machine."""


class ContainersCluster:
    """A `Cluster` of containers; made by `open`, ended by `close` or the end of `async with`."""

    backend: Final = CONTAINERS
    python: Final = "python3"

    def __init__(self, roster: Roster, directory: Path, engine: Engine, hosts: Hosts) -> None:
        """Of no use before `open`, which is what to call."""
        self._roster = roster
        self.nodes: Final = roster.nodes
        self._hosts = hosts
        self.run = secrets.token_hex(6)
        self._directory = directory.absolute()
        self._engine = engine
        self._pods: dict[str, Pod] = {}
        self._mounted: list[faultfs.Mounted] = []
        self._tokens = itertools.count(1)
        self._reaper = reaper.start(self.run)
        self._filters: Filters | None = None
        self._closing = asyncio.Lock()
        self._is_closed = False

    @classmethod
    async def open(
        cls, nodes: Sequence[str], directory: Path, hosts: Hosts = PLAIN, *, ports: Collection[int]
    ) -> Self:
        """
        Make the network and the hosts; no process of the nodes runs on them yet.

        Args:
            nodes: Different names, which also name their folders.
            directory: Where each node's folder is made.
            hosts: What the nodes have beyond the plain case.
            ports: The TCP ports that are published; `dial` reaches any other with a relay between.

        Raises:
            ValueError: When a name is unfit.
            ClusterLost: When no engine answers.
            OSError: When the engine does not allow it, or lacks an image.
        """
        roster = Roster(nodes)
        engine = await asyncio.to_thread(Engine)
        cluster = cls(roster, directory, engine, hosts)
        try:
            await cluster._open(ports)
        except BaseException:
            await cluster.close()
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
        return self._known(node).address

    def directory(self, node: str) -> Path:
        """Where the engine does not see this machine's files, `data/` is filled when it closes."""
        return self._directory / self._roster.known(node)

    def disk(self, node: str) -> Disk:
        """
        Where the node keeps its data: a disk of its own is a volume in memory.

        A disk that can be made to fail is a folder of this machine with faultfs mounted over it.
        """
        self._known(node)
        ask = (self.python, "-I", "-S", "-c", faultfs.ASK, f"{FOLDER}/{_CONTROL}")
        return Disk(_DATA, self._hosts.disk_mb, ask if self._hosts.faulty_disks else ())

    def clock(self, node: str) -> NodeClock | None:
        self._known(node)
        if not self._hosts.own_clocks:
            return None
        return clock.node_clock(_CLOCK, _FAKETIME, is_monotonic=self._hosts.own_monotonic)

    async def start(self, node: str, program: Program | None = None) -> NodeStatus:
        """In another image than before, if the program says so; OSError if there is none."""
        pod = self._known(node)
        pod.program = program = program or pod.program
        if program is None:
            raise ValueError(f"{node} has no program yet")
        if own_clock := self.clock(node):
            environment = {**program.environment, **own_clock.environment}
            program = replace(program, environment=environment)
        return self._roster.begun(node, await self._roster.take_turn(node, pod.start(program)))

    async def stop(self, node: str, timeout_s: float) -> NodeStatus:
        return await self._roster.take_turn(node, self._known(node).stop(signal.SIGTERM, timeout_s))

    async def kill(self, node: str) -> NodeStatus:
        return await self._roster.take_turn(node, self._known(node).kill())

    async def pause(self, node: str) -> NodeStatus:
        return await self._roster.take_turn(node, self._known(node).turn("pause"))

    async def resume(self, node: str) -> NodeStatus:
        return await self._roster.take_turn(node, self._known(node).turn("resume"))

    async def status(self, node: str) -> NodeStatus:
        """`pid` is as the engine sees it."""
        return await self._known(node).status()

    async def drop(self, grudge: Grudge) -> None:
        await self._cuts().drop(grudge)

    async def dropped(self) -> Mapping[tuple[str, str], int]:
        return await self._cuts().dropped()

    async def reach(self, pairs: Sequence[tuple[str, str]], timeout_s: float) -> Reachability:
        pods = {name: self._known(name) for pair in pairs for name in pair}
        return await reach(pods, pairs, timeout_s, token=str(next(self._tokens)))

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        """By a published port, or by the host's relay to any other."""
        return await in_time(self._connect(self._known(node), port), node, port, timeout_s)

    async def command(self, node: str, argv: Sequence[str], stdin: str = "") -> Command:
        """
        It is root there, with NET_ADMIN for the host's network, and may signal the node's processes
        and change its files.
        """
        answer = await self._known(node).request("command", argv=list(argv), stdin=stdin)
        return Command(**answer)

    async def spawn(self, node: str, name: str, argv: Sequence[str]) -> int:
        return await self._known(node).host.spawn(name, argv)

    async def limit(
        self, node: str, cpus: float | None = None, memory_bytes: int | None = None
    ) -> Mapping[str, Any]:
        """The engine refuses less than 6 MiB of memory."""
        return await self._roster.take_turn(node, self._known(node).limit(cpus, memory_bytes))

    async def readings(self, node: str) -> Mapping[str, Any]:
        """Of a node that has ended: what the kernel said last."""
        return await self._known(node).readings()

    async def lift(self, node: str) -> None:
        await self._roster.take_turn(node, self._known(node).lift())

    async def carry(self, node: str, path: Path) -> str:
        return await self._known(node).host.carry(path)

    async def close(self) -> None:
        """End every process, fetch what is elsewhere, and remove everything. Idempotent."""
        async with self._closing:
            if not self._is_closed:
                self._is_closed = True
                await asyncio.shield(self._end())

    async def _connect(self, pod: Pod, port: int) -> socket.socket:
        """Raises ConnectionRefusedError when nobody listens."""
        if port in pod.published:
            # The engine's proxy accepts in any case, so who listens is asked first.
            if not await pod.request("listens", port=port):
                raise ConnectionRefusedError(errno.ECONNREFUSED, f"{pod.name}: port {port}")
            return await connect(self._engine.host, pod.published[port])
        relay = pod.published[RELAY_PORT]
        return await relayed(self._engine.host, relay, str(port), f"{pod.name}: port {port}")

    async def _open(self, ports: Collection[int]) -> None:
        engine = self._engine
        await engine.call(reap, engine.client)
        marks = labels(self.run)
        if self._hosts.faulty_disks and not engine.is_local:
            raise OSError(0, "an engine elsewhere does not see a faultfs that is mounted here")
        if self._hosts.faulty_disks and self._hosts.disk_mb is not None:
            raise OSError(0, "containers have disks that are small, or disks that fail: not both")
        network = await engine.call(
            engine.client.networks.create, f"dissever-{self.run}", driver="bridge", labels=marks
        )
        info = await engine.call(engine.client.info)
        recipe = Recipe(
            run=self.run,
            labels=marks,
            network=network.name,
            ports=tuple(ports),
            publish_on=engine.host,
            uid=os.getuid() if engine.is_local else 0,
            gid=os.getgid() if engine.is_local else 0,
            memory_bytes=info["MemTotal"],
            sees=tuple(limits.mounts(info)),
            hosts=self._hosts,
        )
        for node in self.nodes:
            self._pods[node] = await self._pod(node, recipe)
        await asyncio.gather(*(pod.open() for pod in self._pods.values()))
        begin = ["sh", "-c", f"mkdir -p {_DATA} && echo {clock.RIGHT.strip()} >{_CLOCK}"]
        if not engine.is_local or self._hosts.own_clocks:
            await asyncio.gather(*(self.command(node, begin) for node in self.nodes))
        if self._hosts.faulty_disks:
            await asyncio.gather(*(self._see_faultfs(node) for node in self.nodes))
        addresses = {name: pod.address for name, pod in self._pods.items()}
        self._filters = Filters(addresses, self.command)
        # That also fills their tables of neighbours: from then on a probe that is late is lost.
        pairs = list(itertools.permutations(self.nodes, 2))
        if not all((await self.reach(pairs, _SETTLE_S)).values()):
            raise OSError(0, "hosts of a new cluster do not reach each other")

    async def _pod(self, node: str, recipe: Recipe) -> Pod:
        directory = self._directory / node
        (directory / "data").mkdir(parents=True, exist_ok=True)
        if self._engine.is_local:
            mounts = [Mount(FOLDER, str(directory), type="bind")]
        else:
            mounts = [await self._volume(FOLDER, f"dissever-{self.run}-{label(node)}", recipe)]
        if self._hosts.disk_mb is not None:
            name = f"dissever-{self.run}-{label(node)}-disk"
            options = f"size={self._hosts.disk_mb}m,uid={recipe.uid},gid={recipe.gid},mode=755"
            in_memory = {"type": "tmpfs", "device": "tmpfs", "o": options}
            mounts.append(await self._volume(_DATA, name, recipe, in_memory))
        if self._hosts.faulty_disks:
            paths = directory / "data", directory / _CONTROL
            is_mapped = self._hosts.mapped_files
            mounted = partial(faultfs.Mounted, *paths, is_mapped=is_mapped)
            self._mounted.append(await asyncio.to_thread(mounted))
        return Pod(node, directory, self._engine, recipe, mounts, self._roster.hear)

    async def _volume(
        self, target: str, name: str, recipe: Recipe, options: Mapping[str, str] | None = None
    ) -> Mount:
        create = self._engine.client.volumes.create
        await self._engine.call(create, name, driver_opts=options, labels=dict(recipe.labels))
        return Mount(target, name, type="volume", no_copy=True)

    async def _see_faultfs(self, node: str) -> None:
        """The engine may see this machine's folders, and not what is mounted there since."""
        seen = await self.command(node, ["stat", "-f", "-c", "%t", _DATA])
        if seen.stdout.strip() != _FUSE:
            raise OSError(0, "the engine does not see what this process mounts on its machine")

    async def _end(self) -> None:
        engine = self._engine
        pods = self._pods.values()
        try:
            if not engine.is_local or self._hosts.disk_mb is not None:
                await asyncio.gather(*(self._fetch(pod) for pod in pods))
            await asyncio.gather(*(pod.close() for pod in pods), return_exceptions=True)
            await engine.call(reap, engine.client, self.run)
            self._reaper.kill()
            self._reaper.wait()
        except OSError as error:
            log.warning("run %s is left to the reaper: %s", self.run, error)
        finally:
            await asyncio.to_thread(engine.close)
            for mounted in self._mounted:
                await asyncio.to_thread(mounted.close)

    async def _fetch(self, pod: Pod) -> None:
        """Copy a node's data to its folder here. Its processes end first, so they are whole."""
        try:
            await pod.kill()
            if not self._engine.is_local:
                archive = await self._engine.call(pod.host.archive, f"{FOLDER}/.")
                await asyncio.to_thread(_extract, archive, self._directory / pod.name)
            if self._hosts.disk_mb is not None:
                archive = await self._engine.call(pod.host.archive, f"{_DATA}/.")
                data = self._directory / pod.name / "data"
                await asyncio.to_thread(_extract, archive, data, is_data=True)
        except OSError as error:
            log.warning("%s: its data could not be fetched: %s", pod.name, error)

    def _cuts(self) -> Filters:
        if self._filters is None:
            raise ClusterLost("the cluster is not open")
        return self._filters

    def _known(self, node: str) -> Pod:
        return self._pods[self._roster.known(node)]


def _extract(archive: bytes, directory: Path, *, is_data: bool = False) -> None:
    """
    Unpack what a node left behind, and trust none of it.

    Only plain files and folders are made, inside of the directory. A file of ours, such as a log,
    is not replaced by one of the same name; none of the data (`is_data`) is ours.
    """
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            inside = PurePosixPath(member.name)
            target = directory / inside
            is_inside = not inside.is_absolute() and ".." not in inside.parts
            is_ours = target.is_file() and not is_data
            if not is_inside or is_ours or not (member.isreg() or member.isdir()):
                log.warning("%s: %a of the node is left out", directory.name, member.name)
            elif member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif (content := tar.extractfile(member)) is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                with content, target.open("wb") as file:
                    shutil.copyfileobj(content, file)
