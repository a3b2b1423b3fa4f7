"""
dqlite in virtual time: the nodes run in a simulator, and so does what they run on.

The code of the nodes is that of a release of libdqlite, from the gateway down to Raft and SQLite.
What is simulated is the network, the disk, the clock and the event loop: `native/simulation/`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import dqlite
from dissever.harness.cluster import Clocks
from dissever.harness.cluster.simulator import SimulatorCluster, address, simulated
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.harness.runner import CannotRun
from dissever.harness.system import Builds, Ports, Replica, Snapshot, Upgrades
from dissever.harness.trace import Trace
from dissever.systems.dqlite.database import digest_of
from dissever.systems.dqlite.hosts import PORT, SNAPSHOT_THRESHOLD, SNAPSHOT_TRAILING
from dissever.systems.dqlite.options import EXAGGERATED, LIBRARIES, option
from dissever.systems.raft import programs

__all__ = ["LACKS", "SimulatedHosts", "begin", "described", "missing", "opened", "variant"]

_EXAGGERATED: Final = {"snapshot_threshold": "32", "snapshot_trailing": "32"}
"""Hardly any deployment has these, but `dqlite_node_set_snapshot_params` allows them."""


LACKS: Final[Mapping[type, str]] = {
    Ports: "simulated nodes of dqlite have no ports",
    Upgrades: "a simulator runs one library",
    Clocks: "dqlite reads no wall clock that matters to its answers",
}


def variant(options: Options) -> str:
    """The simulator that runs these options, as `systems.raft.libraries` names it."""
    return f"dqlite-{option(options, 'library') or LIBRARIES[0]}"


def begin(options: Options) -> Mapping[str, str]:
    """What the simulator is told: the times of a node that assumes a latency, and its snapshots."""
    latency_ms = option(options, "latency-ms")
    addresses = {
        f"address.{number + 1}": f"{address(number)}:{PORT}" for number in range(len(options.nodes))
    }
    told = {
        **addresses,
        "bootstrap": "first",
        "heartbeat_ms": str(latency_ms * 15 // 10),
        "election_ms": str(latency_ms * 15),
        "snapshot_threshold": str(SNAPSHOT_THRESHOLD),
        "snapshot_trailing": str(SNAPSHOT_TRAILING),
        "work_us_min": "20",  # A statement of SQL, in a thread of its own.
        "work_us_max": "400",
    }
    return told | _EXAGGERATED if option(options, "timings") == EXAGGERATED else told


def missing(options: Options) -> Missing | None:
    """Why the simulator of these options cannot be built here, or None. Builds it; blocks."""
    built = programs.program(variant(options))
    return built if isinstance(built, Missing) else None


def described(options: Options) -> dict[str, str]:
    """What runs, for the plan."""
    return programs.described(variant(options))


@asynccontextmanager
async def opened(options: Options, directory: Path, rng: Random) -> AsyncIterator[SimulatedHosts]:
    """
    Hosts that run until the block ends.

    Raises:
        CannotRun: When there is no simulator.
        OSError: When it does not start.
    """
    program = programs.program(variant(options))
    if isinstance(program, Missing):
        raise CannotRun(f"{program.reason}; {program.remedy}")
    async with simulated(
        [str(program)],
        options.nodes,
        directory,
        seed=rng.getrandbits(64),
        settings=begin(options),
        trace=Trace(is_on=options.trace),
    ) as cluster:
        yield SimulatedHosts(cluster, cluster.library)


class SimulatedHosts:
    """Implements `DqliteHosts` in a simulator."""

    def __init__(self, cluster: SimulatorCluster, library: str) -> None:
        self.cluster = cluster
        self._library = library

    def builds(self, start: Callable[[str], Awaitable[None]]) -> _OneBuild:
        return _OneBuild(self._library)

    async def start(self, node: str, node_id: int, address: str, builds: Builds) -> None:
        """The simulator gives out the same ids and addresses."""
        await self.cluster.start(node)

    async def dial(self, node: str, timeout_s: float) -> dqlite.Attach:
        return partial(self.cluster.connect, node, timeout_s=timeout_s)

    async def snapshots(self, node: str) -> frozenset[Snapshot]:
        """The one that it holds, and those that it has ever installed."""
        server = self.cluster.look(node)
        installed = {Snapshot(f"installed-{i + 1}", True) for i in range(server.installed)}
        held = {Snapshot(f"snapshot-{server.snapshot}", False)} if server.snapshot else set()
        return frozenset(installed | held)

    async def wipe(self, node: str) -> None:
        self.cluster.wipe(node)

    async def digest(self, node: str, files: Mapping[str, bytes]) -> Replica:
        """Not in a thread: in virtual time there are none."""
        return digest_of(files, self.cluster.directory(node).parent)

    async def lack(self) -> str:
        return ""


class _OneBuild:
    """Implements `Builds`: all nodes run the same library, since they are in one process."""

    newer: str | None = None

    def __init__(self, library: str) -> None:
        self._library = library

    def of(self, node: str) -> str:
        return self._library

    async def upgrade(self, node: str) -> None:
        raise OSError(0, "a simulator runs one library")

    async def running(self, node: str) -> Mapping[str, Any]:
        return {}
