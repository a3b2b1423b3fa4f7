"""What drawn faults do to each other: whatever is mixed, each strikes what can be struck."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from dissever.nemesis import FAULTS, PlannedOp, plan
from dissever.nemesis.fault import struck_most
from dissever.nemesis.plans.planner import STEADY_S
from dissever.nemesis.targets import NODE_TARGETS, minority_size
from tests.nemesis.test_planner import intervals

DRAWN = tuple(name for name in FAULTS if not name.startswith("monotonic-"))
"""All that one plan can have; a node's clock either follows its wall clock or is left alone."""

SEEDS = range(60)


def mixture(seed: int) -> tuple[tuple[str, ...], int, tuple[PlannedOp, ...]]:
    """The faults, the number of nodes, and the plan."""
    rng = Random(f"mixture/{seed}")
    count = rng.choice((3, 5, 5, 7))
    faults = tuple(rng.sample(DRAWN, rng.randint(2, 10)))
    ops = plan(
        faults,
        nodes=tuple(f"n{i}" for i in range(1, count + 1)),
        seed=seed,
        interval_s=rng.choice((2.5, 5.0, 10.0)),
        time_limit_s=rng.choice((30.0, 60.0, 180.0)),
    )
    return faults, count, ops


def overlapping(
    ops: tuple[PlannedOp, ...],
) -> list[tuple[PlannedOp, list[PlannedOp]]]:
    """Each injection, with those of other faults that are in force at some time meanwhile."""
    pairs = intervals(ops)
    return [
        (
            first,
            [
                other
                for other, ends in pairs
                if other is not first
                and other.offset_ns <= last.offset_ns
                and ends.offset_ns >= first.offset_ns
            ],
        )
        for first, last in pairs
    ]


def most(strike: PlannedOp, count: int) -> int:
    """How many nodes a strike means at most."""
    if "targets" in strike.value:
        return len(strike.value["targets"])
    return struck_most(strike.value["spec"], count)


def down(ops: list[PlannedOp]) -> int:
    """How many nodes the injections take down together."""
    return sum(op.value["count"] for op in ops if FAULTS[op.process].takes_down)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_strike_means_a_node_that_another_fault_has_down(seed: int) -> None:
    _, count, ops = mixture(seed)

    for strike, others in overlapping(ops):
        fault = FAULTS[strike.process]
        if fault.takes_down:
            assert strike.value["count"] + down(others) <= minority_size(count)
        elif fault.targets is NODE_TARGETS:
            assert most(strike, count) + down(others) <= count


@pytest.mark.parametrize("seed", SEEDS)
def test_every_fault_that_was_asked_for_strikes(seed: int) -> None:
    faults, _, ops = mixture(seed)

    struck = {injection.process for injection, _ in intervals(ops)}
    assert struck == set(faults)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_strikes_or_heals_around_the_steps_of_a_change_of_members(seed: int) -> None:
    _, _, ops = mixture(seed)

    for strike, others in overlapping(ops):
        if FAULTS[strike.process].is_steady:
            healing = next(last for first, last in intervals(ops) if first is strike)
            ends = {id(first): last for first, last in intervals(ops)}
            for other in others:
                assert not FAULTS[other.process].is_steady
                assert other.offset_ns >= strike.offset_ns + STEADY_S * 1e9 - 10
                assert ends[id(other)].offset_ns <= healing.offset_ns - STEADY_S * 1e9 + 10


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_of_one_group_never_strike_together(seed: int) -> None:
    _, _, ops = mixture(seed)

    for strike, others in overlapping(ops):
        group = FAULTS[strike.process].group
        assert not group or all(FAULTS[other.process].group != group for other in others)


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_that_damage_nodes_for_good_strike_one_node_of_a_mixture(seed: int) -> None:
    _, _, ops = mixture(seed)

    strikes = [op for op in ops if FAULTS[op.process].damages and op.value]
    assert len({tuple(op.value["targets"]) for op in strikes}) <= 1
    assert all(len(op.value["targets"]) == 1 for op in strikes)


def test_a_fault_that_damages_nodes_strikes_as_asked_when_it_is_alone_or_has_a_target() -> None:
    settings: dict[str, Any] = {"nodes": ("n1", "n2", "n3"), "interval_s": 2.5, "time_limit_s": 90}
    alone = plan(["disk-truncate"], seed=1, **settings)
    asked = plan(["disk-truncate:majority", "kill"], seed=1, **settings)

    assert len({op.value["spec"] for op in alone if op.value}) > 3
    assert {op.value["spec"] for op in asked if op.process == "disk-truncate" and op.value} == {
        "majority"
    }


def test_a_transfer_that_lasts_keeps_its_share_in_the_next_episode() -> None:
    faults, limit_s = ("transfer", "pause", "kill"), 240.0
    settings: dict[str, Any] = {"nodes": ("n1", "n2", "n3", "n4", "n5"), "interval_s": 2.5}
    followed = crowded = 0
    for seed in range(20):
        ops = plan(faults, seed=seed, time_limit_s=limit_s, **settings)
        pairs = intervals(ops)
        for first, last in pairs:
            if first.process != "transfer":
                continue
            later = [
                other
                for other, _ in pairs
                if other.process != "transfer"
                and last.offset_ns <= other.offset_ns <= last.offset_ns + 2.5e9
            ]
            followed += bool(later)
            crowded += down([first, *later]) > 2 and len(later) > 1
    assert followed > 20
    assert crowded == 0


@pytest.mark.parametrize("fault", ["clock-strobe", "disk-slow", "client-cut"])
@pytest.mark.parametrize("seed", range(5))
def test_a_fault_of_all_nodes_strikes_while_none_is_down(fault: str, seed: int) -> None:
    ops = plan(
        (f"{fault}:all", "kill"),
        nodes=("n1", "n2", "n3"),
        seed=seed,
        interval_s=5.0,
        time_limit_s=20.0,
    )

    assert {op.process for op in ops} == {fault, "kill"}
    assert all(not down(others) for strike, others in overlapping(ops) if strike.process == fault)


def test_what_cannot_strike_in_time_is_said_before_the_run() -> None:
    members = ("remove-member", "replace-member", "demote", "transfer")

    with pytest.raises(ValueError, match=r"time limit of at least .* every fault strikes once"):
        plan(members, nodes=("n1", "n2", "n3"), seed=1, interval_s=5.0, time_limit_s=6.0)
