"""In time: rates, delays, windows, schedules. Times in ns."""

from __future__ import annotations

import itertools

import pytest

from dissever.harness.client import Invocation
from dissever.harness.generator import (
    any_of,
    clients,
    cycle_times,
    delay,
    limit,
    nemesis,
    rate,
    repeat,
    stagger,
    time_limit,
)
from dissever.harness.generator.simulate import context
from dissever.harness.history import Type

NS = 1e-9
A, B = Invocation("a"), Invocation("b")


def test_time_limit_counts_from_the_first_step(invoked) -> None:
    source = time_limit(30 * NS, [Invocation("a", time=1000), repeat(A)])

    assert [t for t, _, _ in invoked(source, 1)] == [1000, 1010, 1020]


def test_step_at_the_end_of_the_window_is_too_late(invoked) -> None:
    assert [t for t, _, _ in invoked(time_limit(20 * NS, repeat(A)), 1)] == [0, 10]


def test_window_opens_with_a_step_that_is_taken_not_with_one_that_is_offered() -> None:
    source = time_limit(30 * NS, repeat(A))
    source.next(context())

    answer = source.next(context())

    assert answer is not None
    assert answer[0].time == 0


def test_window_ends_while_the_source_is_pending(invoked) -> None:
    def complete(_):
        return Type.OK, 1000

    source = [time_limit(30 * NS, [A, Invocation("late", process=0)]), B]

    assert invoked(source, 1, complete=complete) == [(0, 0, "a"), (1000, 0, "b")]


@pytest.mark.parametrize("concurrency", [1, 4, 20])
def test_stagger_is_a_total_rate_whatever_the_number_of_threads(invoked, concurrency) -> None:
    steps = invoked(limit(500, stagger(100 * NS, repeat(A))), concurrency, limit=500)

    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(steps)]

    assert 90 < sum(gaps) / len(gaps) < 110
    assert max(gaps) <= 200


def test_stagger_does_not_catch_up(invoked) -> None:
    def complete(event):
        return Type.OK, 1000 if event.index == 0 else 1

    times = [t for t, _, _ in invoked(stagger(10 * NS, repeat(A)), 1, complete=complete, limit=50)]

    assert times[1] == 1000
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    assert times[-1] > 1000 + 48 * 5


def test_rate_is_per_second(invoked) -> None:
    steps = invoked(rate(1e6, repeat(A)), 5, limit=200)

    assert 160_000 < steps[-1][0] < 240_000


def test_delay_is_exact(invoked) -> None:
    assert [t for t, _, _ in invoked(delay(30 * NS, repeat(A)), limit=4)] == [0, 30, 60, 90]


def test_delay_catches_up(invoked) -> None:
    def complete(event):
        return Type.OK, 100 if event.index == 0 else 1

    times = [t for t, _, _ in invoked(delay(30 * NS, repeat(A)), 1, complete=complete, limit=7)]

    assert times == [0, 100, 101, 102, 120, 150, 180]


def test_cycle_times_gives_each_its_time_and_keeps_its_state(invoked) -> None:
    numbered = delay(40 * NS, (Invocation(str(i)) for i in range(100)))
    source = cycle_times(100 * NS, numbered, 50 * NS, delay(25 * NS, repeat(B)))

    steps = [(t, f) for t, _, f in invoked(source, 3, limit=11)]

    assert steps[:6] == [(0, "0"), (40, "1"), (80, "2"), (100, "b"), (125, "b"), (150, "3")]
    numbers = [int(f) for _, f in steps if f != "b"]
    assert numbers == list(range(len(numbers)))
    assert all((t % 150 < 100) == (f != "b") for t, f in steps)


def test_cycle_times_skips_a_member_whose_step_is_too_late(invoked) -> None:
    source = cycle_times(50 * NS, delay(10_000 * NS, repeat(A)), 50 * NS, delay(20 * NS, repeat(B)))

    steps = [(t, f) for t, _, f in invoked(source, 2, limit=4)]

    assert steps[0] == (0, "a")
    assert {f for _, f in steps[1:]} == {"b"}
    assert all(t % 100 >= 50 for t, _ in steps[1:])


def test_cycle_times_ends_with_a_member(invoked) -> None:
    assert [f for _, _, f in invoked(cycle_times(50 * NS, [A, A], 50 * NS, repeat(B)), 1)] == [
        "a",
        "a",
    ]


@pytest.mark.parametrize("arguments", [(), (5,), (0, A), (-1, A), (5, A, 3)])
def test_cycle_times_needs_pairs_of_positive_durations(arguments) -> None:
    with pytest.raises(ValueError, match="pairs of a positive duration"):
        cycle_times(*arguments)


def test_rates_of_clients_and_of_the_nemesis_are_independent(invoked) -> None:
    source = time_limit(
        1000 * NS, any_of(clients(delay(100 * NS, repeat(A))), nemesis(delay(500 * NS, repeat(B))))
    )

    steps = invoked(source, 2, "cut")

    assert [t for t, _, f in steps if f == "a"] == list(range(0, 1000, 100))
    assert [(t, p) for t, p, f in steps if f == "b"] == [(0, "cut"), (500, "cut")]
