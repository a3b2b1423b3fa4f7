"""What each deployment offers beyond what every one does, and stores that fit the workloads."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.system import (
    Deployment,
    Membership,
    Ports,
    Primaries,
    Replicas,
    Snapshots,
    Upgrades,
)
from dissever.systems import SYSTEMS, load
from dissever.systems.dqlite.deployment import DqliteDeployment
from dissever.systems.simulated import SimulatedDeployment
from dissever.workloads import WORKLOADS, served_by

ABILITIES = (Membership, Ports, Primaries, Replicas, Snapshots, Upgrades)


def offered(deployment: object) -> set[type]:
    return {each for each in ABILITIES if isinstance(deployment, each)}


def test_simulated_store_has_leaders_members_snapshots_and_replicas(tmp_path: Path) -> None:
    cluster = SimulatedCluster(["n1"], lambda *_: None, Random(1), tmp_path)  # type: ignore[arg-type, return-value]
    deployment: Deployment = SimulatedDeployment(cluster)

    assert offered(deployment) == {Membership, Primaries, Replicas, Snapshots}


def test_dqlite_offers_everything() -> None:
    deployment = DqliteDeployment.__new__(DqliteDeployment)
    deployment.members = deployment.builds = None  # type: ignore[assignment]

    assert offered(deployment) == set(ABILITIES)


@pytest.mark.parametrize("name", SYSTEMS)
def test_system_serves_the_workloads_that_it_has_stores_for(name: str) -> None:
    system = load(name)

    assert {"register", "set"} <= set(served_by(system))
    if name in ("simulated", "postgres"):
        assert served_by(system) == tuple(WORKLOADS)
