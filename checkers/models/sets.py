"""
Sets: one that only grows and is read whole, and one whose elements come and go.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

from dissever.checkers.models.core import (
    REFUSED,
    After,
    Family,
    Misfit,
    Model,
    State,
    Transition,
)
from dissever.harness.values import show


def grow_only_set() -> Model:
    """`add` element, `read` -> a list of all elements, in any order."""
    return Model(
        "set",
        frozenset(),
        _grow_only_set,
        noun="set",
        holds=_show_set,
        narrow=_narrow_set,
        family=Family.GROW_ONLY_SET,
        description="add element, read -> a list of all elements",
    )


def removable_set() -> Model:
    """
    `add` element, `remove` element, `contains` element -> [element, whether], `read` -> a list.

    To add what is there, or to remove what is not, changes nothing and is no error.
    """
    return Model(
        "removable-set",
        frozenset(),
        _removable_set,
        reads=frozenset({"read", "contains"}),
        noun="set",
        holds=_show_set,
        family=Family.SET,
        description="add, remove, contains element -> [element, true], read -> a list",
    )


def _grow_only_set(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    assert isinstance(state, frozenset)
    if f == "add":
        return state if value_in in state else state | {value_in}
    if f == "read":
        return state if state == elements(value_out) else REFUSED
    raise Misfit(f"a set has no {f!r}")


def _removable_set(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    assert isinstance(state, frozenset)
    if f == "remove":
        return state - {value_in} if value_in in state else state
    if f == "contains":
        element, answer = membership(value_out)
        return state if (element in state) is answer else REFUSED
    return _grow_only_set(state, f, value_in, value_out)


def elements(value: Hashable) -> frozenset[Hashable]:
    """The elements that a read answered."""
    if not isinstance(value, tuple):
        raise Misfit(f"a read of a set answers a list, got {show(value)}")
    return frozenset(value)


def membership(value: Hashable) -> tuple[Hashable, bool]:
    """The element that `contains` was asked about, and what it answered."""
    if isinstance(value, tuple) and len(value) == 2:
        element, answer = value
        if answer in ((bool, True), (bool, False)):
            return element, answer == (bool, True)
    raise Misfit(f"contains answers [element, true or false], got {show(value)}")


def _show_set(state: State) -> str:
    assert isinstance(state, frozenset)
    return show(sorted(state, key=repr))


_APART: Final = ("a state that no read tells from others",)


def _narrow_set(transitions: Iterable[Transition]) -> Model:
    """States that are part of no read are one state: nothing read ever follows from them."""
    reads = {elements(each.value_out) for each in transitions if each.f == "read"}

    def step(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
        if state == _APART:
            return _APART if f == "add" else REFUSED
        after = _grow_only_set(state, f, value_in, value_out)
        if not isinstance(after, frozenset) or any(after <= read for read in reads):
            return after
        return _APART

    def holds(state: State) -> str:
        return "more than was ever read" if state == _APART else _show_set(state)

    nothing: State = frozenset()
    return Model("set", nothing if reads else _APART, step, noun="set", holds=holds)
