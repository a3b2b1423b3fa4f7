"""What `-f standard` and `-f all` stand for."""

from __future__ import annotations

from dissever.harness.cluster import Clocks, DiskFaults, NodeTimes
from dissever.harness.missing import Missing
from dissever.harness.plan import Skipped
from dissever.harness.system import Membership
from dissever.nemesis import ALL, FAULTS, STANDARD, Backend, Fault, parse, possible, preset

REAL = Backend.NAMESPACES
KERNEL = Missing("the kernel has no sch_netem", "another kernel")


def names(asked: str, backend: Backend, *, nodes: int = 5, budget: int = 2) -> tuple[str, ...]:
    return possible(preset([asked], backend), backend, {}, nodes=nodes, budget=budget)[0]


def whole_machine(fault: Fault, backend: Backend) -> Missing | None:
    return None


def test_the_standard_ones_fit_their_backend() -> None:
    for backend in Backend:
        assert names(STANDARD, backend) == preset([STANDARD], backend)
        assert names(STANDARD, backend)[:3] == ("partition", "kill", "pause")
    assert names(STANDARD, REAL) == ("partition", "kill", "pause")
    assert len(names(STANDARD, Backend.SIMULATED)) == 10


def test_all_is_every_fault_of_ours_the_standard_ones_first() -> None:
    for backend in Backend:
        every = preset([ALL], backend)

        assert set(every) == set(FAULTS.own)
        assert every[: len(preset([STANDARD], backend))] == preset([STANDARD], backend)


def test_what_is_chosen_of_all_can_be_in_one_plan() -> None:
    for backend in Backend:
        chosen = names(ALL, backend)

        assert parse(chosen, backend)
        assert len(chosen) > 20


def test_what_the_backend_cannot_do_and_what_contradicts_is_left_out_with_its_reason() -> None:
    chosen, skipped = possible(preset([ALL], REAL), REAL, {}, nodes=5, budget=2)
    reasons = {each.capability: each.reason for each in skipped}

    assert set(chosen) | set(reasons) == set(FAULTS.own)
    assert "clock-jump" in chosen
    assert reasons["monotonic-drift"] == "it cannot be in one plan with clock-jump"
    assert reasons["out-of-memory"] == "only simulated nodes can have it"


def test_what_a_system_lacks_is_left_out() -> None:
    lacks: dict[type, str] = {DiskFaults: "no", NodeTimes: "no", Membership: "no members"}
    simulated = Backend.SIMULATED
    chosen, skipped = possible(preset([STANDARD], simulated), simulated, lacks, nodes=5, budget=2)

    assert chosen == ("partition", "kill", "pause", "packet-loss", "netem-duplicate")
    assert Skipped("replace-member", "no members", "choose another system") in skipped


def test_without_clocks_of_the_wall_the_monotonic_ones_are_chosen() -> None:
    lacks: dict[type, str] = {Clocks: "it reads no wall clock"}
    chosen, _ = possible(preset([ALL], REAL), REAL, lacks, nodes=5, budget=2)

    assert "clock-jump" not in chosen


def test_what_the_budget_does_not_allow_is_left_out() -> None:
    chosen = names(STANDARD, Backend.SIMULATED, nodes=2, budget=0)

    assert "kill" not in chosen
    assert "partition" in chosen


def test_what_the_machine_lacks_is_left_out_of_all_and_not_of_the_standard_ones() -> None:
    def machine(fault: Fault, _: Backend) -> Missing | None:
        return KERNEL if fault.name.startswith("netem") else None

    chosen, skipped = possible(preset([ALL], REAL), REAL, {}, nodes=5, budget=2, machine=machine)

    assert not any(name.startswith("netem") for name in chosen)
    assert Skipped("netem-loss", KERNEL.reason, KERNEL.remedy) in skipped
    assert "netem-loss" in names(ALL, REAL)
