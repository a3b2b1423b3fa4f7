"""What each backend says that can be done to its hosts, and what its class can do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from dissever.harness.cluster import (
    Allocations,
    ClientLinks,
    Clocks,
    Cluster,
    DiskFaults,
    Disks,
    HostCommands,
    Impairments,
    Links,
    NodeProcesses,
    NodeTimes,
    ResourceLimits,
    Sockets,
)
from dissever.harness.cluster.backends import Backend
from dissever.harness.cluster.compose.cluster import ComposeCluster
from dissever.harness.cluster.containers import ContainersCluster
from dissever.harness.cluster.namespaces import NamespacesCluster
from dissever.harness.cluster.simulated import SimulatedCluster

VIRTUAL = {Impairments, DiskFaults, NodeTimes, Allocations, ClientLinks}
"""Of these, a simulated cluster has those that its system does not say it lacks."""

ABILITIES = VIRTUAL | {NodeProcesses, Links, Sockets, HostCommands, ResourceLimits, Disks, Clocks}

CLASSES = {
    Backend.NAMESPACES: NamespacesCluster,
    Backend.CONTAINERS: ContainersCluster,
    Backend.COMPOSE: ComposeCluster,
    Backend.SIMULATED: SimulatedCluster,
}


def members(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


@pytest.mark.parametrize("backend", Backend)
def test_class_of_a_backend_has_the_abilities_that_it_says(backend: Backend) -> None:
    has = {each for each in ABILITIES if members(each) <= set(dir(CLASSES[backend]))}

    if backend is Backend.SIMULATED:
        has |= VIRTUAL
    assert has == backend.abilities
    assert CLASSES[backend].backend is backend


@pytest.mark.parametrize("backend", Backend)
def test_backend_has_no_part_of_an_ability_that_it_lacks(backend: Backend) -> None:
    lacking = ABILITIES - backend.abilities

    assert not set().union(*map(members, lacking)) & set(dir(CLASSES[backend]))


def test_ability_of_a_simulated_cluster_is_seen_by_isinstance(tmp_path: Path) -> None:
    cluster = SimulatedCluster(["n1"], lambda *_: None, Random(1), tmp_path)  # type: ignore[arg-type, return-value]

    assert isinstance(cluster, Cluster)
    can = {each for each in ABILITIES if isinstance(cluster, each)}
    assert can | VIRTUAL == Backend.SIMULATED.abilities


@pytest.mark.cluster
@pytest.mark.usefixtures("namespaces_work")
def test_ability_of_real_hosts_is_seen_by_isinstance(tmp_path: Path) -> None:
    async def main() -> set[type]:
        async with await NamespacesCluster.open(["n1"], tmp_path) as cluster:
            return {each for each in (*ABILITIES, Cluster) if isinstance(cluster, each)}

    assert asyncio.run(main()) == Backend.NAMESPACES.abilities | {Cluster}
