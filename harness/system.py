"""What the harness asks of a system under test: nodes that run, stores that workloads drive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from dissever.harness.cluster import Cluster
from dissever.harness.cluster.backends import Backend
from dissever.harness.missing import Missing
from dissever.harness.names import numbered
from dissever.harness.options import Option, checked_options, unknown
from dissever.harness.plan import Options


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that a node holds. `is_installed`: it came from another node."""

    name: str
    is_installed: bool


class Role(StrEnum):
    """What a node is in the cluster of its system."""

    VOTER = "voter"
    STAND_BY = "stand-by"
    """It holds all data and does not vote."""

    SPARE = "spare"


class Members(Protocol):
    """
    Who belongs to the cluster of a system. A change returns once the system itself reports it.

    Raises, from every method: OSError or TimeoutError, when that does not happen in time.
    """

    async def leader(self) -> str | None:
        """Who leads, as most say; None when nobody does."""

    async def roles(self) -> Mapping[str, Role]:
        """Node -> its role, for those that are members."""

    async def remove(self, node: str) -> None:
        """Take a node out. Does nothing when it is no member."""

    async def add(self, node: str, role: Role) -> None:
        """Take in a node that runs and holds nothing."""

    async def assign(self, node: str, role: Role) -> None:
        """Give a member another role."""

    async def transfer(self, node: str) -> None:
        """Ask the leader to hand over to a node; whether it does is for the caller to see."""

    async def wipe(self, node: str) -> None:
        """Remove all data of a node that does not run."""

    async def start(self, node: str) -> None:
        """Start a node that was wiped."""


class Builds(Protocol):
    """Which build of the system each node runs, by whatever name the system gives it."""

    @property
    def newer(self) -> str | None:
        """The build that nodes can be upgraded to; None when there is none."""

    def of(self, node: str) -> str:
        """The build that a node runs, or ran before it ended."""

    async def upgrade(self, node: str) -> None:
        """Start a node that does not run, with the newer build and the data that it holds."""

    async def running(self, node: str) -> Mapping[str, Any]:
        """
        What the kernel says that the node's process has loaded: `path` and `sha256` of the library.

        Empty when that cannot be seen.
        """


class Deployment(Protocol):
    """
    A system that runs on a cluster.

    What only some systems offer are abilities: `Ports`, `Primaries`, `Membership`, `Upgrades`,
    `Snapshots`, `Replicas`. A deployment has one by having its methods.

    Those that wait return what was seen, as JSON values, and raise TimeoutError when it does not
    come in time; the message says what is missing.
    """

    @property
    def cluster(self) -> Cluster:
        """The hosts that it runs on."""

    async def answers(self, node: str) -> bool:
        """Whether the node's process answers a request now; takes a second at most."""

    async def await_ready(self, timeout_s: float) -> Mapping[str, Any]:
        """Wait until every node answers and agrees who leads."""

    async def await_progress(self, nodes: Sequence[str], timeout_s: float) -> Mapping[str, Any]:
        """Wait until a write by way of these nodes is acknowledged, whatever the others do."""

    async def open_store(self, store: str, node: str) -> Any:
        """
        A store by way of a node: what a workload's client is made of.

        What has the methods of a `Client` is one, and takes the operations of any workload.

        Args:
            store: One of the system's `stores`.

        Raises:
            Exception: Anything, when the node cannot serve it: nothing was sent then.
        """


@runtime_checkable
class Ports(Protocol):
    """Its nodes listen on TCP ports."""

    @property
    def peer_ports(self) -> tuple[int, ...]:
        """Where nodes listen for each other."""

    @property
    def client_ports(self) -> tuple[int, ...]:
        """Where nodes listen for clients."""


@runtime_checkable
class NamesNodes(Protocol):
    """A system whose nodes have names of their own, such as the services of a Compose project."""

    def default_nodes(self) -> tuple[str, ...]:
        """
        The nodes of a run that names none.

        Raises:
            ValueError: When that cannot be said; the message says why, in one line.
        """


