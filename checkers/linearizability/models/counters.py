"""
A counter: what was added, together.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Answers, Family, Monitor, Parts
from dissever.checkers.linearizability.model import REFUSED, UNKNOWN, After, Misfit, Model, State
from dissever.checkers.linearizability.monitors.counter import judge
from dissever.harness.values import show


def _counter(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    assert isinstance(state, int)
    if f == "read":
        return state if state == value_out else REFUSED
    if f != "add":
        raise Misfit(f"a counter has no {f!r}")
    if type(value_in) is not int:
        raise Misfit(f"add wants an int, got {show(value_in)}")
    return state + value_in


def _replayer(model: Model, wanted: set[Hashable]) -> Answers:
    held = model.initial

    def answers(f: str, value_in: Hashable, value_out: Hashable) -> bool:
        nonlocal held
        if f == "read":
            return held == value_out
        assert isinstance(held, int)
        assert isinstance(value_in, int)
        held += value_in
        return True

    return answers


def _needs(call: Call) -> Iterable[Hashable]:
    """Each add may be in what a read answers."""
    return (UNKNOWN,)


def _helps(call: Call) -> Iterable[Hashable]:
    return (UNKNOWN,) if call.f == "add" else ()


def _is_out_of_bounds(model: Model, calls: Sequence[Call], named: Sequence[Call]) -> bool:
    """Whether a named read lies outside what every order of all adds allows."""
    adds: list[tuple[Call, Any]] = [(call, call.value_in) for call in calls if call.f == "add"]
    for read in named:
        if read.f != "read" or read.is_crashed:
            continue
        sure = [n for call, n in adds if call.ret < read.inv]
        possible = [n for call, n in adds if call.ret >= read.inv and call.inv < read.ret]
        held: Any = model.initial
        least = held + sum(sure) + sum(n for n in possible if n < 0)
        most = held + sum(sure) + sum(n for n in possible if n > 0)
        answer: Any = read.value_out
        if not least <= answer <= most:
            return True
    return False


def _number(initial: Hashable) -> State:
    if type(initial) is not int:
        raise Misfit("a counter begins with an int")
    return initial


COUNTERS: Final = Family(
    monitor=Monitor(
        "bounds", judge, "all adds are the same, or a read lies outside what any order allows"
    ),
    replayer=_replayer,
    parts=Parts(_needs, _helps, proves=_is_out_of_bounds),
)

MODELS: Final = (
    Model(
        "counter",
        0,
        _counter,
        writes=frozenset({"add"}),
        noun="counter",
        family=COUNTERS,
        is_endless=True,
        start=_number,
        description="add n, read -> the sum",
    ),
)
