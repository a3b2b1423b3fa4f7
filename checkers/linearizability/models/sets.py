"""
Sets: one that only grows and is read whole, and one whose elements come and go.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Set
from typing import Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Answers, Family, Monitor, Parts
from dissever.checkers.linearizability.model import (
    REFUSED,
    After,
    Misfit,
    Model,
    State,
    Transition,
    contents,
    elements,
    is_repeating,
    membership,
    narrowed,
)
from dissever.checkers.linearizability.monitors.elements import judge
from dissever.checkers.linearizability.monitors.grow_only import judge_set
from dissever.harness.values import show


def _grow_only_set(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    assert isinstance(state, frozenset)
    if f == "add":
        return state if value_in in state else state | {value_in}
    if f == "read":
        return state if _holds(state, value_out) else REFUSED
    raise Misfit(f"a set has no {f!r}")


def _holds(held: Set[Hashable], answer: Hashable) -> bool:
    """Whether the answer of a read is what a set holds, each element once."""
    return held == elements(answer) and not is_repeating(answer)


def _removable_set(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    """To add what is there, or to remove what is not, changes nothing and is no error."""
    assert isinstance(state, frozenset)
    if f == "remove":
        return state - {value_in} if value_in in state else state
    if f == "contains":
        element, answer = membership(value_out)
        return state if (element in state) is answer else REFUSED
    return _grow_only_set(state, f, value_in, value_out)


def _show_set(state: State) -> str:
    assert isinstance(state, frozenset)
    return show(sorted(state, key=repr))


def _narrow_set(model: Model, transitions: Iterable[Transition]) -> Model:
    """States that are part of no read are one state."""
    reads = {elements(each.value_out) for each in transitions if each.f == "read"}

    def keeps(state: State) -> bool:
        assert isinstance(state, frozenset)
        return any(state <= read for read in reads)

    return narrowed(model, keeps, grows="add")


def _replayer(model: Model, wanted: set[Hashable]) -> Answers:
    assert isinstance(model.initial, frozenset)
    held: set[Hashable] = set(model.initial)

    def answers(f: str, value_in: Hashable, value_out: Hashable) -> bool:
        if f == "add":
            held.add(value_in)
        elif f == "remove":
            held.discard(value_in)
        elif f == "contains":
            element, answer = membership(value_out)
            return (element in held) is answer
        else:
            return _holds(held, value_out)
        return True

    return answers


def _needs(call: Call) -> Iterable[Hashable]:
    """Elements are independent: answers speak of each of theirs."""
    if call.f == "contains":
        return (membership(call.value_out)[0],)
    return elements(call.value_out) if call.f == "read" else (call.value_in,)


def _helps(call: Call) -> Iterable[Hashable]:
    return (call.value_in,) if call.f in ("add", "remove") else ()


def _contents(initial: Hashable) -> State:
    return frozenset(contents("set")(initial))


_PARTS: Final = Parts(_needs, _helps, cuts_answers=True)

MODELS: Final = (
    Model(
        "set",
        frozenset(),
        _grow_only_set,
        writes=frozenset({"add"}),
        noun="set",
        holds=_show_set,
        narrow=_narrow_set,
        start=_contents,
        family=Family(
            monitor=Monitor("groups", judge_set, "each element was added once"),
            replayer=_replayer,
            parts=_PARTS,
        ),
        description="add element, read -> a list of all elements, each once",
    ),
    Model(
        "removable-set",
        frozenset(),
        _removable_set,
        reads=frozenset({"read", "contains"}),
        writes=frozenset({"add", "remove"}),
        noun="set",
        holds=_show_set,
        start=_contents,
        family=Family(
            monitor=Monitor("elements", judge, "no read of the whole set: each element alone"),
            replayer=_replayer,
            parts=_PARTS,
        ),
        description="add, remove, contains element -> [element, true], read -> a list",
    ),
)
