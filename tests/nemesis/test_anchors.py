"""Faults that strike once a key has so many answers."""

from __future__ import annotations

from random import Random
from typing import Any

from dissever.harness.generator.core import PENDING, Context, Generator
from dissever.harness.history import Event, Type
from dissever.nemesis.plans.schedule import PlannedOp, generator

NS = 1_000_000_000


def after(number: int, *, key: int | None = 3, delay_s: float = 0.0) -> dict[str, Any]:
    wish = {"event": "operations", "number": number, "delay_s": delay_s, "within_s": 10}
    return {"after": wish if key is None else {**wish, "key": key}}


def context(at_s: float) -> Context:
    return Context.initial(2, ("kill",), Random(1)).at(int(at_s * NS))


def told(played: Generator, *keys: int | None, at_s: float = 1.0, kind: str = "ok") -> Generator:
    """The generator that knows of answers on these keys."""
    for key in keys:
        event = Event(0, int(at_s * NS), 0, Type(kind), "read", None, key=key)
        played = played.update(context(at_s), event)
    return played


def time_s(played: Generator, at_s: float) -> float:
    answer = played.next(context(at_s))
    assert answer is not None
    assert answer[0] is not PENDING
    return answer[0].time / NS


def plan(at_s: float, value: dict[str, Any]) -> Generator:
    return generator([PlannedOp(int(at_s * NS), "kill", "kill", value)])


def test_it_strikes_when_the_key_has_so_many_answers() -> None:
    played = plan(0, after(2))

    assert time_s(told(played, 3, 4, 4), 1) == 10  # In vain so far: when its time is up.
    assert time_s(told(played, 3, 4, 3, at_s=1), 1) == 1
    assert time_s(told(played, 3, 3, 3, at_s=1), 5) == 5


def test_only_what_succeeded_counts() -> None:
    played = told(plan(0, after(1)), 3, kind="fail")

    assert time_s(told(played, 3, kind="info"), 1) == 10


def test_its_delay_is_kept() -> None:
    assert time_s(told(plan(0, after(1, delay_s=2.5)), 3), 1) == 3.5


def test_it_does_not_strike_before_its_time() -> None:
    assert time_s(told(plan(4, after(1)), 3), 1) == 4


def test_without_a_key_every_answer_counts() -> None:
    assert time_s(told(plan(0, after(3, key=None)), 1, 2, 3), 1) == 1


def test_what_is_passed_on_speaks_of_the_anchor_only_if_it_waited_in_vain() -> None:
    played = plan(0, {"targets": ["n1"], **after(1)})
    late, reached = played.next(context(0)), told(played, 3).next(context(0))
    healing = told(plan(0, after(1)), 3).next(context(0))

    assert late is not None
    assert late[0].value["after"] == {"event": "operations", "within_s": 0, "waited_ms": 10_000}
    assert reached is not None
    assert reached[0].value == {"targets": ["n1"]}
    assert healing is not None
    assert healing[0].value is None


def test_answers_count_before_the_fault_is_at_its_anchor() -> None:
    ops = [
        PlannedOp(2 * NS, "kill", "kill", {"targets": ["n1"]}),
        PlannedOp(2 * NS, "kill", "start", after(2)),
    ]
    played = told(generator(ops), 3, 3)
    answer = played.next(context(2))
    assert answer is not None

    assert time_s(answer[1], 2) == 2
