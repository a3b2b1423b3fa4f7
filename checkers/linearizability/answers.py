"""
What operations on collections carry, read from their values.

Each function raises Misfit for a value that no such operation has.
"""

from __future__ import annotations

from collections.abc import Hashable

from dissever.checkers.linearizability.model import Misfit
from dissever.harness.values import show


def entries(value: Hashable) -> tuple[Hashable, ...]:
    """The entries that a read of a log answered."""
    if not isinstance(value, tuple):
        raise Misfit(f"a read of a log answers a list, got {show(value)}")
    return value


def elements(value: Hashable) -> frozenset[Hashable]:
    """The elements that a read of a set answered."""
    if not isinstance(value, tuple):
        raise Misfit(f"a read of a set answers a list, got {show(value)}")
    return frozenset(value)


def membership(value: Hashable) -> tuple[Hashable, bool]:
    """The element that `contains` was asked about, and whether the set held it."""
    if isinstance(value, tuple) and len(value) == 2:
        element, answer = value
        if answer in ((bool, True), (bool, False)):
            return element, answer == (bool, True)
    raise Misfit(f"contains answers [element, true or false], got {show(value)}")


def priority(item: Hashable) -> int:
    """The priority of what was inserted into a priority queue."""
    first = item[0] if isinstance(item, tuple) and len(item) == 2 else item
    if type(first) is not int:
        raise Misfit(f"insert wants an int or [int, value], got {show(item)}")
    return first
