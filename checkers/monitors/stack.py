"""
Stacks whose values are each pushed once, by peeling.

A value whose push and pop overlap stands aside: the two can stand side by side. Every other
value is surely in from the return of its push to the invocation of its pop, its cover. In each
connected part of the union of covers some value must lie at the bottom: its push began before
the part did, its pop ended after it. Take it away, look at what is connected now, and repeat. A
pop that found nothing needs an instant outside all covers. Crashed pushes: `items`.

The order: a bottom is pushed just before its part begins and popped just after it ends. The
parts of what remains lie inside, apart from each other, so pushes and pops nest; that proves
that peeling to the end is enough. That it must succeed: the values of a part are in without a
gap from its begin to its end in any linearization, so what lies at the bottom then was pushed
before the part began and is popped after it ended.

Source: the idea is LiMo's (Abdulla and others, PLDI 2025). Cost: O(n log n + n times the pushes
that are open at once).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from dissever.checkers.calls import NEVER, Call
from dissever.checkers.models import Model
from dissever.checkers.monitors.cover import Depths
from dissever.checkers.monitors.finding import (
    Finding,
    Invalid,
    Point,
    by_points,
    just_after,
    just_before,
)
from dissever.checkers.monitors.items import WITNESSES_MAX, Item, check_empties, gather


def judge(calls: Sequence[Call], model: Model) -> Finding | None:
    """Decide; None where a value may be pushed twice, or a pop crashed."""
    if model.initial != ():
        return None
    try:
        gathered = gather(calls, "push", "pop")
        if gathered is None:
            return None
        items, empties = gathered
        free = check_empties(items, empties)
        points = _peel([item for item in items if item.in_at < item.in_until])
    except Invalid as invalid:
        return invalid.finding
    for inv, position in free.items():
        points[inv] = (just_after(position), inf, inv)
    for item in items:
        if item.in_at > item.in_until and item.take is not None:
            at = just_after(item.in_until)
            points[item.put.inv] = (at, 0, item.put.inv)
            points[item.take.inv] = (at, 0, item.put.inv + 0.5)
    return Finding(is_valid=True, order=by_points(calls, points))


def _peel(items: Sequence[Item]) -> dict[int, Point]:
    """
    The points of pushes and pops.

    Raises:
        Invalid: When nothing can lie at the bottom of a part.
    """
    points: dict[int, Point] = {}
    open_at = _open_pushes(items)
    depths = Depths([(item.in_at, item.in_until) for item in items])
    gone: set[int] = set()
    parts = [(start, end, 1) for start, end in depths.parts()]
    while parts:
        start, end, level = parts.pop()
        bottom = next(
            (
                i
                for i in open_at[start]
                if i not in gone and items[i].in_until <= end and items[i].out_at >= end
            ),
            None,
        )
        if bottom is None:
            raise _no_bottom(items, gone, start, end)
        gone.add(bottom)
        item = items[bottom]
        points[item.put.inv] = (just_before(start), level, 0)
        if item.take is not None:
            points[item.take.inv] = (just_after(end), -level, 0)
        within = depths.remove(item.in_at, item.in_until, start, end)
        parts += [(left, right, level + 1) for left, right in within]
    return points


def _open_pushes(items: Sequence[Item]) -> dict[int, list[int]]:
    """By the return of each push: the items whose pushes are open then, its own included."""
    events = sorted(
        [(item.put.inv, 0, i) for i, item in enumerate(items)]
        + [(item.in_at, 1, i) for i, item in enumerate(items)]
    )
    opened: dict[int, None] = {}
    found: dict[int, list[int]] = {}
    for position, is_return, i in events:
        if not is_return:
            opened[i] = None
            continue
        found[position] = list(opened)
        del opened[i]
    return found


def _no_bottom(items: Sequence[Item], gone: set[int], start: int, end: int) -> Invalid:
    """No value of this part can be its bottom."""
    inside = [
        item
        for i, item in enumerate(items)
        if i not in gone and start <= item.in_at and item.in_until <= end
    ]
    first = min(inside, key=lambda item: item.in_at)
    last = max(inside, key=lambda item: (item.in_until, item.in_at))
    every = [call for item in inside for call in item.calls]
    named = [*first.calls, *(last.calls if last is not first else ())]
    conflict = sorted(named, key=lambda call: (call.ret == NEVER, call.ret))
    reason = (
        f"of the {len(inside)} values that were surely in then, without a gap, none was pushed "
        f"before all others and popped after them"
    )
    part = every if len(inside) <= WITNESSES_MAX else ()
    return Invalid("out-of-order", "no bottom", reason, conflict, part)
