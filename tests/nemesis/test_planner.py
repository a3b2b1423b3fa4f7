from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dissever.nemesis import FAULTS, PlannedOp, parse, plan
from dissever.nemesis.plans.planner import ACTIVE_S, RECOVERY_S, RECOVERY_SHARE, Timing, timing
from dissever.nemesis.targets import TargetSpec, choose, minority_size

NODES = tuple(f"n{i}" for i in range(1, 10))
NS = 1_000_000_000

asked = st.lists(
    st.sampled_from(
        [
            "partition",
            "partition:leader",
            "kill",
            "kill:one",
            "kill:leader",
            "pause",
            "pause:minority",
            "deposed-leader",
        ]
    ),
    min_size=1,
    max_size=5,
)


@st.composite
def plans(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[PlannedOp, ...]]:
    """What was asked for, and the plan, where there is one."""
    settings = {
        "faults": draw(asked),
        "nodes": NODES[: draw(st.integers(3, 9))],
        "seed": draw(st.integers(0, 1 << 40)),
        "interval_s": draw(st.floats(0.5, 20)),
        "time_limit_s": draw(st.floats(3, 120)),
    }
    try:
        return settings, plan(**settings)
    except ValueError as error:
        # Only the shortest limits have no plan; that is tested by itself.
        assume("time limit" not in str(error))
        raise


def names(settings: dict[str, Any]) -> set[str]:
    return {fault.partition(":")[0] for fault in settings["faults"]}


def intervals(ops: tuple[PlannedOp, ...]) -> list[tuple[PlannedOp, PlannedOp]]:
    """Each injection with its healing."""
    pairs, opened = [], {}
    for op in ops:
        steps = FAULTS[op.process].steps
        if op.f == steps[0]:
            assert op.process not in opened
            opened[op.process] = op
        elif op.f == steps[-1]:
            pairs.append((opened.pop(op.process), op))
    assert not opened
    return pairs


@given(plans())
def test_the_same_seed_gives_the_same_schedule_to_the_byte(
    planned: tuple[dict[str, Any], tuple[PlannedOp, ...]],
) -> None:
    settings, ops = planned

    assert msgspec.json.encode(plan(**settings)) == msgspec.json.encode(ops)


@given(plans())
def test_every_fault_strikes_and_every_injection_is_healed_after_it(
    planned: tuple[dict[str, Any], tuple[PlannedOp, ...]],
) -> None:
    settings, ops = planned

    pairs = intervals(ops)
    assert {injection.process for injection, _ in pairs} == names(settings)
    assert all(injection.offset_ns < healing.offset_ns for injection, healing in pairs)


@given(plans())
def test_never_are_more_nodes_down_than_the_budget(
    planned: tuple[dict[str, Any], tuple[PlannedOp, ...]],
) -> None:
    settings, ops = planned
    down: dict[str, int] = {}
    for op in ops:
        fault = FAULTS[op.process]
        if fault.takes_down and op.f == fault.steps[0]:
            down[op.process] = op.value["count"]
            assert op.value["count"] >= 1
            assert sum(down.values()) <= minority_size(len(settings["nodes"]))
        elif op.f == fault.steps[-1]:
            down.pop(op.process, None)


@given(plans())
def test_the_start_is_quiet_and_every_fault_is_followed_by_a_window_without_any(
    planned: tuple[dict[str, Any], tuple[PlannedOp, ...]],
) -> None:
    settings, ops = planned
    frame = _frame(settings, ops)

    assert (
        ops[0].offset_ns >= frame.quiet_ns >= min(2 * NS, 0.1 * settings["time_limit_s"] * NS) - 1
    )
    assert frame.recovery_ns >= max(RECOVERY_S * NS, RECOVERY_SHARE * frame.episode_ns) - 10
    for injection, healing in intervals(ops):
        episode = (injection.offset_ns - frame.quiet_ns) // frame.episode_ns
        assert healing.offset_ns <= frame.start_ns(episode) + frame.active_ns
    assert ops[-1].offset_ns + frame.recovery_ns <= settings["time_limit_s"] * NS


def _frame(settings: dict[str, Any], ops: tuple[PlannedOp, ...]) -> Timing:
    """The frame that the plan must have had: the one whose windows no operation touches."""
    for rounds in range(1, len(names(settings)) + 1):
        frame = timing(
            interval_s=settings["interval_s"],
            time_limit_s=settings["time_limit_s"],
            rounds=rounds,
        )
        places = [(op.offset_ns - frame.quiet_ns) % frame.episode_ns for op in ops]
        if all(place <= frame.active_ns for place in places):
            return frame
    raise AssertionError("an operation falls in a recovery window")


