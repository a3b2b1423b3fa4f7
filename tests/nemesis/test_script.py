"""A plan in YAML becomes operations, or one line that says what is wrong with it and where."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dissever.nemesis import FAULTS, compile_script, read_script

NODES = ("n1", "n2", "n3", "n4", "n5")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def ops(text: str, seed: int = 1, limit_s: float = 30.0) -> list[tuple[Any, ...]]:
    planned = compile_script(read_script(text), nodes=NODES, seed=seed, time_limit_s=limit_s)
    return [(op.offset_ns / 1e9, op.process, op.f, op.value) for op in planned]


def test_a_line_becomes_an_injection_and_a_healing() -> None:
    (first, last) = ops("faults: [{fault: 'partition:leader', at: 2, for: 4}]")

    assert first[:3] == (2.0, "partition", "start-partition")
    assert first[3]["spec"] == "leader"
    assert last == (2.0, "partition", "stop-partition", {"hold_s": 4.0})


def test_a_trigger_may_be_told_more_exactly() -> None:
    event = "{event: operations, key: 3, number: 17, delay: 0.5}"
    text = f"faults: [{{fault: kill, nodes: [n2], at: 1, after: {event}, for: 1, within: 4}}]"
    first, _ = ops(text)

    assert first[3]["after"] == {
        "event": "operations",
        "key": 3,
        "number": 17,
        "delay_s": 0.5,
        "within_s": 4,
    }


def test_durations_may_have_units() -> None:
    event = "{event: leaderless, delay: 500ms}"
    plain = "{fault: kill, at: 6, for: 0.25, within: 2, after: {event: leaderless, delay: 0.5}}"
    named = f"{{fault: kill, at: 0.1m, for: 250ms, within: 2s, after: {event}}}"

    assert ops(f"faults: [{named}]") == ops(f"faults: [{plain}]")


def test_triggers_and_nodes_are_given_to_the_fault() -> None:
    text = "faults: [{fault: kill, nodes: [n2], at: 1, after: leader-changed, until: leaderless}]"
    (first, last) = ops(text)

    assert first[3]["targets"] == ["n2"]
    assert first[3]["after"] == {"event": "leader-changed", "within_s": 10.0}
    assert last[3] == {"after": {"event": "leaderless", "within_s": 10.0}}


def test_steps_between_share_the_time() -> None:
    told = ops("faults: [{fault: deposed-leader, at: 1, for: 6}]")

    assert [each[2] for each in told] == [
        "start-deposed-leader",
        "resume-deposed-leader",
        "stop-deposed-leader",
    ]
    assert told[1][3] == told[2][3] == {"hold_s": 3.0}


def test_the_same_seed_gives_the_same_operations_and_another_one_others() -> None:
    text = "faults: [{fault: kill, at: 1, for: 2}, {fault: pause, at: 1, for: 2}]"

    assert ops(text, 7) == ops(text, 7)
    assert ops(text, 7) != ops(text, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("faults: []", "line 1: expected a list of faults, got an empty list"),
        ("faults: [{fault: kill}]", "line 1: expected at of the fault, got none"),
        (
            "faults: [{fault: kill, at: 1, fro: 2}]",
            "line 1: expected a field out of .*, got 'fro'; did you mean for",
        ),
        (
            "faults: [{fault: kill, at: soon, for: 1}]",
            "line 1: expected at from 0 to 86400 seconds, got 'soon'",
        ),
        ("faults: {", "line 1: expected YAML, but this cannot be read: 'faults: {'"),
        ("faults: [{fault: kil, at: 1, for: 1}]", r"line 1 \(kil\): .*did you mean kill"),
        ("faults: [{fault: 'kill:all', at: 1, for: 1}]", "would stop 5 of 5 nodes"),
        ("faults: [{fault: kill, nodes: [n9], at: 1, for: 1}]", "expected nodes out of n1.*got n9"),
        ("faults: [{fault: 'kill:one', nodes: [n1], at: 1, for: 1}]", "got both"),
        ("faults: [{fault: kill, nodes: [n1, n2, n3], at: 1, for: 1}]", "the budget allows 2"),
        ("faults: [{fault: kill, at: 1}]", "expected either for or until"),
        ("faults: [{fault: kill, at: 1, for: 1, until: leaderless}]", "either for or until"),
        ("faults: [{fault: kill, at: 1, until: dawn}]", "expected a trigger out of .*got 'dawn'"),
        (
            "faults: [{fault: kill, at: 1, for: 1, after: {event: leaderless, number: x}}]",
            "got 'x'",
        ),
        (
            "faults: [{fault: kill, at: 1, for: 1, after: 3}]",
            "expected after as the name of an event",
        ),
        (
            "faults: [{fault: kill, at: 25, for: 9}]",
            "heal only at 34 s, after the time limit of 30",
        ),
        (
            "faults: [{fault: kill, at: 1, for: 5},\n {fault: kill, at: 3, for: 1}]",
            r"line 2 \(kill\): kill strikes again before it has healed",
        ),
        (
            "faults: [{fault: kill, at: 3, for: 1},\n {fault: kill, at: 1, until: leaderless}]",
            r"line 2 \(kill\): kill strikes again before it has healed",
        ),
        (
            "faults: [{fault: 'kill:minority', at: 1, for: 3},\n {fault: pause, at: 3, for: 3}]",
            r"line 2 \(pause\): with line 1 \(kill:minority\) it would stop 3 nodes, and",
        ),
        (
            "faults: [{fault: pause, at: 3, for: 3},\n {fault: 'kill:minority', at: 1, for: 3}]",
            r"line 2 .*: with line 1 \(pause\) it would stop 3 nodes",
        ),
        (
            "faults: [{fault: disk-slow, at: 1, for: 3},\n {fault: disk-full, at: 2, for: 3}]",
            r"line 2 \(disk-full\): it and line 1 \(disk-slow\) would undo each other",
        ),
        (
            "faults: [{fault: clock-jump, at: 1, for: 3},\n{fault: monotonic-jump, at: 9, for: 3}]",
            "not both in one plan",
        ),
        (
            "faults: [{fault: latency, at: 1, for: 3, with: {delay: 7}}]",
            "expected way, delay_ms, .* under with, got 'delay'",
        ),
        (
            "faults: [{fault: latency, at: 1, for: 3, with: {delay_ms: long}}]",
            "expected delay_ms as a whole number from 1 to 60000, got 'long'",
        ),
        (
            "faults: [{fault: latency, at: 1, for: 3, with: {delay_ms: 5, jitter_ms: 9}}]",
            "expected a jitter_ms below delay_ms 5, got 9",
        ),
        (
            "faults: [{fault: kill, at: 1, for: 3, with: {count: true}}]",
            "expected count as a whole number from 1 to 5",
        ),
        (
            "faults: [{fault: client-reset, at: 1, for: 1, with: {every_ms: 1}}]",
            "expected every_ms from 50 to 60000, got 1",
        ),
        (
            "faults: [{fault: kill, at: 1, for: 3, with: {count: 99}}]",
            r"line 1 \(kill\): expected count as a whole number from 1 to 5, got 99",
        ),
        (
            "faults: [{fault: disk-slow, at: 1, for: 3, with: {ms: -1}}]",
            r"line 1 \(disk-slow\): expected ms as a whole number from 1 to 5000, got -1",
        ),
        (
            "faults: [{fault: partition, at: 1, for: 3, with: {grudge: {n1: [n9]}}}]",
            "expected nodes out of n1.*got n9",
        ),
        ("faults: [kill]", "line 1: expected a mapping with fault and at, got 'kill'"),
        ("[]", "line 1: expected a mapping with faults, got a list"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        ops(text)

    assert "\n" not in str(error.value)


def test_all_that_is_wrong_is_said_at_once_with_the_line_of_the_file() -> None:
    with pytest.raises(ValueError, match="line") as fields:
        ops(
            """
            faults:
              - fault: kill
                at: soon
                for: 1
              - fault: pause
                at: 1
                fro: 2
            """
        )
    with pytest.raises(ValueError, match="line") as values:
        ops(
            """
            faults:
              - {fault: kil, at: 1, for: 1}
              - {fault: pause, at: 1, for: 1}
              - {fault: limit-cpu, at: 5, for: 1, with: {cpus: -1}}
            """
        )

    assert str(fields.value).splitlines() == [
        "line 4: expected at from 0 to 86400 seconds, got 'soon'",
        "line 8: expected a field out of fault, at, for, until, after, within, nodes, with,"
        " got 'fro'; did you mean for?",
    ]
    assert [line.split(":")[0] for line in str(values.value).splitlines()] == [
        "line 3 (kil)",
        "line 5 (limit-cpu)",
    ]


def test_a_setting_that_the_drawn_ones_do_not_fit_gets_the_usual_ones() -> None:
    for seed in range(20):
        text = "faults: [{fault: latency, at: 1, for: 3, with: {jitter_ms: 150}}]"

        assert ops(text, seed)[0][3]["delay_ms"] > 150


@pytest.mark.parametrize("budget", [1, 2])
def test_what_comes_one_after_the_other_is_in_nobody_s_way(budget: int) -> None:
    told = ops(
        f"""
        budget: {budget}
        faults:
          - {{fault: 'kill:one', at: 1, for: 3}}
          - {{fault: pause, nodes: [n1], at: 4, for: 3}}
          - {{fault: disk-slow, at: 1, for: 3}}
          - {{fault: disk-full, at: 4, for: 3}}
          - {{fault: kill, at: 7, for: 3}}
        """
    )

    assert len(told) == 10


@pytest.mark.parametrize("name", FAULTS)
def test_what_the_seed_may_draw_a_line_may_say(name: str) -> None:
    fault = FAULTS[name]
    usual = {each.name: each.default for each in fault.parameters if each.default is not None}
    told = {**usual, **fault.draw(Random(3)), "count": 1}
    text = json.dumps({"faults": [{"fault": name, "at": 1, "for": 3, "with": told}]})

    assert ops(text)[0][3].items() >= told.items()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_plans(path: Path) -> None:
    assert ops(path.read_text(encoding="utf-8"))
