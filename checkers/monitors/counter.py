"""
Counters: no read may answer less, or more, than every order allows.

Least: what was acknowledged before the read began, and every decrement that was asked before it
ended; greatest: the other way round. That is necessary, not sufficient: inside, the search decides.

Source: Jepsen, `checker.clj`, `counter`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from dissever.checkers.calls import Call
from dissever.checkers.models import Model
from dissever.checkers.monitors.finding import Finding, Invalid


class _Sums:
    """What the adds before a position come to."""

    def __init__(self, adds: Sequence[tuple[int, int]]) -> None:
        ordered = sorted(adds)
        self._positions = [position for position, _ in ordered]
        self._sums = [0, *accumulate(amount for _, amount in ordered)]

    def before(self, position: int) -> int:
        return self._sums[bisect_left(self._positions, position)]


def judge(calls: Sequence[Call], model: Model) -> Finding | None:
    """Invalid, or None: a read inside its bounds proves nothing."""
    if type(model.initial) is not int:
        return None
    adds: list[tuple[Call, int]] = []
    for call in calls:
        if call.f == "add":
            if type(call.value_in) is not int:
                return None
            adds.append((call, call.value_in))
    asked_up = _Sums([(call.inv, n) for call, n in adds if n > 0])
    asked_down = _Sums([(call.inv, n) for call, n in adds if n < 0])
    done_up = _Sums([(call.ret, n) for call, n in adds if n > 0])
    done_down = _Sums([(call.ret, n) for call, n in adds if n < 0])
    for call in calls:
        if call.f != "read" or type(call.value_out) is not int:
            continue
        least = model.initial + done_up.before(call.inv) + asked_down.before(call.ret)
        most = model.initial + asked_up.before(call.ret) + done_down.before(call.inv)
        if not least <= call.value_out <= most:
            return _outside(calls, call, least, most)
    return None


def _outside(calls: Sequence[Call], read: Call, least: int, most: int) -> Finding:
    bounds = f"exactly {least}" if least == most else f"at least {least} and at most {most}"
    reason = f"every order of the adds gives {bounds}"
    part = [call for call in calls if call.f == "add" and call.inv < read.ret]
    return Invalid("out-of-bounds", "bounds", reason, (read,), part).finding
