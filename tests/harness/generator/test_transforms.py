"""What looks at what passes, and what is said of generators that misbehave."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dissever.harness.client import Invocation
from dissever.harness.generator import (
    GeneratorError,
    Log,
    any_of,
    clients,
    f_map,
    filter_invocations,
    limit,
    map_invocations,
    on_update,
    repeat,
    trace,
    until_ok,
    validated,
)
from dissever.harness.generator.simulate import context
from dissever.harness.history import Event, Type

A, B = Invocation("a"), Invocation("b")


class Fake:
    """A generator that answers what it is given, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def next(self, context):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def update(self, context, event):
        raise self.answer


def test_map_changes_invocations_and_nothing_else(invoked) -> None:
    louder = map_invocations(
        lambda i: Invocation(i.f.upper(), process=i.process, time=i.time), [A, B]
    )

    assert invoked([Log("x"), louder]) == [(0, 0, "A"), (0, 1, "B")]


def test_map_may_look_at_the_context(invoked) -> None:
    def stamped(invocation, context):
        return Invocation(f"at-{context.time}", process=invocation.process, time=invocation.time)

    assert [f for _, _, f in invoked(map_invocations(stamped, [A, A]), 1)] == ["at-0", "at-10"]


def test_f_map_renames(invoked) -> None:
    assert [f for _, _, f in invoked(f_map({"a": "start"}, [A, B]))] == ["start", "b"]
    assert [f for _, _, f in invoked(f_map(str.upper, [A, B]))] == ["A", "B"]


def test_filter_drops_what_is_refused(invoked) -> None:
    assert [f for _, _, f in invoked(filter_invocations(lambda i: i.f == "b", [A, B, A, B]))] == [
        "b",
        "b",
    ]


def test_filter_that_refuses_everything_is_reported() -> None:
    with pytest.raises(GeneratorError, match="refused 10,000 invocations in a row"):
        filter_invocations(lambda _: False, repeat(A)).next(context())


def test_on_update_gives_what_goes_on(invoked) -> None:
    def react(this, _, event):
        return any_of(B) if event.type is Type.OK else this

    assert invoked(on_update(react, repeat(A)), 1) == [(0, 0, "a"), (10, 0, "b")]


def test_trace_logs_answers_and_updates(invoked, caplog) -> None:
    with caplog.at_level(logging.INFO):
        invoked(trace("mine", [A]), 1)

    lines = [record.getMessage().split(" ns:")[0] for record in caplog.records]
    assert lines[:2] == ["mine next at 0", "mine update at 0"]
    assert "mine update at 10" in lines


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("read", "expected a step and a generator, or None"),
        ((A, None), "expected a step and a generator, or None"),
        (({"f": "read"}, Fake(None)), "expected an invocation, a sleep, a log line or PENDING"),
        ((Invocation(3, process=0), Fake(None)), "expected a text for f"),
        ((Invocation("a", process=0, time=-1), Fake(None)), "expected a time from 0 ns on"),
        ((Invocation("a", process=0, time=1.5), Fake(None)), "expected a time from 0 ns on"),
        ((Invocation("a", process=2), Fake(None)), "expected a process that is free"),
        ((Invocation("a", process="who"), Fake(None)), "expected a process that is free"),
        ((A, Fake(None)), "expected a process that is free"),
    ],
)
def test_answer_that_no_generator_may_give_is_reported(answer, complaint) -> None:
    with pytest.raises(GeneratorError, match=complaint):
        validated(Fake(answer)).next(context())


def test_exception_is_reported_with_the_way_to_where_it_came_from() -> None:
    source = clients(limit(3, any_of(repeat(A), until_ok(Fake(KeyError("broken"))))))

    with pytest.raises(GeneratorError) as caught:
        validated(source).next(context(2, "cut"))

    assert str(caught.value) == (
        "OnThreads > Limit > Soonest > UntilOk > Fake.next raised KeyError: 'broken'"
    )
    assert isinstance(caught.value.__cause__, KeyError)


def test_exception_of_an_update_is_reported_with_the_event() -> None:
    event = Event(7, 0, 0, Type.OK, "a")

    with pytest.raises(GeneratorError, match=r"Limit > Fake\.update raised .*index=7"):
        validated(limit(3, Fake(ValueError("broken")))).update(context(), event)


def test_wrong_answer_is_reported_with_the_way_in() -> None:
    with pytest.raises(GeneratorError, match=r"^Limit > Repeat > Fake: expected"):
        validated(limit(3, repeat(Fake((A, Fake(None)))))).next(context())
