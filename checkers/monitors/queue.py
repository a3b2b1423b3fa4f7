"""
FIFO queues whose values are each put in once, in O(n log n).

Invalid if and only if a value was taken that was not put in (VFresh), or twice (VRepet); a value
overtook another (VOrd); or a dequeue found nothing while something was surely in (VWit). Crashed
enqueues: `items`. Published without them (Henzinger, Sezgin, Vafeiadis, "Aspect-oriented
linearizability proofs", 2013; Bouajjani and others, 2015).

A valid verdict tries to give an order: values in an order that respects both the enqueues and the
dequeues in time, each put in as late and taken out as early as that allows. Without dequeues that
found nothing that always is one; with them it nearly always is, else the theorem has to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf

from dissever.checkers.calls import Call
from dissever.checkers.models import Model
from dissever.checkers.monitors.finding import (
    Finding,
    Invalid,
    Point,
    by_points,
    just_after,
    just_before,
)
from dissever.checkers.monitors.items import Item, check_empties, gather, union


def judge(calls: Sequence[Call], model: Model) -> Finding | None:
    """Decide; None where a value may be put in twice, or a dequeue crashed."""
    if model.initial != ():
        return None
    try:
        gathered = gather(calls, "enqueue", "dequeue")
        if gathered is None:
            return None
        items, empties = gathered
        _check_order(items)
        check_empties(items, empties)
    except Invalid as invalid:
        return invalid.finding
    points = _points(_in_line(items), empties)
    return Finding(is_valid=True, order=by_points(calls, points) if points is not None else None)


def _check_order(items: Sequence[Item]) -> None:
    """VOrd: what was put in surely later must not be taken out surely earlier."""
    ended = sorted(items, key=lambda item: item.in_at)
    last: Item | None = None
    place = 0
    for item in items:
        while place < len(ended) and ended[place].in_at < item.put.inv:
            if last is None or ended[place].in_until > last.in_until:
                last = ended[place]
            place += 1
        if last is not None and item.take is not None and item.out_at < last.in_until:
            when = "was never taken" if last.take is None else "was taken only later"
            reason = f"another value had been put in before it and {when}"
            before = (last.put,) if last.take is None else last.calls
            raise Invalid("out-of-order", "VOrd", reason, (*before, item.put, item.take))


def _in_line(items: Sequence[Item]) -> list[Item]:
    """
    The items in an order that respects enqueues and dequeues in time; it exists without VOrd.

    An item is free when no other has to go in, or to go out, before it.
    """
    waiting_in = sorted(range(len(items)), key=lambda i: items[i].put.inv)
    waiting_out = sorted(range(len(items)), key=lambda i: items[i].in_until)
    ends_in = sorted(range(len(items)), key=lambda i: items[i].in_at)
    ends_out = sorted(range(len(items)), key=lambda i: items[i].out_at)
    places = [0, 0, 0, 0]
    free = [0] * len(items)
    is_done = [False] * len(items)
    ready: list[tuple[int, int, int]] = []
    line: list[Item] = []

    def release(waiting: list[int], which: int, begins: list[int], end: int) -> None:
        while places[which] < len(waiting) and begins[waiting[places[which]]] <= end:
            i = waiting[places[which]]
            free[i] += 1
            if free[i] == 2:
                heappush(ready, (items[i].in_until, items[i].in_at, i))
            places[which] += 1

    inv = [item.put.inv for item in items]
    out = [item.in_until for item in items]
    while len(line) < len(items):
        for which, ends in ((2, ends_in), (3, ends_out)):
            while is_done[ends[places[which]]]:
                places[which] += 1
        release(waiting_in, 0, inv, items[ends_in[places[2]]].in_at)
        release(waiting_out, 1, out, items[ends_out[places[3]]].out_at)
        i = heappop(ready)[2]
        is_done[i] = True
        line.append(items[i])
    return line


def _points(line: Sequence[Item], empties: Sequence[Call]) -> dict[int, Point] | None:
    """Where each call takes effect, or None if a dequeue that found nothing has no place."""
    latest = _latest_puts(line)
    points: dict[int, Point] = {}
    covers: list[tuple[float, float]] = []
    out = -inf
    for i, item in enumerate(line):
        out = max(out, just_after(item.in_until))
        put = min(latest[i], out)
        points[item.put.inv] = (put, i, 0)
        if item.take is not None:
            points[item.take.inv] = (out, i, 1)
        covers.append((put, out if item.take is not None else inf))
    joined = union(covers)
    place = 0
    for call in sorted(empties, key=lambda each: each.inv):
        at = just_after(call.inv)
        while place < len(joined) and joined[place][1] < at:
            place += 1
        if place < len(joined) and joined[place][0] <= at:
            at = joined[place][1]
        if at > call.ret:
            return None
        points[call.inv] = (at, inf, call.inv)
    return points


def _latest_puts(line: Sequence[Item]) -> list[float]:
    """The least end of the puts from each place in the line on."""
    latest: list[float] = []
    least = inf
    for item in reversed(line):
        least = min(least, just_before(item.in_at))
        latest.append(least)
    return latest[::-1]
