"""dqlite: SQLite replicated by Raft, as a system under test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import dqlite
from dissever.harness.cluster import backends
from dissever.harness.cluster.namespaces import NamespacesCluster
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.harness.runner import CannotRun
from dissever.harness.system import Upgrades
from dissever.systems.dqlite import builds, simulated
from dissever.systems.dqlite.deployment import START_LIMIT_S, DqliteDeployment
from dissever.systems.dqlite.hosts import PORT, DqliteHosts, ProcessHosts
from dissever.systems.dqlite.members import DqliteMembers
from dissever.systems.dqlite.options import OPTIONS, check_backend, voters_of
from dissever.systems.dqlite.stores import STORES

if TYPE_CHECKING:
    from dissever.harness.cluster.containers import ContainersCluster

_PLAIN = Options(system="dqlite", workload="set")
"""This machine's library in namespaces."""


class DqliteSystem:
    """Implements `System` on namespaces, on containers, and in a simulator."""

    name = "dqlite"
    description = "SQLite replicated by Raft: this machine's libdqlite, or that of an image"
    stores = tuple(STORES)
    backends = (backends.NAMESPACES, backends.CONTAINERS, backends.SIMULATED)
    options = OPTIONS

    def check(self, options: Options) -> None:
        check_backend(options)
        builds.check(options)
        faults = {name.partition(":")[0] for name in options.faults}
        if "upgrade" in faults and options.system_options.get("upgrade-to") is None:
            raise ValueError("expected --upgrade-to VERSION with the fault upgrade, got none")
        voters, count = options.system_options.get("voters"), len(options.nodes)
        if isinstance(voters, int) and voters > count:
            raise ValueError(f"expected voters from 1 to {count}, got {voters!r}")

    def voters(self, options: Options) -> tuple[str, ...]:
        return voters_of(options)

    def lacks(self, options: Options) -> Mapping[type, str]:
        if options.backend == backends.SIMULATED:
            return simulated.LACKS
        if options.system_options.get("upgrade-to") is None:
            return {Upgrades: "no version to upgrade to was given (--upgrade-to VERSION)"}
        return {}

    def probe(self, options: Options | None = None) -> Missing | None:
        if options is not None and options.backend == backends.SIMULATED:
            return simulated.missing(options)
        return builds.missing(options or _PLAIN)

    def versions(self, options: Options | None = None) -> dict[str, str]:
        if options is not None and options.backend == backends.SIMULATED:
            return simulated.described(options)
        return builds.described(options or _PLAIN)

    @asynccontextmanager
    async def deploy(
        self, options: Options, directory: Path, rng: Random
    ) -> AsyncIterator[DqliteDeployment]:
        async with _opened(options, directory, rng) as hosts:
            deployment = DqliteDeployment(hosts, options, rng, DqliteMembers)
            try:
                await deployment.start()
            except (dqlite.DqliteError, OSError, RuntimeError) as error:
                said = str(error) or f"not ready within {START_LIMIT_S:g} s"
                reason = "; ".join(filter(None, (said, await hosts.lack())))
                raise CannotRun(f"dqlite did not start: {reason}") from error
            yield deployment


@asynccontextmanager
async def _opened(options: Options, directory: Path, rng: Random) -> AsyncIterator[DqliteHosts]:
    if options.backend == backends.SIMULATED:
        async with simulated.opened(options, directory, rng) as simulated_hosts:
            yield simulated_hosts
    else:
        async with await _open(options, directory) as cluster:
            yield ProcessHosts(cluster, options)


async def _open(options: Options, directory: Path) -> NamespacesCluster | ContainersCluster:
    if options.backend == backends.CONTAINERS:
        from dissever.harness.cluster.containers import ContainersCluster  # Needs the Docker SDK.

        return await ContainersCluster.open(options.nodes, directory, options.hosts, ports=[PORT])
    return await NamespacesCluster.open(options.nodes, directory, options.hosts)
