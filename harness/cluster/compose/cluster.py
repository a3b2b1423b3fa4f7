"""
Nodes as services of a Compose project, as it is: its images, its networks, its names.

A project that is up is attached to, and left as it was found (`harness/cluster/undo.py`). One that
is not up is brought up under a name of its own, with labels on all that it makes, and removed like
everything else of a run. Clients come in by a gateway, a container of ours on the project's
network, which relays to any port of a node; so cuts of client links act on them, and nothing has to
be published.

Known gaps: a container that is started again runs for some 50 ms before it is frozen until its
rules are in force again. It and the other nodes do not hear each other meanwhile, and the gateway
leads nobody to it; services that are no nodes may hear it. IPv4 alone is cut.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from dissever.harness.cluster import (
    SYN_RETRIES,
    ClusterLost,
    Command,
    Exit,
    Grudge,
    NodeStatus,
    Program,
    Reachability,
    limits,
    reaper,
)
from dissever.harness.cluster.backends import COMPOSE
from dissever.harness.cluster.compose.addresses import Addresses
from dissever.harness.cluster.compose.project import Project
from dissever.harness.cluster.compose.service import ServiceNode, Setting
from dissever.harness.cluster.compose.tool import Tool, ToolFailed
from dissever.harness.cluster.connecting import in_time
from dissever.harness.cluster.engine import RUN, Engine, labels, reap
from dissever.harness.cluster.filters import Filters
from dissever.harness.cluster.host import Host, published, reach, relayed
from dissever.harness.cluster.keeper.agent import RELAY_PORT
from dissever.harness.cluster.last_words import last_words
from dissever.harness.cluster.roster import Roster
from dissever.harness.cluster.undo import UNDO, record

log = logging.getLogger(__name__)

PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
FILES: Final = f"{PROJECT}.config_files"
FOLDER: Final = f"{PROJECT}.working_dir"
_ONE_OFF: Final = "com.docker.compose.oneoff"

OVERRIDE: Final = "compose-labels.yaml"
"""In the folder of the nodes: what is added to the file of a project that is brought up."""

_NFT: Final = ("nft", "-f", "-")
_SETTLE_S: Final = 10.0
_TAIL_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A project to run on. `attach_to`: the name of the one that is up; None: it is brought up."""

    tool: Tool
    project: Project
    attach_to: str | None = None