@runtime_checkable
class OffersMethods(Protocol):
    """A system whose stores are whatever methods its clients have."""

    def offers(self, method: str) -> bool:
        """Whether its clients have the method; asked by workloads that name those they call."""


@runtime_checkable
class Lacks(Protocol):
    """A system that knows before it runs what its deployments lack."""

    def lacks(self, options: Options) -> Mapping[type, str]:
        """
        Abilities of deployments, or of clusters for this system, that it has not -> why, in words.

        `Ports` means those where nodes hear each other; `Clocks`, that a wrong clock reaches nodes.
        """


@runtime_checkable
class Primaries(Protocol):
    """Its nodes can say whether they lead."""

    async def primaries(self) -> tuple[str, ...]:
        """The names of the nodes that claim to lead now, best effort, in order of the nodes."""


@runtime_checkable
class Membership(Protocol):
    """Its members can change."""

    @property
    def members(self) -> Members:
        """How they change."""


@runtime_checkable
class Upgrades(Protocol):
    """Its nodes can run different builds."""

    @property
    def builds(self) -> Builds:
        """Which build each node runs."""


@runtime_checkable
class Snapshots(Protocol):
    """It can be seen which snapshots its nodes hold."""

    async def snapshots(self) -> Mapping[str, frozenset[Snapshot]]:
        """Node -> the snapshots that it holds."""


@dataclass(frozen=True, slots=True)
class Digest:
    """Of everything that a node holds: two nodes with equal digests hold the same."""

    value: str

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Damaged:
    """A node holds what cannot be a right copy, whatever the others hold."""

    why: str

    def __str__(self) -> str:
        return f"damaged: {self.why}"


@dataclass(frozen=True, slots=True)
class Unseen:
    """It was not seen what a node holds. That says nothing about the node."""

    why: str

    def __str__(self) -> str:
        return f"no dump: {self.why}"


Replica: TypeAlias = Digest | Damaged | Unseen


@runtime_checkable
class Replicas(Protocol):
    """Its nodes can be compared."""

    async def replicas(self) -> Mapping[str, Replica]:
        """Node -> what was seen of everything that it holds."""


class System(Protocol):
    """One system under test: how to run it, and what it can serve."""

    name: str
    description: str
    stores: tuple[str, ...] | None
    """
    What it offers to workloads, by the names that they ask for, such as `registers`; None: its
    clients take the operations of any workload.
    """

    backends: tuple[Backend, ...]
    """Where its nodes can run; the first is the default."""

    options: Mapping[str, Option]
    """Its own options, by name."""

    def check(self, options: Options) -> None:
        """
        Look at what `checked_options` cannot see, such as whether options fit each other.

        Raises:
            ValueError: With what was expected, and what came.
        """

    def voters(self, options: Options) -> tuple[str, ...]:
        """The nodes whose majority decides when a run begins: most often all."""

    def probe(self, options: Options | None = None) -> Missing | None:
        """Why it cannot run on this machine as the options say, or None; None: as by default."""

    def versions(self, options: Options | None = None) -> dict[str, str]:
        """The versions of what runs, by name, where `probe` finds nothing missing."""

    def deploy(
        self, options: Options, directory: Path, rng: Random
    ) -> AbstractAsyncContextManager[Deployment]:
        """Start every node and wait until they form one cluster; end everything on exit."""


def default_nodes(system: System) -> tuple[str, ...]:
    """The nodes of a run that names none: those that the system names, or n1 to n5."""
    return system.default_nodes() if isinstance(system, NamesNodes) else numbered(5)


def checked(options: Options, system: System) -> Options:
    """
    The options with a value for every one of the system's own, once all are known to fit it.

    Raises:
        ValueError: One line with what was expected, and what came.
    """
    if options.backend not in system.backends:
        raise ValueError(unknown(f"backend of {system.name}", options.backend, system.backends))
    own = checked_options(system.name, system.options, options.system_options)
    options = msgspec.structs.replace(options, system_options=own)
    system.check(options)
    return options
