"""A mistake in the code of a client, a nemesis or a generator ends the run; the rest is info."""

from __future__ import annotations

import asyncio

import pytest

from dissever.harness.bugs import Bug, bug_of, is_bug
from dissever.harness.client import Invocation
from dissever.harness.generator import GeneratorError, phases, repeat
from dissever.harness.generator.lift import generator
from dissever.harness.history import Type
from dissever.harness.interpreter import TimeLimits
from tests.harness.conftest import FunctionNemesis

READ = Invocation("read")

MISTAKES = (
    AttributeError("no such attribute"),
    TypeError("not callable"),
    NotImplementedError(),
    ImportError("no module"),
    ModuleNotFoundError("no module"),
    NameError("not defined"),
    UnboundLocalError("not bound"),
    KeyError("value"),
    IndexError("out of range"),
    AssertionError("never"),
    ZeroDivisionError("by zero"),
    RecursionError("too deep"),
    SyntaxError("invalid"),
)


class DriverKeyError(KeyError):
    """A driver's own way to say that there is no such key."""


ANSWERS = (
    OSError("lost"),
    ConnectionResetError("reset"),
    TimeoutError("late"),
    asyncio.IncompleteReadError(b"", 4),
    RuntimeError("connection is closed"),
    ValueError("garbage"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "garbage"),
    DriverKeyError("x"),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: type(each).__name__)
def test_mistake_of_a_client_ends_the_run_and_is_shown(bench, mistake) -> None:
    async def break_down(_):
        raise mistake

    with pytest.raises(Bug, match=rf"read of 0 raised {type(mistake).__name__}.*test_bugs") as end:
        bench.run(repeat(READ, 500), break_down)

    assert end.value.__cause__ is mistake
    assert [event.type for event in bench.events] == [Type.INVOKE]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda each: type(each).__name__)
def test_what_a_driver_raises_is_info(bench, answer) -> None:
    async def break_down(_):
        raise answer

    history = bench.run(repeat(READ, 3), break_down)

    assert [each.type for each in history.operations] == [Type.INFO] * 3


def test_mistake_while_a_client_is_opened_ends_the_run(bench) -> None:
    async def open_client(node):
        return {}[node]

    with pytest.raises(Bug, match="a client to n1 raised KeyError"):
        bench.run(READ, None, open_client=open_client)


class ClosesWrongly:
    """A client whose operations are unknown, so that it is closed after each."""

    async def invoke(self, invocation):
        raise ConnectionResetError("reset")

    async def close(self):
        raise AttributeError("no such socket")


def test_mistake_while_a_client_is_closed_ends_the_run(bench) -> None:
    async def open_client(node):
        return ClosesWrongly()

    with pytest.raises(Bug, match="closing a client raised AttributeError: no such socket"):
        bench.run(repeat(READ, 500), None, open_client=open_client)

    assert len(bench.events) == 2


def test_mistake_of_a_nemesis_ends_the_run_and_everything_is_healed(bench) -> None:
    async def answer(invocation):
        if not isinstance(invocation.process, int):
            raise NotImplementedError("strike")
        return invocation.ok()

    nemesis = FunctionNemesis(answer)

    with pytest.raises(Bug, match="strike of net raised NotImplementedError: strike"):
        bench.run(
            phases(READ, Invocation("strike", process="net"), repeat(READ, 500)),
            answer,
            nemeses={"net": nemesis},
        )

    assert nemesis.healed == 1


def test_mistake_of_a_generator_is_a_bug(bench) -> None:
    def wrong(context):
        return context.no_such_thing

    async def answer(invocation):
        return invocation.ok()

    with pytest.raises(GeneratorError, match="no_such_thing") as end:
        bench.run(wrong, answer)

    assert isinstance(end.value, Bug)


def test_mistake_after_the_operation_was_given_up_ends_nothing(virtual_bench) -> None:
    async def stumble(_):
        try:
            await asyncio.sleep(60)
        finally:
            raise AttributeError("the transport is None")

    history = virtual_bench.run(repeat(READ, 2), stumble, limits=TimeLimits(operation_s=1.0))

    assert [each.type for each in history.operations] == [Type.INFO] * 2


def test_a_group_with_a_mistake_in_it_is_one() -> None:
    lost, wrong = OSError("lost"), TypeError("wrong")

    assert is_bug(ExceptionGroup("both", [lost, wrong]))
    assert not is_bug(ExceptionGroup("lost", [lost, TimeoutError("late")]))
    assert "ExceptionGroup" in str(bug_of("it", ExceptionGroup("both", [wrong])))


class Ear:
    """A generator that keeps what it hears."""

    def __init__(self, heard, inner):
        self.heard, self.inner = heard, inner

    def next(self, context):
        answer = self.inner.next(context)
        return answer and (answer[0], Ear(self.heard, answer[1]))

    def update(self, context, event):
        self.heard.append(event.type)
        return self


def test_a_generator_hears_what_failed_like_everything_else(bench) -> None:
    heard = []

    async def refuse(invocation):
        return invocation.fail("no")

    bench.run(Ear(heard, generator(repeat(READ, 3))), refuse)

    assert heard == [Type.INVOKE, Type.FAIL] * 3
