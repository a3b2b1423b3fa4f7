"""
A system that is a Compose project: a file that exists, images as they are, and a client.

    dissever test compose.yaml --client myclient.py --nodes db1,db2,db3

Or as a class, for what would be options of every run otherwise:

    class Nats(Compose):
        "NATS JetStream: three servers."

        file = "nats.yaml"
        nodes = ("n1", "n2", "n3")
        client_ports = (4222,)
        client = KvClient

Nodes are services. What a client may be, `systems/clients/` says; what the faults reach, and how,
`harness/cluster/compose/`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Final

from dissever.harness.cluster import ClusterLost, backends
from dissever.harness.cluster.backends import COMPOSE, Backend
from dissever.harness.cluster.compose import tool
from dissever.harness.cluster.compose.project import Project, read
from dissever.harness.missing import Missing
from dissever.harness.options import Option, unknown, values
from dissever.harness.plan import Options
from dissever.harness.references import sha256
from dissever.harness.runner import CannotRun
from dissever.harness.system import Ports
from dissever.systems.clients import STORES, ClientKind, drivers, lacks
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.clients.kinds import kind_of, named_kind
from dissever.systems.subclass import describe, folder_of
from dissever.workloads import WORKLOADS

if TYPE_CHECKING:
    from dissever.harness.cluster.compose.cluster import ComposeCluster

__all__ = ["Compose", "from_file"]

START_LIMIT_S: Final = 60.0

AUTO: Final = "auto"
YES: Final = "yes"
NO: Final = "no"

CLIENT: Final = Option(
    "the client: a class such as client.py:KvClient, or the command of a program"
)

OPTIONS: Final[Mapping[str, Option]] = {
    "client-port": Option(
        "the TCP port on which services serve clients; by default those that the file publishes or"
        " exposes for all of them",
        least=1,
        most=65535,
    ),
    "peer-port": Option(
        "the TCP port on which services hear each other, for faults of their connections",
        least=1,
        most=65535,
    ),
    "attach": Option(
        "whether a project of the file that is up is used, and left as it was found: if there is"
        " one, always, or never",
        default=AUTO,
        choices=(AUTO, YES, NO),
    ),
    "project": Option("the name of a project that is up, to attach to it"),
}


class Compose:
    """
    A system whose nodes are services of a Compose project; a user's subclass fills it in.

    Attributes:
        file: The Compose file, relative to the folder of the class's file.
        nodes: The services that are nodes; none: all that publish or expose a port.
        client_ports: TCP ports where nodes serve clients; the first is the one of
            `Endpoint.address`. None: as the option `client-port` says, or the file.
        peer_ports: TCP ports where nodes hear each other.
        options: Options of the system's own, added to those of every Compose project. Clients find
            them in `Endpoint.options`.
        variables: Variable of the Compose file -> the option of the system's own that is its value.
        driver: The module of the driver that its client imports; without it the system cannot run.
            Its version is kept with the run.
        client: A plain class, or another kind of client such as `Program("./client")`.
        start_limit_s: How long it may take until all nodes serve, once the project is up.
    """

    name: str = "compose"
    description: str = "a Compose project"
    stores: tuple[str, ...] | None = None
    backends: tuple[Backend, ...] = (COMPOSE,)
    options: Mapping[str, Option] = OPTIONS

    file: str | Path = "compose.yaml"
    nodes: ClassVar[Sequence[str]] = ()
    client_ports: ClassVar[Sequence[int]] = ()
    peer_ports: ClassVar[Sequence[int]] = ()
    variables: ClassVar[Mapping[str, str]] = {}
    driver: ClassVar[str] = ""
    client: Any = None
    start_limit_s: ClassVar[float] = START_LIMIT_S

    def __init_subclass__(cls) -> None:
        cls.options = {**OPTIONS, **cls.options}
        describe(cls)

    def __init__(self) -> None:
        """The kind of its clients is looked at; `check` says what is wrong with it."""
        self._projects: dict[tuple[str, ...], Project] = {}
        if self.client is not None and "stores" not in vars(type(self)):
            with contextlib.suppress(ValueError):
                self.stores = kind_of(type(self).client, self.here).stores

    @property
    def here(self) -> Path:
        """The folder of the file that the class stands in."""
        return folder_of(type(self))

    @property
    def path(self) -> Path:
        """Where the Compose file is."""
        return self.here / self.file

    def project(self, options: Options | None = None) -> Project:
        """
        What the file says, as the tool reads it. Blocks when it is asked for first.

        Args:
            options: What its variables are; None: the defaults.

        Raises:
            ValueError: In one line, when there is no such file, or it is none of Compose's.
        """
        variables = self._variables(options)
        key = tuple(variables.values())
        if key not in self._projects:
            if not self.path.is_file():
                raise ValueError(f"expected a Compose file, found none at {self.path}")
            if (found := tool.find()) is None:
                raise ValueError(f"{self.path.name} cannot be read: {tool.probe()}")
            profiles = os.environ.get("COMPOSE_PROFILES", "").split(",")
            try:
                config = replace(found, variables=variables).config(self.path)
                self._projects[key] = read(self.path, config, profiles)
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else error
                raise ValueError(f"{self.path.name} is not read: {why}") from error
        return self._projects[key]

    def default_nodes(self) -> tuple[str, ...]:
        """Those of the class, or every service that publishes or exposes a port."""
        found = tuple(self.nodes) or self.project().serving()
        if not found:
            raise ValueError(
                f"expected --nodes with services of {self.path.name}: none publishes or exposes a"
                " port"
            )
        return found

    def clients(self, options: Options) -> ClientKind:
        """
        What makes its clients.

        Raises:
            ValueError: When there is none, or it is of no kind that is known.
        """
        if self.client is not None:
            return kind_of(type(self).client, self.here)
        given = options.system_options.get("client")
        if given is None:
            expected = "expected --client, such as client.py:KvClient or ./client"
            raise ValueError(f"{expected}, with the Compose file {self.path.name}, got none")
        return named_kind((str(given),))

    def ports(self, options: Options) -> tuple[int, ...]:
        """
        Where nodes serve clients.

        Raises:
            ValueError: When nothing says it.
        """
        if (given := options.system_options.get("client-port")) is not None:
            return (int(given),)
        found = tuple(self.client_ports) or self.project(options).ports(options.nodes)
        if not found:
            raise ValueError(
                f"expected --client-port: {self.path.name} names no port that all of"
                f" {', '.join(options.nodes)} publish or expose"
            )
        return found

    def check(self, options: Options) -> None:
        given = options.system_options
        if given.get("project") is not None and given.get("attach") == NO:
            raise ValueError(
                "expected --project or --attach no, got both: one that is not up has"
                " a name of its own"
            )
        self.project(options).check(options.nodes)
        self.ports(options)
        kind, workload = self.clients(options), WORKLOADS[options.workload]
        is_served = kind.stores is None or workload.store in kind.stores
        if not is_served and not (workload.methods and all(map(kind.has, workload.methods))):
            methods = STORES.get(workload.store, workload.methods)
            raise ValueError(
                f"expected a client with {', '.join(methods)} for the workload {options.workload},"
                f" got one without {', '.join(name for name in methods if not kind.has(name))}"
            )

    def lacks(self, options: Options) -> Mapping[type, str]:
        found = lacks(self.clients(options).has)
        if not self.peer_ports and options.system_options.get("peer-port") is None:
            found[Ports] = "nothing says on which port its services hear each other (--peer-port)"
        return found

    def voters(self, options: Options) -> tuple[str, ...]:
        return options.nodes

    def probe(self, options: Options | None = None) -> Missing | None:
        """Why it cannot run here: no engine, no tool of Compose, or no client."""
        if (missing := backends.probe(COMPOSE)) is not None or options is None:
            return missing
        return drivers.probe(self.name, self.driver) or self.clients(options).probe()

    def versions(self, options: Options | None = None) -> dict[str, str]:
        """The tool, the digest of the file, and the images of the nodes as far as they are here."""
        found = {"compose": str(tool.find()), **drivers.versions(self.driver)}
        if options is None:
            return found
        return {**found, self.path.name: f"sha256:{sha256(self.path)}", **self._images(options)}

    @asynccontextmanager
    async def deploy(
        self, options: Options, directory: Path, rng: Random
    ) -> AsyncIterator[ClientsDeployment]:
        async with await self._open(options, directory) as cluster:
            peer_port = options.system_options.get("peer-port")
            deployment = ClientsDeployment(
                cluster,
                self.clients(options),
                client_ports=self.ports(options),
                peer_ports=self.peer_ports if peer_port is None else (int(peer_port),),
                options=values(self.options, options.system_options),
            )
            async with deployment.running(self.name, self.start_limit_s, self.form):
                yield deployment

    async def form(self, deployment: ClientsDeployment) -> None:
        """What a subclass does once all services are up, and before they must serve."""

    async def _open(self, options: Options, directory: Path) -> ComposeCluster:
        from dissever.harness.cluster.compose.cluster import ComposeCluster, Source  # Docker's SDK.

        found = tool.find()
        assert found is not None  # `probe` has seen it.
        attach_to = await asyncio.to_thread(self._attach_to, options)
        used = replace(found, variables=self._variables(options))
        source = Source(used, self.project(options), attach_to)
        return await ComposeCluster.open(options.nodes, directory, source)

    def _variables(self, options: Options | None) -> dict[str, str]:
        own = values(self.options, options.system_options if options else {})
        for variable, name in self.variables.items():
            if name not in own:
                raise ValueError(unknown(f"option for the variable {variable}", name, own))
        return {variable: str(own[name]) for variable, name in self.variables.items()}

    def _attach_to(self, options: Options) -> str | None:
        """The name of the project that is up, if one is to be used. Blocks. Raises CannotRun."""
        from dissever.harness.cluster import engine
        from dissever.harness.cluster.compose.cluster import is_up, running

        how, named = options.system_options.get("attach"), options.system_options.get("project")
        with contextlib.closing(engine.connect()) as client:
            if named is not None:
                if not is_up(client, str(named)):
                    raise CannotRun(f"expected a project {named} that is up, found none")
                return str(named)
            up = sorted(running(client, self.path)) if how != NO else []
        if len(up) > 1:
            projects = ", ".join(up)
            raise CannotRun(f"expected --project: {self.path.name} is up as {projects}")
        if how == YES and not up:
            raise CannotRun(f"expected a project of {self.path.name} that is up, found none")
        return up[0] if up else None

    def _images(self, options: Options) -> dict[str, str]:
        from dissever.harness.cluster import engine

        found = {}
        try:
            for node in options.nodes:
                image = self.project(options).services[node].image
                found[f"image of {node}"] = f"{image or 'built'} {engine.image_id(image)}".strip()
        except ClusterLost:
            pass
        return found


def from_file(path: str) -> Compose:
    """The system that a Compose file is, with a client that comes as an option."""

    class Found(Compose):
        name = Path(path).name
        description = f"the Compose project of {path}"
        file = Path(path).absolute()
        options: Mapping[str, Option] = {"client": CLIENT}

    return Found()
