"""One after another."""

from __future__ import annotations

from itertools import count

import pytest

from dissever.harness.client import Invocation
from dissever.harness.generator import (
    Sleep,
    any_of,
    cycle,
    flip_flop,
    lazy,
    limit,
    mix,
    once,
    phases,
    repeat,
    sleep,
    synchronize,
    until_ok,
)
from dissever.harness.generator.simulate import context, ending
from dissever.harness.history import Type

A, B, C = Invocation("a"), Invocation("b"), Invocation("c")


def fs(steps) -> str:
    return "".join(f for _, _, f in steps)


def test_limit_and_once_count_steps(invoked) -> None:
    assert fs(invoked(limit(3, repeat(A)))) == "aaa"
    assert fs(invoked(once([A, B]))) == "a"
    assert fs(invoked(limit(0, A))) == ""


def test_limit_counts_no_pending_answers(invoked) -> None:
    assert invoked(limit(3, repeat(A)), 1) == [(0, 0, "a"), (10, 0, "a"), (20, 0, "a")]


def test_repeat_asks_the_same_state_again(invoked) -> None:
    assert fs(invoked(repeat([A, B], 3))) == "aaa"
    assert fs(invoked(limit(4, repeat([A, B])))) == "aaaa"


def test_repeat_does_not_keep_what_a_function_gave(invoked) -> None:
    numbers = count()

    assert fs(invoked(repeat(lambda: Invocation(str(next(numbers))), 3), 1)) == "012"


def test_cycle_starts_again_from_the_original(invoked) -> None:
    assert fs(invoked(cycle([A, B], 2))) == "abab"
    assert fs(invoked(limit(5, cycle([A, B])))) == "ababa"
    assert fs(invoked(cycle([A], 0))) == ""


def test_cycle_of_nothing_ends(invoked) -> None:
    assert invoked(cycle([])) == []


def test_lazy_is_made_once_when_somebody_is_free(invoked) -> None:
    made = []
    late = lazy(lambda: made.append(1) or [B, C])

    assert invoked([A, late], 1) == [(0, 0, "a"), (10, 0, "b"), (20, 0, "c")]
    assert made == [1]


def test_concat_does_not_wait(invoked) -> None:
    assert invoked([A, B]) == [(0, 0, "a"), (0, 1, "b")]


def test_synchronize_waits_for_everybody(invoked) -> None:
    slow_first = [Invocation("slow", process=0), Invocation("fast", process=1), synchronize(C)]

    def complete(event):
        return Type.OK, 50 if event.f == "slow" else 10

    assert [t for t, _, f in invoked(slow_first, complete=complete) if f == "c"] == [50]


def test_synchronize_waits_for_the_nemesis_in_sight_too(invoked) -> None:
    def complete(event):
        return Type.INFO, 70 if event.process == "cut" else 10

    steps = invoked([Invocation("x", process="cut"), synchronize(A)], 2, "cut", complete=complete)

    assert steps == [(0, "cut", "x"), (70, 0, "a")]


def test_phases_each_wait(invoked) -> None:
    assert [(t, f) for t, _, f in invoked(phases([A, A, A], B, C))] == [
        (0, "a"),
        (0, "a"),
        (10, "a"),
        (20, "b"),
        (30, "c"),
    ]


def test_then_waits_for_the_first(invoked) -> None:
    assert [(t, f) for t, _, f in invoked([A, synchronize(B)])] == [(0, "a"), (10, "b")]


def test_until_ok_ends_with_an_ok_of_its_own(taken) -> None:
    assert taken(
        until_ok(repeat(A)), 1, complete=ending(Type.FAIL, Type.INFO, Type.OK), limit=9
    ) == [
        (0, 0, "invoke a"),
        (10, 0, "fail a"),
        (10, 0, "invoke a"),
        (20, 0, "ok a"),
    ]


def test_until_ok_goes_on_after_fail_and_info(invoked) -> None:
    assert len(invoked(until_ok(repeat(A)), complete=ending(Type.FAIL), limit=6)) == 6
    assert len(invoked(until_ok(repeat(A)), complete=ending(Type.INFO), limit=6)) == 6


def test_until_ok_does_not_end_with_the_ok_of_another(invoked) -> None:
    def complete(event):
        return (Type.OK if event.f == "b" else Type.FAIL), 10

    steps = fs(invoked(any_of(until_ok(repeat(A)), limit(5, repeat(B))), complete=complete))

    assert steps.count("b") == 5
    assert steps.count("a") > 100


@pytest.mark.parametrize("together", [any_of, mix])
def test_until_ok_with_others_ends(invoked, together) -> None:
    steps = fs(invoked(together(until_ok(repeat(A)), limit(50, repeat(B))), 1))

    assert steps.count("a") == 1


def test_flip_flop_takes_turns_and_ends_with_the_one_whose_turn_it_is(invoked) -> None:
    assert fs(invoked(flip_flop(repeat(A), [B, B], repeat(C)))) == "abcabca"


def test_flip_flop_keeps_the_turn_while_it_is_pending(invoked) -> None:
    steps = invoked(limit(4, flip_flop(Invocation("a", process=0), repeat(B))))

    assert fs(steps) == "ab"


def test_flip_flop_tells_its_members(invoked) -> None:
    assert fs(invoked(flip_flop(until_ok(repeat(A)), repeat(B)), 1)) == "ab"


def test_sleep_is_in_seconds() -> None:
    answer = sleep(1.5).next(context())

    assert answer is not None
    assert answer[0] == Sleep(1_500_000_000, process=0, time=0)
