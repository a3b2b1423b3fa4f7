"""What `-f default` stands for."""

from __future__ import annotations

from dissever.harness.cluster import DiskFaults, NodeTimes
from dissever.harness.system import Membership
from dissever.nemesis import FAULTS, Backend, default_faults


def test_all_of_them_fit_their_backend() -> None:
    for backend in Backend:
        names = default_faults(backend, {}, nodes=5, budget=2)

        assert set(names) <= set(FAULTS)
        assert names[:3] == ("partition", "kill", "pause")
    assert len(names) > 3


def test_what_a_system_lacks_is_left_out() -> None:
    lacks: dict[type, str] = {DiskFaults: "no", NodeTimes: "no", Membership: "no"}
    names = default_faults(Backend.SIMULATED, lacks, nodes=5, budget=2)

    assert names == ("partition", "kill", "pause", "packet-loss", "netem-duplicate")


def test_what_the_budget_does_not_allow_is_left_out() -> None:
    names = default_faults(Backend.SIMULATED, {}, nodes=2, budget=0)

    assert "kill" not in names
    assert "partition" in names
