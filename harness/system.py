"""What the harness asks of a system under test: nodes that run, stores that workloads drive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Protocol

from dissever.harness.cluster import Cluster
from dissever.harness.missing import Missing
from dissever.harness.plan import Options


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One that a node holds. `is_installed`: it came from another node, in place of the log."""

    name: str
    is_installed: bool


class Role(StrEnum):
    """What a node is in its cluster."""

    VOTER = "voter"
    STAND_BY = "stand-by"
    """It holds everything and does not vote."""

    SPARE = "spare"


class Members(Protocol):
    """
    Who belongs to the cluster of a system. A change returns once the system itself says it is so.

    Raises, from every method: OSError or TimeoutError, when it is not so in time.
    """

    async def leader(self) -> str | None:
        """Who leads, as most say; None when nobody does."""
        ...

    async def roles(self) -> Mapping[str, Role]:
        """Node -> its role, for those that are members."""
        ...

    async def remove(self, node: str) -> None:
        """Take a node out. Nothing when it is none."""
        ...

    async def add(self, node: str, role: Role) -> None:
        """Take a node in that runs, empty."""
        ...

    async def assign(self, node: str, role: Role) -> None:
        """Give a member another role."""
        ...

    async def transfer(self, node: str) -> None:
        """Ask the leader to hand over to a node; whether it does is for the caller to see."""
        ...

    async def wipe(self, node: str) -> None:
        """Forget everything that a node held, which must not run."""
        ...

    async def start(self, node: str) -> None:
        """Start a node that was wiped."""
        ...


class Builds(Protocol):
    """Which build of the system each node runs, by whatever name the system gives it."""

    @property
    def newer(self) -> str | None:
        """The build that nodes can be upgraded to; None when there is none."""
        ...

    def of(self, node: str) -> str:
        """The build that a node runs, or ran before it ended."""
        ...

    async def upgrade(self, node: str) -> None:
        """Start a node that does not run, with the newer build and all that it holds."""
        ...

    async def running(self, node: str) -> Mapping[str, Any]:
        """
        What the kernel says that the node's process has loaded: `path` and `sha256` of the library.

        Empty when that cannot be seen.
        """
        ...


class Deployment(Protocol):
    """A system that runs on a cluster."""

    @property
    def builds(self) -> Builds | None:
        """Which build each node runs; None where there is but one."""
        ...

    @property
    def members(self) -> Members | None:
        """How its members change; None where they cannot."""
        ...

    @property
    def cluster(self) -> Cluster:
        """The hosts that it runs on."""
        ...

    @property
    def peer_ports(self) -> tuple[int, ...]:
        """Where nodes listen for each other; nothing when they have no ports."""
        ...

    @property
    def client_ports(self) -> tuple[int, ...]:
        """Where nodes listen for clients; nothing when they have no ports."""
        ...

    async def primaries(self) -> tuple[str, ...]:
        """The names of the nodes that claim to lead now, best effort, in order of the nodes."""
        ...

    async def answers(self, node: str) -> bool:
        """Whether the node's process answers a request now; takes a second at most."""
        ...

    async def snapshots(self) -> Mapping[str, frozenset[Snapshot]]:
        """Node -> the snapshots that it holds; empty when nobody can say."""
        ...

    async def await_ready(self, timeout_s: float) -> Mapping[str, Any]:
        """
        Wait until every node answers and agrees who leads.

        Returns:
            What was seen, as JSON values.

        Raises:
            TimeoutError: When it is not so in time; the message says what is missing.
        """
        ...

    async def await_progress(self, nodes: Sequence[str], timeout_s: float) -> Mapping[str, Any]:
        """
        Wait until a write by way of these nodes is acknowledged, whatever the others do.

        Returns:
            What was seen, as JSON values.

        Raises:
            TimeoutError: When none is in time; the message says what is missing.
        """
        ...

    async def replicas(self) -> Mapping[str, str] | None:
        """
        Node -> a digest of everything that it holds, or in words why it gives none.

        Two nodes with the same digest hold the same. None: the system offers no dump.
        """
        ...

    async def open_store(self, workload: str, node: str) -> Any:
        """
        A store for a workload, by way of a node: what the workload's client is made of.

        Raises:
            Exception: Anything, when the node cannot serve it: nothing was sent then.
        """
        ...


class System(Protocol):
    """One system under test: how to run it, and what it can serve."""

    name: str
    description: str
    workloads: tuple[str, ...]
    is_virtual: bool
    """Whether it runs on the virtual clock."""

    backends: tuple[str, ...]
    """Where its nodes can run; first where they do unless told otherwise."""

    options: Mapping[str, str]
    """Its own options, by name, with a line each."""

    def check(self, options: Options) -> None:
        """
        Look at the options before anything runs.

        Raises:
            ValueError: With what was expected, and what came.
        """
        ...

    def voters(self, options: Options) -> tuple[str, ...]:
        """The nodes whose majority decides when a run begins: most often all."""
        ...

    def probe(self, options: Options | None = None) -> Missing | None:
        """Why it cannot run on this machine as the options say, or None; None: as by default."""
        ...

    def versions(self, options: Options | None = None) -> dict[str, str]:
        """The versions of what runs, by name, where `probe` finds nothing missing."""
        ...

    def deploy(
        self, options: Options, directory: Path, rng: Random
    ) -> AbstractAsyncContextManager[Deployment]:
        """Start every node and wait until they form one cluster; end everything on exit."""
        ...
