"""
The real libraft, or the raft inside libdqlite: the system `raft`.

In a simulator the servers are the library's own code, and their network, disks, clocks and memory
are simulated. In namespaces they are processes with the library's own I/O (`nodes.py`). On both,
the state machine is ours: registers and a set. Reads through the log make it linearizable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

from dissever.harness.cluster import Clocks
from dissever.harness.cluster.backends import NAMESPACES, SIMULATED
from dissever.harness.cluster.simulator import simulated
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.harness.runner import CannotRun
from dissever.harness.system import Ports, Upgrades
from dissever.harness.trace import Trace
from dissever.systems.clients.deployment import ClientsDeployment
from dissever.systems.raft import programs
from dissever.systems.raft.deployment import RaftDeployment
from dissever.systems.raft.nodes import RaftNodes
from dissever.systems.raft.options import OPTIONS, check_options, settings_of, variant_of
from dissever.systems.raft.stores import STORES

SEED_BITS: Final = 63


class RaftSystem:
    """Implements `System`, on simulated hosts and on real ones."""

    name = "raft"
    description = "the real libraft, or the raft inside libdqlite: in virtual time, or as processes"
    stores = tuple(STORES)
    backends = (SIMULATED, NAMESPACES)
    options = OPTIONS

    def __init__(self) -> None:
        self._nodes = RaftNodes()

    def check(self, options: Options) -> None:
        check_options(options)

    def lacks(self, options: Options) -> Mapping[type, str]:
        if options.backend == NAMESPACES:
            return self._nodes.lacks(options)
        return {
            Upgrades: "one library runs in a simulator",
            Ports: "its nodes have no ports",
            Clocks: "it reads no wall clock",
        }

    def voters(self, options: Options) -> tuple[str, ...]:
        return options.nodes

    def probe(self, options: Options | None = None) -> Missing | None:
        """For a run a missing program is built; None, which only asks, looks for it."""
        if options is not None and options.backend == NAMESPACES:
            return self._nodes.probe(options)
        found = programs.program(variant_of(options), may_build=options is not None)
        return found if isinstance(found, Missing) else None

    def versions(self, options: Options | None = None) -> dict[str, str]:
        return programs.described(variant_of(options))

    @asynccontextmanager
    async def deploy(
        self, options: Options, directory: Path, rng: Random
    ) -> AsyncIterator[RaftDeployment | ClientsDeployment]:
        if options.backend == NAMESPACES:
            async with self._nodes.deploy(options, directory, rng) as nodes:
                yield nodes
            return
        program = programs.program(variant_of(options))
        if isinstance(program, Missing):
            raise CannotRun(f"{program.reason}; {program.remedy}")
        opened = simulated(
            (str(program),),
            options.nodes,
            directory,
            seed=rng.getrandbits(SEED_BITS),
            settings=settings_of(options.system_options),
            trace=Trace(is_on=options.trace),
        )
        async with opened as cluster:
            deployment = RaftDeployment(cluster, options)
            await deployment.start()
            yield deployment
