"""Side by side: who takes which step."""

from __future__ import annotations

from collections import Counter

import pytest

from dissever.harness.client import Invocation
from dissever.harness.generator import (
    any_of,
    clients,
    concurrency_limit,
    each_process,
    each_thread,
    limit,
    mix,
    nemesis,
    on_threads,
    process_limit,
    repeat,
    reserve,
    shortest_any,
    stagger,
)
from dissever.harness.generator.simulate import ending
from dissever.harness.history import Type

A, B, C = Invocation("a"), Invocation("b"), Invocation("c")


def by_process(steps) -> dict:
    fs: dict = {}
    for _, process, f in steps:
        fs.setdefault(process, set()).add(f)
    return fs


def test_on_threads_shows_some_threads_only(invoked) -> None:
    steps = invoked(on_threads(lambda thread: thread in (1, 3), repeat(A)), 5, "cut", limit=20)

    assert by_process(steps) == {1: {"a"}, 3: {"a"}}


def test_on_threads_tells_of_events_of_those_threads_only() -> None:
    seen = []

    class Listener:
        def next(self, context):
            return None

        def update(self, context, event):
            seen.append((event.process, context.bits()))
            return self

    from dissever.harness.generator.simulate import context
    from dissever.harness.history import Event

    listening = on_threads(lambda thread: thread == 1, Listener())
    for process in (0, 1, 3, "cut"):
        listening = listening.update(context(2, "cut"), Event(0, 0, process, Type.OK, "a"))

    assert seen == [(1, (1,)), (3, (1,))]


def test_clients_and_nemesis_each_have_their_own(invoked) -> None:
    both = any_of(clients(limit(4, repeat(A))), nemesis(limit(2, repeat(B))))

    assert by_process(invoked(both, 2, "cut")) == {0: {"a"}, 1: {"a"}, "cut": {"b"}}


def test_source_for_threads_that_are_not_there_is_exhausted(invoked) -> None:
    assert invoked(any_of(clients(A), nemesis(B)), 1) == [(0, 0, "a")]


def test_any_takes_the_soonest_until_all_have_ended(invoked) -> None:
    source = any_of(
        [Invocation("a", time=50)], [Invocation("b", time=20), Invocation("c", time=60)]
    )

    assert [(t, f) for t, _, f in invoked(source)] == [(20, "b"), (50, "a"), (60, "c")]


def test_any_draws_ties_by_weight(invoked) -> None:
    source = any_of(repeat(A), repeat(B), weights=(1, 3))

    drawn = Counter(f for _, _, f in invoked(source, limit=1000))

    assert 190 < drawn["a"] < 310


def test_shortest_any_ends_with_the_first(invoked) -> None:
    fs = [f for _, _, f in invoked(shortest_any(repeat(A), [B, B]), 1)]

    assert fs.count("b") <= 2
    assert len(fs) < 50


def test_each_thread_has_a_copy_for_everybody(invoked) -> None:
    steps = invoked(each_thread([A, B]), 2, "cut")

    assert sorted(steps, key=str) == sorted(
        [(t, p, f) for t, f in ((0, "a"), (10, "b")) for p in (0, 1, "cut")], key=str
    )


def test_each_thread_goes_on_after_a_crash(invoked) -> None:
    steps = invoked(each_thread([A, B]), 2, complete=ending(Type.INFO))

    assert sorted(steps) == [(0, 0, "a"), (0, 1, "a"), (10, 2, "b"), (10, 3, "b")]


def test_each_process_starts_afresh_after_a_crash(invoked) -> None:
    steps = invoked(each_process([A, B]), 2, complete=ending(Type.INFO), limit=6)

    assert sorted(steps) == [(10 * (p // 2), p, "a") for p in range(6)]


def test_each_process_goes_on_without_a_crash(invoked) -> None:
    steps = invoked(each_process([A, B]), 2)

    assert sorted(steps) == [(0, 0, "a"), (0, 1, "a"), (10, 0, "b"), (10, 1, "b")]


@pytest.mark.parametrize("each", [each_thread, each_process])
def test_nobody_starves_when_steps_are_rarer_than_free_threads(invoked, each) -> None:
    steps = invoked(stagger(1e-6, each(repeat(A))), 4, limit=400)

    assert min(Counter(p for _, p, _ in steps).values()) > 60


def test_reserve_gives_each_its_threads(invoked) -> None:
    steps = invoked(reserve(2, repeat(A), 1, repeat(B), repeat(C)), 5, limit=100)

    assert by_process(steps) == {0: {"a"}, 1: {"a"}, 2: {"b"}, 3: {"c"}, 4: {"c"}}


def test_reserve_counts_within_the_threads_in_sight(invoked) -> None:
    inner = reserve(1, repeat(B), repeat(C))
    steps = invoked(clients(reserve(2, repeat(A), inner)), 5, "cut", limit=100)

    assert by_process(steps) == {0: {"a"}, 1: {"a"}, 2: {"b"}, 3: {"c"}, 4: {"c"}}


def test_reserve_holds_after_crashes(invoked) -> None:
    steps = invoked(reserve(1, repeat(A), repeat(B)), 3, complete=ending(Type.INFO), limit=60)

    assert all((process % 3 == 0) == (f == "a") for _, process, f in steps)


def test_reserve_draws_ties_by_the_number_of_threads(invoked) -> None:
    steps = invoked(stagger(1e-6, reserve(1, repeat(A), repeat(B))), 4, limit=1000)

    assert 190 < Counter(f for _, _, f in steps)["a"] < 310


def test_reserve_with_more_than_there_are_leaves_the_rest_without(invoked) -> None:
    assert by_process(invoked(reserve(5, repeat(A), repeat(B)), 2, limit=10)) == {
        0: {"a"},
        1: {"a"},
    }


def test_reserve_needs_a_source_for_the_rest() -> None:
    with pytest.raises(ValueError, match="a last source"):
        reserve(1, A)


def test_mix_draws_and_drops_what_has_ended(invoked) -> None:
    fs = [f for _, _, f in invoked(mix([A] * 3, [B] * 50), 1)]

    assert Counter(fs) == {"a": 3, "b": 50}
    assert fs[-1] == "b"


def test_mix_steps_over_what_is_pending(invoked) -> None:
    steps = invoked(mix(Invocation("a", process=7), repeat(B)), 1, limit=20)

    assert [f for _, _, f in steps] == ["b"] * 20


def test_mix_draws_by_weight(invoked) -> None:
    steps = invoked(mix(repeat(A), repeat(B), weights=(3, 1)), 1, limit=1000)

    assert 690 < Counter(f for _, _, f in steps)["a"] < 810


@pytest.mark.parametrize("several", [mix, any_of])
@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, -1.0)])
def test_weights_are_one_for_each_and_positive(several, weights) -> None:
    with pytest.raises(ValueError, match="expected 2 positive weights"):
        several(A, B, weights=weights)


def test_process_limit_ends_when_too_many_could_have_taken_part(invoked) -> None:
    steps = invoked(process_limit(5, repeat(A)), 2, complete=ending(Type.INFO))

    processes = {process for _, process, _ in steps}

    assert len(processes) <= 5
    assert 2 in processes


def test_process_limit_without_crashes_never_ends(invoked) -> None:
    assert len(invoked(process_limit(2, repeat(A)), 2, limit=50)) == 50


def test_concurrency_limit_holds_while_too_many_are_busy(taken) -> None:
    open_operations = most = 0
    for _, _, what in taken(concurrency_limit(3, repeat(A)), 10, limit=100):
        open_operations += 1 if what.startswith("invoke") else -1
        most = max(most, open_operations)

    assert most == 3