class ComposeCluster:
    """A `Cluster` of services; made by `open`, ended by `close` or the end of `async with`."""

    backend: Final = COMPOSE
    python: Final = "python3"

    def __init__(self, roster: Roster, directory: Path, engine: Engine, source: Source) -> None:
        """Of no use before `open`, which is what to call."""
        self._roster = roster
        self.nodes: Final = roster.nodes
        self.run = secrets.token_hex(6)
        self.project = source.attach_to or f"dissever-{self.run}"
        self._source = source
        self._directory = directory.absolute()
        self._engine = engine
        self._services: dict[str, ServiceNode] = {}
        self._gateway = Host("the gateway", engine)
        self._relay = 0
        self._tokens = itertools.count(1)
        self._reaper = reaper.start(self.run)
        self._filters: Filters | None = None
        self._hear_renewals: list[Callable[[str], Awaitable[None]]] = []
        self._closing = asyncio.Lock()
        self._is_closed = False

    @classmethod
    async def open(cls, nodes: Sequence[str], directory: Path, source: Source) -> Self:
        """
        Bring the project up, unless it is, and join its services.

        Args:
            nodes: Names of its services.
            directory: Where each node's folder is made.

        Raises:
            ValueError: When a service cannot be a node.
            ClusterLost: When no engine answers.
            OSError: When the project does not come up, or the engine does not allow it.
        """
        roster = Roster(nodes)
        source.project.check(nodes)
        engine = await asyncio.to_thread(Engine)
        cluster = cls(roster, directory, engine, source)
        try:
            await cluster._open()
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
        """On the network of the project; another one, maybe, once its container was restarted."""
        return self._known(node).address

    def directory(self, node: str) -> Path:
        return self._directory / self._roster.known(node)

    async def start(self, node: str, program: Program | None = None) -> NodeStatus:
        """What a service runs its file says, so a program is refused."""
        if program is not None:
            raise ValueError(f"{node} is a service: its file says what it runs")
        status = await self._roster.take_turn(node, self._known(node).start())
        return self._roster.begun(node, status)

    async def stop(self, node: str, timeout_s: float) -> NodeStatus:
        return await self._roster.take_turn(node, self._known(node).stop(timeout_s))

    async def kill(self, node: str) -> NodeStatus:
        return await self._roster.take_turn(node, self._known(node).kill())

    async def pause(self, node: str) -> NodeStatus:
        """It is frozen, by its control group: no process of it is stopped by a signal."""
        return await self._roster.take_turn(node, self._known(node).pause())

    async def resume(self, node: str) -> NodeStatus:
        return await self._roster.take_turn(node, self._known(node).resume())

    async def status(self, node: str) -> NodeStatus:
        """`pid` is as the engine sees it."""
        return await self._known(node).status()

    async def drop(self, grudge: Grudge) -> None:
        await self._cuts().drop(grudge)

    async def dropped(self) -> Mapping[tuple[str, str], int]:
        """Since the last `drop`, or since the node was started again."""
        return await self._cuts().dropped()

    async def reach(self, pairs: Sequence[tuple[str, str]], timeout_s: float) -> Reachability:
        services = {name: self._known(name) for pair in pairs for name in pair}
        return await reach(services, pairs, timeout_s, token=str(next(self._tokens)))

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        """By the gateway, once a change of the node's host is over."""
        return await in_time(self._connect(node, port), node, port, timeout_s)

    async def command(self, node: str, argv: Sequence[str], stdin: str = "") -> Command:
        """It is root in the node's namespaces, with NET_ADMIN and no other right."""
        return await self._known(node).command(argv, stdin)

    async def spawn(self, node: str, name: str, argv: Sequence[str]) -> int:
        """It ends with the node's container, and runs again on its next host."""
        return await self._known(node).spawn(name, argv)

    async def carry(self, node: str, path: Path) -> str:
        return await self._known(node).carry(path)

    def hear_renewals(self, hear: Callable[[str], Awaitable[None]]) -> None:
        self._hear_renewals.append(hear)

    async def limit(
        self, node: str, cpus: float | None = None, memory_bytes: int | None = None
    ) -> Mapping[str, Any]:
        return await self._roster.take_turn(node, self._known(node).limit(cpus, memory_bytes))

    async def readings(self, node: str) -> Mapping[str, Any]:
        """Of a node that has ended: what the kernel said last."""
        return await self._known(node).readings()

    async def lift(self, node: str) -> None:
        await self._roster.take_turn(node, self._known(node).lift())

    async def close(self) -> None:
        """Leave a project as it was found, or remove it. Idempotent."""
        async with self._closing:
            if not self._is_closed:
                self._is_closed = True
                await asyncio.shield(self._end())

    # --- opening and ending ---------------------------------------------------------------------

    async def _open(self) -> None:
        engine, marks = self._engine, labels(self.run)
        await engine.call(reap, engine.client)
        for node in self.nodes:
            (self._directory / node).mkdir(parents=True, exist_ok=True)
        if self._source.attach_to is None:
            await self._bring_up(marks)
        containers = {node: await self._container(node) for node in self.nodes}
        network = _common_network(containers)
        # Before anything is changed: it holds the record of how all was found.
        await self._open_gateway({**marks, UNDO: record(_attributes(containers))}, network)
        info = await engine.call(engine.client.info)
        setting = Setting(
            run=self.run,
            labels=marks,
            network=network,
            addresses=Addresses(engine, network, marks),
            memory_bytes=info["MemTotal"],
            sees=tuple(limits.mounts(info)),
            is_attached=self._source.attach_to is not None,
            renewed=self._renew,
            held=self._held,
        )
        for node, container in containers.items():
            self._services[node] = ServiceNode(
                *(node, container, self._directory / node, engine, setting),
                hear=self._roster.hear,
                take_turn=self._roster.take_turn,
            )
        await asyncio.gather(*(each.open() for each in self._services.values()))
        self._filters = Filters({n: self.address(n) for n in self.nodes}, self.command)
        # That also fills their tables of neighbours: from then on a probe that is late is lost.
        pairs = list(itertools.permutations(self.nodes, 2))
        reached = await self.reach(pairs, _SETTLE_S)
        if silent := [f"{a} to {b}" for (a, b), it in reached.items() if not it]:
            raise OSError(0, f"services do not reach each other: {', '.join(silent)}")

    async def _bring_up(self, marks: Mapping[str, str]) -> None:
        """Raises OSError, with the last lines of a service that ended."""
        source = self._source
        override = self._directory / OVERRIDE
        settings = {"net.ipv4.tcp_syn_retries": str(SYN_RETRIES)}
        changes = source.project.override(marks, self.nodes, settings)
        override.write_text(changes, encoding="utf-8")
        try:
            await source.tool.up([source.project.file.absolute(), override], self.project)
        except ToolFailed as error:
            said = await self._last_words()
            raise OSError(0, "; ".join(filter(None, (str(error.strerror), said)))) from error

    async def _last_words(self) -> str:
        """What the services said last that have ended with a failure."""
        words = []
        for container in await self._found():
            state = container.attrs["State"]
            if not state["Running"] and state["ExitCode"]:
                words.append(f"{_service(container)} {await self._said(container)}")
        return "; ".join(words)

    async def _said(self, container: Any) -> str:
        logs = await self._engine.call(container.logs, tail=_TAIL_LINES)
        status = container.attrs["State"]["ExitCode"]
        return f"ended with status {status}: {last_words(logs.decode(errors='replace'))}"

    async def _found(self, service: str = "") -> list[Any]:
        """The containers of the project, or of one service of it."""
        wanted = [f"{PROJECT}={self.project}", *([f"{SERVICE}={service}"] if service else [])]
        found = await self._engine.call(
            self._engine.client.containers.list, all=True, filters={"label": wanted}
        )
        return [each for each in found if each.labels.get(_ONE_OFF, "False") != "True"]

    async def _container(self, node: str) -> Any:
        """The container of a node. Raises OSError when it does not run, or is one of several."""
        found = await self._found(node)
        if len(found) != 1:
            count = f"{len(found)} containers of {node} in the project {self.project}"
            raise OSError(0, f"expected one container of each node, got {count}")
        (container,) = found
        if not container.attrs["State"]["Running"]:
            raise OSError(0, f"{node} {await self._said(container)}")
        mode = container.attrs["HostConfig"]
        if mode["NetworkMode"] in ("host", "none") or mode["PidMode"]:
            raise OSError(0, f"{node} has no network, or no processes, of its own")
        return container

    async def _open_gateway(self, marks: Mapping[str, str], network: str) -> None:
        engine = self._engine
        # Ports of a network that is internal cannot be published, so it has one more.
        own = await engine.call(
            engine.client.networks.create,
            f"dissever-{self.run}",
            driver="bridge",
            labels=labels(self.run),
        )
        await self._gateway.open(
            f"dissever-{self.run}-gateway",
            marks,
            [],
            network=own.name,
            ports={f"{RELAY_PORT}/tcp": (engine.host,)},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            sysctls={"net.ipv4.ip_unprivileged_port_start": "0"},
        )
        self._relay = published(self._gateway.network["Ports"], engine.host)[RELAY_PORT]
        found = await engine.call(engine.client.networks.get, network)
        await engine.call(found.connect, self._gateway.id)

    async def _connect(self, node: str, port: int) -> socket.socket:
        at, relay, whom = self._engine.host, self._relay, f"{node}: port {port}"
        return await self._known(node).connect(
            lambda address: relayed(at, relay, f"{address} {port}", whom)
        )

    async def _renew(self, node: str, address: str) -> None:
        if self._filters is None:
            return
        work = [self._filters.renew(node, address), *(h(node) for h in self._hear_renewals)]
        for error in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(error, OSError):
                log.warning("%s: its new host is not as the one before: %s", node, error)
            elif error is not None:
                raise error

    @asynccontextmanager
    async def _held(self, node: str) -> AsyncIterator[None]:
        """Until the block ends, a node and the others do not hear each other: it has no rules."""
        others = [each for each in self.nodes if each != node]
        table = f"inet dissever_hold_{self.nodes.index(node)}"
        heal = f"add table {table}\ndelete table {table}\n"
        hold = (
            f"{heal}table {table} {{\n"
            "  chain output { type filter hook output priority filter; policy accept;\n"
            f"    ip daddr {self.address(node)} drop\n  }}\n"
            "  chain input { type filter hook input priority filter; policy accept;\n"
            f"    ip saddr {self.address(node)} drop\n  }}\n}}\n"
        )
        await asyncio.gather(*(self.command(each, _NFT, hold) for each in others))
        try:
            yield
        finally:
            await asyncio.gather(*(self.command(each, _NFT, heal) for each in others))

    async def _end(self) -> None:
        engine = self._engine
        try:
            services = self._services.values()
            await asyncio.gather(*(each.close() for each in services), return_exceptions=True)
            await self._gateway.close()
            await engine.call(reap, engine.client, self.run)
            self._reaper.kill()
            self._reaper.wait()
        except OSError as error:
            log.warning("run %s is left to the reaper: %s", self.run, error)
        finally:
            await asyncio.to_thread(engine.close)

    def _cuts(self) -> Filters:
        if self._filters is None:
            raise ClusterLost("the cluster is not open")
        return self._filters

    def _known(self, node: str) -> ServiceNode:
        return self._services[self._roster.known(node)]


