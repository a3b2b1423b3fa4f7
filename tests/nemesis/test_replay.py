"""The schedule of a recorded run is a plan: the same faults at the same times on the same nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dissever.nemesis import PlannedOp, compile_script, read_script

NODES = ("n1", "n2", "n3")
NS = 1_000_000_000


def line(at_s: float, process: int | str, type_: str, f: str, value: Any = None) -> str:
    event = {"index": 0, "time": int(at_s * NS), "process": process, "type": type_, "f": f}
    return json.dumps({**event, "value": value})


def replay(*lines: str, time_limit_s: float = 30.0) -> tuple[PlannedOp, ...]:
    return compile_script(
        read_script("\n".join(lines)), nodes=NODES, seed=9, time_limit_s=time_limit_s
    )


KILL = (
    line(2, "kill", "invoke", "kill", {"spec": "leader", "count": 1, "seed": 7}),
    line(2.1, "kill", "info", "kill", {"spec": "leader", "targets": ["n2"]}),
)
START = (
    line(4, "kill", "invoke", "start", {"hold_s": 1.5}),
    line(4.1, "kill", "info", "start", {"targets": ["n2"]}),
)


def test_whoever_was_struck_is_struck_again_at_the_same_time() -> None:
    assert replay(*KILL, *START) == (
        PlannedOp(2 * NS, "kill", "kill", {"seed": 7, "targets": ["n2"]}),
        PlannedOp(4 * NS, "kill", "start", {"hold_s": 1.5}),
    )


def test_links_that_were_cut_are_cut_again() -> None:
    grudge = {"n1": ["n2"], "n2": ["n1"]}
    (op,) = replay(
        line(1, "partition", "invoke", "start-partition", {"spec": "one", "seed": 7}),
        line(1, "partition", "info", "start-partition", {"targets": ["n1"], "grudge": grudge}),
    )

    assert op.value == {"seed": 7, "grudge": grudge}


@pytest.mark.parametrize(
    ("process", "f", "spec"),
    [("latency", "start-latency", "link"), ("swizzle", "start-swizzle", "minority")],
)
def test_what_the_seed_alone_settles_is_left_to_it(process: str, f: str, spec: str) -> None:
    told = {"spec": spec, "seed": 7}
    (op,) = replay(
        line(1, process, "invoke", f, told), line(1, process, "info", f, {"targets": ["n2", "n1"]})
    )

    assert op.value == told


def test_what_is_told_beside_the_targets_stays() -> None:
    told = {"after": {"event": "leader-changed", "within_s": 3}, "way": "in", "delay_ms": 25}
    (op,) = replay(
        line(1, "latency", "invoke", "start-latency", {"spec": "one", "seed": 7, **told}),
        line(1, "latency", "info", "start-latency", {"targets": ["n3"]}),
    )

    assert op.value == {"seed": 7, **told, "targets": ["n3"]}


def test_the_end_of_the_run_and_its_clients_are_left_out() -> None:
    ops = replay(
        line(1, 0, "invoke", "read"),
        *KILL,
        *START,
        line(9, "majority-only", "invoke", "start-majority-only", {"nodes": ["n1"]}),
        line(9, "kill", "invoke", "start"),
        line(9, "recovery", "invoke", "await-ready"),
    )

    assert [op.f for op in ops] == ["kill", "start"]


def test_what_was_never_answered_is_asked_for_as_it_was() -> None:
    (op,) = replay(KILL[0])

    assert op.value == {"spec": "leader", "count": 1, "seed": 7}


def test_half_a_line_of_a_killed_run_is_passed_over() -> None:
    assert len(replay(*KILL, *START, START[0][:30])) == 2


def test_what_heals_after_the_limit_is_left_to_the_end_of_the_run() -> None:
    assert [op.f for op in replay(*KILL, *START, time_limit_s=3)] == ["kill"]


def test_as_many_may_be_down_as_were() -> None:
    both = line(2.1, "kill", "info", "kill", {"spec": "all", "targets": ["n1", "n2", "n3"]})

    assert read_script("\n".join([KILL[0], both])).budget == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((line(1, 0, "invoke", "read"),), "expected the events of faults, found none"),
        ((*KILL, "{}"), "line 3: .*missing required field `time`"),
        ((line(1, "kil", "invoke", "kill"),), "line 1: .*did you mean kill"),
        (
            (line(1, "kill", "invoke", "pause"),),
            "line 1: expected kill, start of kill",
        ),
        (
            (KILL[0], KILL[1].replace("n2", "n9")),
            "kill at 2.000 s: expected nodes out of n1, n2, n3, got n9",
        ),
        (
            (line(40, "kill", "invoke", "kill"),),
            "expected a time limit over 40.000 s, when kill strikes, got 30 s",
        ),
    ],
)
def test_what_cannot_be_replayed_is_said_in_one_line(lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replay(*lines)


@pytest.mark.parametrize(
    ("process", "f", "value", "told"),
    [
        ("disk-slow", "start-disk-slow", {"ms": -1}, "expected ms as a whole number from 1"),
        ("disk-slow", "start-disk-slow", {"speed": 1}, "got speed"),
        ("kill", "kill", {"count": 99}, "expected count as a whole number from 1 to 3, got 99"),
        ("kill", "kill", {"targets": [7]}, "expected nodes out of n1, n2, n3, got 7"),
        ("kill", "kill", {"spec": "boss"}, "as the target, got 'boss'"),
        ("kill", "kill", [1], "expected a mapping with a spec or targets"),
    ],
)  # fmt: skip
def test_values_of_a_recorded_run_are_checked_before_anything_runs(
    process: str, f: str, value: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=f"{f} at 2.000 s: .*{told}"):
        replay(line(2, process, "invoke", f, value))
