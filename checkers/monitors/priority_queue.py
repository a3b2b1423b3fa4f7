"""
Priority queues whose values are each put in once, all with different priorities, in O(n log n).

From the greatest priority down, each value is removed at the first instant at which nothing greater
is surely in; from the return of its insert to that instant it is surely in itself. Invalid if that
instant comes after its remove returned, or if a remove that found nothing has no free instant.
Crashed inserts: `items`.

By induction a value is in at least during its cover, in every linearization, since it cannot be
removed while something greater is in: a failure is one in all of them. Else the instants are an
order: insert just before the return, or just before the removal where that is earlier.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import inf

from dissever.checkers.calls import NEVER, Call
from dissever.checkers.models import Model
from dissever.checkers.models.containers import priority
from dissever.checkers.monitors.finding import (
    Finding,
    Invalid,
    Point,
    by_points,
    just_after,
    just_before,
)
from dissever.checkers.monitors.items import WITNESSES_MAX, Item, gather


class Covers:
    """Disjoint open intervals, kept in order."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []

    def free(self, position: int) -> int:
        """The first position from this one on that lies inside none."""
        place = bisect_left(self.starts, position) - 1
        return max(position, self.ends[place]) if place >= 0 else position

    def add(self, start: int, end: int) -> None:
        """Join it with those that it overlaps."""
        low = bisect_right(self.ends, start)
        high = bisect_left(self.starts, end)
        if low < high:
            start, end = min(start, self.starts[low]), max(end, self.ends[high - 1])
        self.starts[low:high] = [start]
        self.ends[low:high] = [end]

    def around(self, position: int) -> tuple[int, int]:
        """The interval that a position lies in."""
        place = bisect_left(self.starts, position) - 1
        return self.starts[place], self.ends[place]


def judge(calls: Sequence[Call], model: Model) -> Finding | None:
    """Decide; None where a value or a priority may occur twice, or a remove crashed."""
    if model.initial != frozenset({()}):
        return None
    try:
        gathered = gather(calls, "insert", "remove-max")
        if gathered is None:
            return None
        items, empties = gathered
        by_priority = {priority(item.value): item for item in items}
        if len(by_priority) < len(items):
            return None
        points = _place(by_priority, empties)
    except Invalid as invalid:
        return invalid.finding
    return Finding(is_valid=True, order=by_points(calls, points))


def _place(by_priority: dict[int, Item], empties: Sequence[Call]) -> dict[int, Point]:
    """
    The points of all calls.

    Raises:
        Invalid: When one has none.
    """
    covers = Covers()
    points: dict[int, Point] = {}
    passed: list[tuple[Item, int]] = []
    for each in sorted(by_priority, reverse=True):
        item = by_priority[each]
        out = NEVER if item.take is None else covers.free(item.in_until)
        if item.take is not None:
            if out > item.take.ret:
                raise _covered(passed, covers.around(item.in_until), item.take, item)
            points[item.take.inv] = (just_after(out), -each, 1)
        put = just_before(item.put.ret) if item.put.ret < out else just_after(out)
        points[item.put.inv] = (put, -each, 0)
        if item.put.ret < out:
            covers.add(item.put.ret, out)
            passed.append((item, out))
    for call in empties:
        at = covers.free(call.inv)
        if at > call.ret:
            raise _covered(passed, covers.around(call.inv), call, None)
        points[call.inv] = (just_after(at), inf, call.inv)
    return points


def _covered(
    passed: Sequence[tuple[Item, int]], cover: tuple[int, int], take: Call, taken: Item | None
) -> Invalid:
    """A remove during which something greater, or anything, was always in."""
    start, end = cover
    inside = [item for item, out in passed if start <= item.put.ret and out <= end]
    every = [call for item in inside for call in item.calls]
    longest = sorted(inside, key=lambda item: item.in_at - item.in_until)
    shown = [call for item in longest[:2] for call in item.calls]
    own = [] if taken is None else [taken.put]
    what = "a value" if taken is None else "a value of a greater priority"
    name, rule = (
        ("false-empty", "no free instant") if taken is None else ("out-of-order", "covered")
    )
    reason = f"{what} was surely there all that time"
    part = [*every, *own] if len(inside) <= WITNESSES_MAX else []
    return Invalid(name, rule, reason, (*shown, *own, take), part)