@given(st.floats(0.5, 60), st.floats(3, 600), st.integers(1, 4))
def test_the_frame_fills_the_limit_and_leaves_room_to_recover(
    interval_s: float, time_limit_s: float, rounds: int
) -> None:
    try:
        frame = timing(interval_s=interval_s, time_limit_s=time_limit_s, rounds=rounds)
    except ValueError:
        assert time_limit_s < rounds * (ACTIVE_S + RECOVERY_S) / 0.9 + 1e-6
        return

    assert frame.episodes >= rounds
    assert frame.start_ns(frame.episodes) <= time_limit_s * NS
    assert frame.active_ns >= ACTIVE_S * NS - 10
    assert frame.recovery_ns >= max(RECOVERY_S * NS, RECOVERY_SHARE * frame.episode_ns) - 10


def test_a_limit_that_is_too_short_is_refused_with_one_that_is_not() -> None:
    settings: dict[str, Any] = {"nodes": NODES[:3], "seed": 1, "interval_s": 5.0}
    with pytest.raises(ValueError, match=r"at least 5\.6 s.*got 5 s"):
        plan(["kill", "pause"], time_limit_s=5.0, **settings)

    assert plan(["kill", "pause"], time_limit_s=5.6, **settings)


def test_nothing_asked_for_is_an_empty_plan() -> None:
    assert plan([], nodes=NODES, seed=1, interval_s=5, time_limit_s=10) == ()


def test_other_seeds_give_other_schedules() -> None:
    made = {
        plan(["kill", "partition"], nodes=NODES, seed=seed, interval_s=5, time_limit_s=30)[
            0
        ].offset_ns
        for seed in range(10)
    }

    assert len(made) > 5


def test_a_plan_reads_back_from_its_lines() -> None:
    ops = plan(["pause", "deposed-leader"], nodes=NODES, seed=1, interval_s=5, time_limit_s=30)

    lines = b"\n".join(msgspec.json.encode(op) for op in ops)
    assert tuple(msgspec.json.decode(each, type=PlannedOp) for each in lines.split(b"\n")) == ops


def test_the_script_of_the_deposed_leader_wakes_it_before_it_heals() -> None:
    ops = plan(["deposed-leader"], nodes=NODES[:3], seed=1, interval_s=10, time_limit_s=12)

    start, resume, stop = ops
    assert [op.f.split("-")[0] for op in ops] == ["start", "resume", "stop"]
    share = (resume.offset_ns - start.offset_ns) / (stop.offset_ns - start.offset_ns)
    assert share == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_a_larger_budget_takes_all_down_when_that_is_asked_for(seed: int) -> None:
    ops = plan(["kill:all"], nodes=NODES[:3], seed=seed, interval_s=5, time_limit_s=20, budget=3)

    assert {op.value["count"] for op in ops if op.f == "kill"} == {3}


def test_faults_overlap() -> None:
    ops = plan(["kill", "partition"], nodes=NODES, seed=4, interval_s=10, time_limit_s=200)
    pairs = intervals(ops)

    assert any(
        a.offset_ns < b.offset_ns < heals_a.offset_ns
        for a, heals_a in pairs
        for b, _ in pairs
        if a.process != b.process
    )


@pytest.mark.parametrize("name", FAULTS)
def test_every_target_that_may_be_drawn_is_drawn(name: str) -> None:
    (spec,) = parse([name])
    drawn = {
        op.value["spec"]
        for seed in range(12)
        for op in plan(
            [name], nodes=NODES[:5], seed=seed, interval_s=2.5, time_limit_s=60, budget=5
        )
        if op.f == FAULTS[name].steps[0]
    }

    assert drawn == set(spec.drawn)


@pytest.mark.parametrize("way", ["both", "in", "out"])
@pytest.mark.parametrize("name", ["latency", "packet-loss", "client-cut"])
def test_every_direction_is_drawn_sooner_or_later(name: str, way: str) -> None:
    frame: Any = {"nodes": NODES[:5], "interval_s": 5.0, "time_limit_s": 60.0}
    plans = [plan([name], seed=seed, **frame) for seed in range(10)]

    assert way in {op.value["way"] for ops in plans for op in ops if op.value}


def test_each_node_is_meant_by_some_seed_when_targets_are_resolved() -> None:
    struck = set()
    for seed in range(30):
        ops = plan(["kill:one"], nodes=NODES[:5], seed=seed, interval_s=5.0, time_limit_s=20.0)
        for op in ops:
            if op.value:
                rng = Random(str(op.value["seed"]))
                chosen = choose(
                    TargetSpec.ONE, NODES[:5], primaries=(), excluded=(), rng=rng, limit=1
                )
                struck.update(chosen.targets)

    assert struck == set(NODES[:5])
