"""
A system that is a class: which command a node runs, and how clients talk to it.

    class MyKv(Processes):
        "My key-value server."

        command = "{python} {here}/server.py --listen {address}:8080 --peers {peers} --data {data}"
        peer = "{node}=http://{address}:8080"
        client_ports = (8080,)
        peer_ports = (8080,)
        client = KvClient

`{name}` stands for a fact of the node: `templates.py` says which there are. What a client may be,
`systems/clients/` says. What the class does not say, the system does not offer.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from dissever.harness.cluster import Clocks, Hosts, Program, backends, trial
from dissever.harness.cluster.backends import CONTAINERS, NAMESPACES, Backend
from dissever.harness.cluster.namespaces import NamespacesCluster
from dissever.harness.missing import Missing
from dissever.harness.options import Option, values
from dissever.harness.plan import Options
from dissever.harness.system import Ports
from dissever.harness.values import reason
from dissever.systems.attributes import check_attributes
from dissever.systems.clients import ClientKind, drivers, lacks
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.clients.kinds import kind_of
from dissever.systems.subclass import describe, folder_of
from dissever.systems.templates import FACTS, Node, filled, words_of

if TYPE_CHECKING:
    from dissever.harness.cluster.containers import ContainersCluster

__all__ = ["Processes"]

START_LIMIT_S = 30.0
VERSION_LIMIT_S = 5.0


class Processes:
    """
    A system whose nodes are a command each; a user's subclass fills in the attributes.

    Attributes:
        command: What a node runs: one line, or a list of words. A method `command(self, node)`
            may return either.
        beside: Commands that run beside it on the same host, such as a sentinel's. The node lives
            as long as its `command`; `kill`, `pause` and limits strike all of them. Takes a shell.
        peer: How a node stands in `{peers}`, which joins those of all nodes with commas.
        environment: Variables for the command, added to the few that nodes have.
        image: The image for `--backend containers`.
        files: Name in the node's folder -> a template of what is in it, or the `Path` of a file
            that is copied there as it is, relative to the file of the class. They are written
            before each start; with `keeps_files` only before the first, because the programs
            change them.
        client_ports: TCP ports where nodes serve clients; the first is the one of
            `Endpoint.address`.
        peer_ports: TCP ports where nodes hear each other.
        client: A plain class, or another `ClientKind` such as `Program("./client")`.
        options: Options of the system's own: `{name}` in a template is their value.
        driver: The module of the driver that its client imports when it is made; without it the
            system cannot run. Its version is kept with the run.
        version: A command that says the version of the program, such as `etcd --version`: what is
            kept is the first word like 3.4.23, or the first line.
        install: What helps where the program is not there, such as `apt-get install etcd-server`.
        start_limit_s: How long all nodes may take to serve.
        takes_time_from_libc: Whether nodes ask the C library for the time. Programs in Go do not,
            so no fault of a clock reaches them.
        as_nobody: In namespaces nodes see themselves as an ordinary user, not as root, because the
            program refuses to run as root.
        maps_files: Whether nodes map files into memory, as bbolt and LMDB do: a disk that faults
            can damage then allows it.
    """

    name: str = ""
    description: str = ""
    stores: tuple[str, ...] | None = ()
    backends: tuple[Backend, ...] = (NAMESPACES, CONTAINERS)

    command: Any = ""
    beside: ClassVar[Sequence[str]] = ()
    peer: ClassVar[str] = "{address}"
    environment: ClassVar[Mapping[str, str]] = {}
    image: ClassVar[str | None] = None
    files: ClassVar[Mapping[str, str | Path]] = {}
    keeps_files: ClassVar[bool] = False
    client_ports: ClassVar[Sequence[int]] = ()
    peer_ports: ClassVar[Sequence[int]] = ()
    client: Any = None
    options: Mapping[str, Option] = {}
    driver: ClassVar[str] = ""
    version: ClassVar[str] = ""
    install: ClassVar[str] = "install it, or give its path"
    start_limit_s: ClassVar[float] = START_LIMIT_S
    takes_time_from_libc: ClassVar[bool] = True
    maps_files: ClassVar[bool] = False
    as_nobody: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        describe(cls)

    def __init__(self) -> None:
        """The kind of its clients is looked at; `check` says what is wrong with it."""
        if "stores" not in vars(type(self)):
            try:
                self.stores = self.clients().stores
            except ValueError:
                self.stores = None  # Not known; `check` tells why.

    # What a subclass may say in more words.

    def prepare(self, node: Node) -> None:
        """Write what a node needs into `node.folder`, before each start of it."""

    async def form(self, deployment: ClientsDeployment) -> None:
        """Make the nodes one cluster, once all have started and before they must serve."""

    async def not_ready(self, deployment: ClientsDeployment) -> str:
        """
        What is missing until the system serves, in words; empty when nothing.

        It is asked once every node answers its client, exactly one says that it leads, where they
        can say so, and a change was acknowledged.
        """
        return ""

    def probe(self, options: Options | None = None) -> Missing | None:
        """Why it cannot run here: no namespaces or no engine, or no such program."""
        options = options or Options(system=self.name, workload="")
        if (missing := backends.probe(options.backend)) is not None:
            return missing
        if (missing := drivers.probe(self.name, self.driver)) is not None:
            return missing
        if (missing := self.clients().probe()) is not None:
            return missing
        if options.backend == CONTAINERS:
            return self._unseen_files()
        node = self._samples(options)[0]
        for program, *_ in (self._argv(node), *self._beside(node)):
            if not shutil.which(program) and not shutil.which(program, path="/usr/sbin:/sbin"):
                return Missing(f"{self.name} runs {program}, which is not there", self.install)
        return None

    def versions(self, options: Options | None = None) -> dict[str, str]:
        found = {}
        if self.version and not (options and options.backend == CONTAINERS):
            words = words_of(self.version, f"{type(self).__name__}.version")
            found[self.name] = _version_said_by(words)
        found |= drivers.versions(self.driver)
        return found

    def voters(self, options: Options) -> tuple[str, ...]:
        return options.nodes

    # What it does.

    @property
    def here(self) -> Path:
        """The folder of the file that the class stands in."""
        return folder_of(type(self))

    def clients(self) -> ClientKind:
        """
        What makes its clients.

        Raises:
            ValueError: When there is none, or it is of no kind that is known.
        """
        if self.client is None:
            raise ValueError(f"expected {type(self).__name__} to have a client, found none")
        return kind_of(type(self).client, self.here)

    def offers(self, method: str) -> bool:
        """Whether its clients have a method, for workloads that name those they call."""
        try:
            return self.clients().has(method)
        except ValueError:
            return True  # Not known; `check` tells why.

    def lacks(self, options: Options) -> Mapping[type, str]:
        found = lacks(self.clients().has)
        if not self.peer_ports:
            found[Ports] = "it does not say on which ports its nodes hear each other (peer_ports)"
        if not self.takes_time_from_libc:
            found[Clocks] = (
                "its program does not take the time from the C library, so libfaketime does not"
                " reach it"
            )
        return found

    def check(self, options: Options) -> None:
        self.clients()
        check_attributes(self)
        if options.backend == CONTAINERS and self.image is None:
            raise ValueError(
                f"expected {type(self).__name__}.image, which containers are made of, found none"
            )
        if shadowed := sorted(FACTS.intersection(self.options)):
            name = shadowed[0]
            expected = f"expected {type(self).__name__}.options to have names of their own"
            raise ValueError(f"{expected}, got {name!r}, and {{{name}}} is a fact of a node")
        for node in self._samples(options):
            if not self._argv(node):
                raise ValueError(f"expected {type(self).__name__}.command, found none")
            self._program(node)
            self._written(node)
        for name, path in self._copied().items():
            if not path.is_file():
                expected = f"expected {type(self).__name__}.files[{name!r}] to be a file"
                raise ValueError(f"{expected}, found none at {path}")

    @asynccontextmanager
    async def deploy(
        self, options: Options, directory: Path, rng: Random
    ) -> AsyncIterator[ClientsDeployment]:
        async with await self._open(options, directory) as cluster:
            deployment = ClientsDeployment(
                cluster,
                self.clients(),
                client_ports=self.client_ports,
                peer_ports=self.peer_ports,
                programs=lambda name, joins: self._prepared(
                    replace(self._nodes(cluster, options)[name], joins=joins)
                ),
                not_ready=self.not_ready,
                options=self._own(options),
            )
            async with deployment.running(self.name, self.start_limit_s, self.form):
                yield deployment

    async def _open(
        self, options: Options, directory: Path
    ) -> NamespacesCluster | ContainersCluster:
        hosts = options.hosts | Hosts(changes_network=False, mapped_files=self.maps_files)
        if options.backend == CONTAINERS:
            from dissever.harness.cluster.containers import ContainersCluster  # The Docker SDK.

            ports = self.client_ports
            return await ContainersCluster.open(options.nodes, directory, hosts, ports=ports)
        return await NamespacesCluster.open(options.nodes, directory, hosts)

    def _nodes(self, cluster: Any, options: Options) -> dict[str, Node]:
        """Node -> what is known of it."""
        return {
            name: Node(
                name=name,
                index=index,
                addresses={each: cluster.address(each) for each in cluster.nodes},
                data=cluster.disk(name).path,
                folder=cluster.directory(name),
                here=None if options.backend == CONTAINERS else self.here,
                python=cluster.python,
                peer=self.peer,
                options=self._own(options),
            )
            for index, name in enumerate(cluster.nodes, start=1)
        }

    def _samples(self, options: Options) -> list[Node]:
        """The nodes as they may be, before there are any."""
        addresses = {name: trial.address(i) for i, name in enumerate(options.nodes, start=1)}
        return [
            Node(
                name=name,
                index=index,
                addresses=addresses,
                data="data",
                folder=Path(name),
                here=None if options.backend == CONTAINERS else self.here,
                python="python3",
                peer=self.peer,
                options=self._own(options),
            )
            for index, name in enumerate(options.nodes, start=1)
        ]

    def _unseen_files(self) -> Missing | None:
        """Why containers do not see the files that nodes need, or None."""
        from dissever.harness.cluster import engine  # Needs the Docker SDK.

        if not self.files or engine.is_local():
            return None
        reason = f"an engine elsewhere does not see the files of {self.name}"
        return Missing(reason, "put them into the image, or use an engine on this machine")

    def _own(self, options: Options) -> dict[str, Any]:
        return values(self.options, options.system_options)

    def _argv(self, node: Node) -> list[str]:
        """The words of a node's command."""
        command = self.command(node) if callable(self.command) else self.command
        where = f"{type(self).__name__}.command"
        words = command if isinstance(command, list | tuple) else words_of(command, where)
        return [filled(word, node, where) for word in words]

    def _beside(self, node: Node) -> list[list[str]]:
        """The words of each command beside it."""
        where = f"{type(self).__name__}.beside"
        return [
            [filled(word, node, where) for word in words_of(line, where)] for line in self.beside
        ]

    def _program(self, node: Node) -> Program:
        where = f"{type(self).__name__}.environment"
        environment = {k: filled(v, node, where) for k, v in self.environment.items()}
        image = None if self.image is None else filled(self.image, node, "image")
        argv = self._argv(node)
        if others := self._beside(node):
            script = "".join(f"{shlex.join(words)} & " for words in others)
            argv = ["sh", "-c", f'{script}exec "$@"', "sh", *argv]
        image = image if node.here is None else None
        return Program(argv, environment, image, as_nobody=self.as_nobody)

    def _written(self, node: Node) -> dict[str, str]:
        """Name -> text of the files of a node."""
        where = f"{type(self).__name__}.files"
        return {
            name: filled(text, node, where)
            for name, text in self.files.items()
            if isinstance(text, str)
        }

    def _copied(self) -> dict[str, Path]:
        """Name -> the file of this machine that each node gets a copy of."""
        return {name: self.here / it for name, it in self.files.items() if isinstance(it, Path)}

    def _prepared(self, node: Node) -> Program:
        """What a node runs, once its folder holds what that needs."""
        (node.folder / "data").mkdir(parents=True, exist_ok=True)
        for name, content in (self._written(node) | self._copied()).items():
            path = node.folder / name
            if self.keeps_files and path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copy(content, path)
            else:
                path.write_text(content, encoding="utf-8")
        self.prepare(node)
        return self._program(node)


def _version_said_by(command: Sequence[str]) -> str:
    """The first word like 1.2, else the first line; why there is none, where there is none."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=VERSION_LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown: {reason(error)}"
    said = done.stdout or done.stderr
    found = re.search(r"\d+\.\d[^\s,;]*", said)
    return found.group() if found else said.strip().partition("\n")[0]