def running(client: Any, file: Path) -> Collection[str]:
    """The names of the projects of a file of which containers run. Blocks."""
    found = set()
    for container in client.containers.list(filters={"label": PROJECT}):
        if RUN in container.labels:
            continue  # Under a name of its own: another run's.
        folder = Path(container.labels.get(FOLDER, ""))
        files = container.labels.get(FILES, "").split(",")
        if file.resolve() in {(folder / each).resolve() for each in files}:
            found.add(container.labels[PROJECT])
    return found


def is_up(client: Any, project: str) -> bool:
    """Whether containers of a project of that name run. Blocks."""
    return bool(client.containers.list(filters={"label": f"{PROJECT}={project}"}))


def _service(container: Any) -> str:
    return str(container.labels.get(SERVICE, container.name))


def _attributes(containers: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each.attrs for each in containers.values()]


def _common_network(containers: Mapping[str, Any]) -> str:
    """
    The name of the network that all nodes are on.

    Raises:
        OSError: When there is none, or more than one: a cut on one would not be one on the other.
    """
    of_each = [set(it.attrs["NetworkSettings"]["Networks"]) for it in containers.values()]
    common = sorted(set.intersection(*of_each))
    if len(common) != 1:
        got = ", ".join(common) or "none"
        nodes = ", ".join(containers)
        raise OSError(0, f"expected one network that all of {nodes} share, got {got}")
    (network,) = common
    return str(network)
