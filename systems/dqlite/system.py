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
from dissever.systems.dqlite import builds, images
from dissever.systems.dqlite.deployment import (
    LATENCY_MS,
    PORT,
    START_LIMIT_S,
    DqliteDeployment,
    voters_of,
)

if TYPE_CHECKING:
    from dissever.harness.cluster.containers import ContainersCluster

CONSISTENCIES = ("leader", "quorum")

_PLAIN = Options(system="dqlite", workload="set")
"""This machine's library in namespaces."""


class DqliteSystem:
    """Implements `System` on namespaces and containers."""

    name = "dqlite"
    description = "SQLite replicated by Raft: this machine's libdqlite, or that of an image"
    workloads = ("register", "set")
    is_virtual = False
    backends = (backends.NAMESPACES, backends.CONTAINERS)
    options: Mapping[str, str] = {
        "latency-ms": f"latency that the nodes assume ({LATENCY_MS}); elections take 15 times it",
        "voters": "how many nodes vote (all); the others stand by",
        "version": "in containers: "
        + ", ".join(f"{name} ({what})" for name, what in images.VERSIONS.items())
        + f"; {images.DEFAULT} unless told; in namespaces: the path of a library; "
        "several, with commas, are dealt to the nodes",
        "upgrade-to": "the version that the fault upgrade gives to nodes",
    }

    def check(self, options: Options) -> None:
        if options.consistency not in CONSISTENCIES:
            raise ValueError(
                f"expected a consistency out of {', '.join(CONSISTENCIES)}, "
                f"got {options.consistency!r}"
            )
        latency = options.system_options.get("latency-ms", LATENCY_MS)
        if not isinstance(latency, int) or not 1 <= latency <= 10_000:
            raise ValueError(f"expected latency-ms from 1 to 10000, got {latency!r}")
        builds.check(options)
        voters, count = options.system_options.get("voters", 1), len(options.nodes)
        if not isinstance(voters, int) or not 1 <= voters <= count:
            raise ValueError(f"expected voters from 1 to {count}, got {voters!r}")

    def voters(self, options: Options) -> tuple[str, ...]:
        return voters_of(options)

    def probe(self, options: Options | None = None) -> Missing | None:
        return builds.missing(options or _PLAIN)

    def versions(self, options: Options | None = None) -> dict[str, str]:
        return builds.described(options or _PLAIN)

    @asynccontextmanager
    async def deploy(
        self, options: Options, directory: Path, rng: Random
    ) -> AsyncIterator[DqliteDeployment]:
        async with await _open(options, directory) as cluster:
            deployment = DqliteDeployment(cluster, options, rng)
            try:
                await deployment.start()
            except (dqlite.DqliteError, OSError, RuntimeError) as error:
                told = str(error) or f"not ready within {START_LIMIT_S:g} s"
                raise CannotRun(f"dqlite did not start: {told}") from error
            yield deployment


async def _open(options: Options, directory: Path) -> NamespacesCluster | ContainersCluster:
    if options.backend == backends.CONTAINERS:
        from dissever.harness.cluster.containers import ContainersCluster  # Needs the Docker SDK.

        return await ContainersCluster.open(options.nodes, directory, options.hosts, ports=[PORT])
    return await NamespacesCluster.open(options.nodes, directory, options.hosts)
