"""The kit that plays generators without a run."""

from __future__ import annotations

import pytest

from dissever.harness.client import Invocation
from dissever.harness.generator import GeneratorError, cycle, log, repeat
from dissever.harness.generator.simulate import context as make_context
from dissever.harness.generator.simulate import ending, perfect, simulate
from dissever.harness.history import Type

A = Invocation("a", 1)


@pytest.mark.parametrize("kind", [Type.OK, Type.FAIL, Type.INFO])
def test_everything_ends_the_same_way_after_10_ns(kind) -> None:
    invoked, completed = simulate(A, make_context(), ending(kind))

    assert (invoked.type, invoked.time, invoked.index) == (Type.INVOKE, 0, 0)
    assert (completed.type, completed.time, completed.index) == (kind, 10, 1)
    assert completed.value == 1


def test_several_endings_come_in_turn() -> None:
    events = simulate(repeat(A, 3), make_context(1), ending(Type.FAIL, Type.INFO, Type.OK))

    assert {event.type for event in events} == {Type.INVOKE, Type.FAIL, Type.INFO, Type.OK}


def test_crash_renews_the_process() -> None:
    assert {e.process for e in simulate(repeat(A, 4), make_context(1))} == {0}
    assert [e.process for e in simulate(repeat(A, 3), make_context(2), ending(Type.INFO))][::5] == [
        0,
        2,
    ]


def test_endless_generator_ends_at_the_limit() -> None:
    assert len(simulate(repeat(A), make_context(), perfect, limit=7)) == 14


def test_generator_that_can_never_go_on_is_reported() -> None:
    with pytest.raises(GeneratorError, match="pending though everyone is free"):
        simulate(Invocation("a", process=9), make_context())


def test_endless_log_is_reported() -> None:
    with pytest.raises(GeneratorError, match="100,000 steps in a row without an invocation"):
        simulate(cycle(log("again")), make_context())
