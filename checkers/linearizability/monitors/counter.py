"""
Counters: bounds for any, and for adds that are all the same an order or a proof that none is.

Bounds. No read may answer less, or more, than every order allows: what was acknowledged before the
read began, and every decrement that was asked before it ended; greatest: the other way round. That
is necessary, not sufficient: inside, the search decides, unless all adds are the same.

Adds that are all the same. Each answer tells how many came before it, so the reads stand in levels
and between two levels as many adds as they differ by. An add fits into a run of such gaps: those
after the reads that surely came before it, before the reads that surely came after. From gap to
gap, those that fit are taken by earliest deadline, which is right for intervals: if one is left
behind at its last gap, or too few fit, no choice is right.

Cost: O(n log n), 2 to 5 µs an operation. A witness costs that some 20 times.

Source of the bounds: Jepsen, `checker.clj`, `counter`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import accumulate
from typing import Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Finding, Invalid
from dissever.checkers.linearizability.model import Model

TRIES_MAX: Final = 60
"""Reads left out, one after the other, to make a witness smaller."""


class _Sums:
    """What the adds before a position come to."""

    def __init__(self, adds: Sequence[tuple[int, int]]) -> None:
        ordered = sorted(adds)
        self._positions = [position for position, _ in ordered]
        self._sums = [0, *accumulate(amount for _, amount in ordered)]

    def before(self, position: int) -> int:
        return self._sums[bisect_left(self._positions, position)]


def judge(calls: Sequence[Call], model: Model) -> Finding | None:
    """Decide where all adds are the same; else invalid, or None: bounds alone prove nothing."""
    if type(model.initial) is not int:
        return None
    adds: list[tuple[Call, int]] = []
    reads: list[tuple[Call, int]] = []
    for call in calls:
        if call.f == "add":
            if type(call.value_in) is not int:
                return None
            adds.append((call, call.value_in))
        elif call.f != "read" or type(call.value_out) is not int:
            return None
        else:
            reads.append((call, call.value_out - model.initial))
    outside = _out_of_bounds(adds, reads, model.initial)
    if outside is not None:
        return outside
    amounts = {amount for _, amount in adds}
    if len(amounts) != 1 or 0 in amounts:
        return None
    (amount,) = amounts
    same = [call for call, _ in adds]
    levels = [(call, -1 if held % amount else held // amount) for call, held in reads]
    order = _order(same, levels)
    if order is None:
        return _witness(same, levels)
    number = {call.inv: i for i, call in enumerate(calls)}
    return Finding(tuple(number[call.inv] for call in order))


def _out_of_bounds(
    adds: Sequence[tuple[Call, int]], reads: Sequence[tuple[Call, int]], initial: int
) -> Finding | None:
    asked_up = _Sums([(call.inv, n) for call, n in adds if n > 0])
    asked_down = _Sums([(call.inv, n) for call, n in adds if n < 0])
    done_up = _Sums([(call.ret, n) for call, n in adds if n > 0])
    done_down = _Sums([(call.ret, n) for call, n in adds if n < 0])
    for call, held in reads:
        least = done_up.before(call.inv) + asked_down.before(call.ret)
        most = asked_up.before(call.ret) + done_down.before(call.inv)
        if not least <= held <= most:
            bounds = (
                f"exactly {initial + least}"
                if least == most
                else f"at least {initial + least} and at most {initial + most}"
            )
            reason = f"every order of the adds gives {bounds}"
            part = [add for add, _ in adds if add.inv < call.ret]
            return Invalid("out-of-bounds", "bounds", reason, (call,), part).finding
    return None


def _order(adds: Sequence[Call], reads: Sequence[tuple[Call, int]]) -> list[Call] | None:
    """
    A linearization, or None where there is none.

    Args:
        reads: Each with how many adds its answer says came before it; -1 if no number does.
    """
    by_level: dict[int, list[Call]] = {}
    for read, level in reads:
        by_level.setdefault(level, []).append(read)
    levels = sorted(by_level)
    if levels and levels[0] < 0:
        return None
    latest = list(accumulate((max(r.inv for r in by_level[n]) for n in levels), max))
    least = list(accumulate((min(r.ret for r in by_level[n]) for n in reversed(levels)), min))[::-1]
    if any(before > after for before, after in zip(latest, least[1:], strict=False)):
        return None
    fits: list[list[Call]] = [[] for _ in range(len(levels) + 1)]
    for add in adds:
        first = bisect_right(least, add.inv)
        if first > 0 and add.ret < latest[first - 1]:
            return None  # Between two reads that say that nothing was.
        fits[first].append(add)
    ready: list[tuple[int, int, Call]] = []
    order: list[Call] = []
    placed = 0
    for gap, level in enumerate(levels):
        for add in fits[gap]:
            heappush(ready, (add.ret, add.inv, add))
        # By the bounds, at least this many adds were asked before these reads returned.
        chosen = [heappop(ready)[2] for _ in range(level - placed)]
        if ready and ready[0][0] < latest[gap]:
            return None
        placed = level
        order += sorted(chosen, key=lambda call: call.inv)
        order += sorted(by_level[level], key=lambda call: call.inv)
    rest = [*(add for _, _, add in ready), *fits[-1]]
    return order + sorted((add for add in rest if not add.is_crashed), key=lambda call: call.inv)


def _witness(adds: Sequence[Call], reads: Sequence[tuple[Call, int]]) -> Finding:
    """The first reads by return that no order fits, as few as go; and all adds asked by then."""
    ended = sorted(reads, key=lambda each: each[0].ret)
    n = bisect_left(range(len(ended)), True, key=lambda i: _order(adds, ended[: i + 1]) is None)
    some = ended[: n + 1]
    for _, each in zip(range(TRIES_MAX), list(some[:-1]), strict=False):
        rest = [other for other in some if other is not each]
        if _order(adds, rest) is None:
            some = rest
    conflict = [read for read, _ in some]
    part = [add for add in adds if add.inv < conflict[-1].ret]
    reason = "all adds are the same, and no choice of those that came before fits every answer"
    return Invalid(
        "nonlinearizable", "same adds", reason, conflict[-6:], [*part, *conflict]
    ).finding
