"""What stands for a generator, and what a generator sees."""

from __future__ import annotations

from itertools import count
from random import Random

import pytest

from dissever.harness.client import Invocation
from dissever.harness.generator import PENDING, Context, Log, Sleep, generator, limit
from dissever.harness.generator.core import NOTHING, Offers
from dissever.harness.generator.simulate import context
from dissever.harness.history import Event, Type

A, B, C = Invocation("a"), Invocation("b"), Invocation("c")


def test_nothing_is_exhausted_and_ignores_updates() -> None:
    nothing = generator(None)

    assert nothing.next(context()) is None
    assert nothing.update(context(), Event(0, 0, 0, Type.INVOKE, "a")) is nothing


def test_invocation_is_one_step_with_a_process_and_a_time(invoked) -> None:
    assert invoked(A) == [(0, 0, "a")]


def test_invocation_waits_for_its_own_process(invoked) -> None:
    steps = [Invocation("a", process=1), Invocation("b", process=1), Invocation("c", process=0)]

    assert invoked(steps) == [(0, 1, "a"), (10, 1, "b"), (10, 0, "c")]


def test_invocation_at_a_later_time_waits_for_it(invoked) -> None:
    assert invoked([Invocation("a", time=25), B]) == [(25, 0, "a"), (25, 1, "b")]


def test_sequence_takes_all_of_the_first_then_of_the_second(taken) -> None:
    assert taken([[A, B], C], 1) == [
        (0, 0, "invoke a"),
        (10, 0, "ok a"),
        (10, 0, "invoke b"),
        (20, 0, "ok b"),
        (20, 0, "invoke c"),
        (30, 0, "ok c"),
    ]


def test_sequence_tells_its_first_element_only() -> None:
    class Deaf:
        def next(self, context):
            return None

        def update(self, context, event):
            raise AssertionError("an element that has not begun has heard of it")

    sequence = generator([[A, B], Deaf()])

    assert sequence.update(context(), Event(0, 0, 0, Type.INVOKE, "a")) is not None


def test_endless_iterator_is_read_as_far_as_it_is_needed(invoked) -> None:
    read = []
    numbers = (read.append(i) or Invocation("w", i) for i in count())

    assert len(invoked(limit(5, numbers))) == 5
    assert len(read) <= 6


def test_iterator_asked_twice_answers_the_same() -> None:
    sequence = generator(iter([A, B, C]))
    first = sequence.next(context())
    again = sequence.next(context())
    assert first is not None
    assert again is not None

    second, second_again = first[1].next(context()), again[1].next(context())

    assert first[0] == again[0]
    assert second is not None
    assert second_again is not None
    assert second[0] == second_again[0]
    assert second[0].f == "b"


def test_function_is_called_when_its_answer_is_exhausted(invoked) -> None:
    made = iter([[A, B], C, None])

    assert [f for _, _, f in invoked(lambda: next(made), 1)] == ["a", "b", "c"]


def test_function_may_look_at_the_context(invoked) -> None:
    def until_30(context: Context) -> Invocation | None:
        return Invocation(f"at-{context.time}") if context.time < 30 else None

    assert [f for _, _, f in invoked(until_30, 1)] == ["at-0", "at-10", "at-20"]


def test_function_that_gives_an_empty_generator_is_an_error() -> None:
    with pytest.raises(ValueError, match="exhausted from the start"):
        generator(lambda: [None]).next(context())


def test_sleep_keeps_one_process_busy_and_leaves_no_event(taken) -> None:
    assert taken([Sleep(100), A, B], 1) == [
        (100, 0, "invoke a"),
        (110, 0, "ok a"),
        (110, 0, "invoke b"),
        (120, 0, "ok b"),
    ]


def test_log_leaves_no_event(taken) -> None:
    assert taken([Log("hello"), A]) == [(0, 0, "invoke a"), (10, 0, "ok a")]


@pytest.mark.parametrize("source", [{"f": "read"}, "read", b"read", 3])
def test_what_stands_for_nothing_is_refused(source) -> None:
    with pytest.raises(TypeError, match=r"expected a generator, .* got"):
        generator(source)


def test_free_processes_take_turns() -> None:
    everyone = context(3)
    later = Context(0, 0b111, 0b111, everyone.threads, (0, 4, 2), Random(0), 1, 3)

    assert everyone.some_free_process() == 0
    assert later.some_free_process() == 4
    assert later.free_bits() == (0, 1, 2)


def test_view_of_some_threads_shows_those_only() -> None:
    view = context(3, "cut").limited(0b1010)

    assert view.bits() == (1, 3)
    assert view.free_bits() == (1, 3)
    assert view.clients == 3
    assert not view.is_free(0)
    assert view.is_free("cut")


@pytest.mark.parametrize("process", [7, -3, "unknown"])
def test_process_that_nobody_plays_is_not_free(process) -> None:
    assert not context(2, "cut").is_free(process)


def test_process_of_an_earlier_life_is_not_free() -> None:
    renewed = Context(0, 0b11, 0b11, (0, 1), (2, 1), Random(0), 0, 2)

    assert not renewed.is_free(0)
    assert renewed.is_free(2)
    assert renewed.bit(0) == renewed.bit(2) == 0


def test_nobody_free_is_pending() -> None:
    busy = Context(0, 0b11, 0, (0, 1), (0, 1), Random(0), 0, 2)

    answer = generator(A).next(busy)

    assert answer is not None
    assert answer[0] is PENDING


def test_ties_are_drawn_by_weight_and_the_earliest_wins() -> None:
    rng = Random(1)
    offers = Offers()
    for member, (time, weight) in enumerate([(5, 1), (5, 3), (6, 1000)]):
        offers.add(member, (Invocation("a", time=time), NOTHING), weight)

    drawn = [chosen.member for _ in range(1000) if (chosen := offers.soonest(rng))]

    assert set(drawn) == {0, 1}
    assert 650 < drawn.count(1) < 850


def test_iterator_inside_a_sequence_is_read_once_however_often_it_is_asked() -> None:
    inner = (Invocation(f) for f in "ab")
    source = generator([Invocation("first"), inner])
    answer = source.next(context())
    assert answer is not None
    rest = answer[1]

    for _ in range(3):
        again = rest.next(context())
        assert again is not None
        assert again[0].f == "a"
