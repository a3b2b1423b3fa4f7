"""
Is an order of operations a linearization? This shares nothing with what finds one: it reads events.

Each ok operation stands once, each crashed one at most once, a failed one never; the model accepts
each step; and none stands before another that had been answered before it was asked. Events of one
time are concurrent.

Source: Herlihy and Wing, "Linearizability" (1990), section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from dissever.checkers.models import REFUSED, UNKNOWN, Model
from dissever.harness.history import Operation, Type
from dissever.harness.values import freeze


def flaw(model: Model, operations: Sequence[Operation], order: Sequence[int]) -> str | None:
    """
    Why an order is not a linearization of the operations of one object, or None when it is.

    Args:
        order: Indices of invocations.
    """
    by_index = {operation.invocation.index: operation for operation in operations}
    ordered = set(order)
    if len(ordered) != len(order) or not ordered <= by_index.keys():
        return "an operation stands twice, or is of another object"
    for index, operation in by_index.items():
        if operation.type is Type.OK and index not in ordered:
            return f"operation {operation.indices}, which was acknowledged, is missing"
    placed = [by_index[index] for index in order]
    return _flaw_in_steps(model, placed) or _flaw_in_time(placed, _moments(operations))


def _flaw_in_steps(model: Model, placed: Sequence[Operation]) -> str | None:
    state = model.initial
    for each in placed:
        asked = None if each.f in model.reads else freeze(each.invocation.value)
        told = freeze(each.value) if each.type is Type.OK else UNKNOWN
        after = model.step(state, each.f, asked, told)
        if after is REFUSED or each.type is Type.FAIL:
            return f"operation {each.indices} cannot have happened there"
        state = after
    return None


def _flaw_in_time(placed: Sequence[Operation], moments: dict[int, int]) -> str | None:
    """Seen from the end: the least return so far, against each invocation."""
    least_return = len(moments) + 1
    for each in reversed(placed):
        if each.type is Type.OK:
            least_return = min(least_return, moments[each.indices[-1]])
        if least_return < moments[each.indices[0]]:
            return f"operation {each.indices} comes before one that returned earlier"
    return None


def _moments(operations: Sequence[Operation]) -> dict[int, int]:
    """Event index -> how many times have passed before its own."""
    events = [e for each in operations for e in (each.invocation, each.completion) if e is not None]
    moments: dict[int, int] = {}
    moment, time_before = 0, None
    for event in sorted(events, key=lambda each: each.index):
        moment += event.time != time_before
        moments[event.index] = moment
        time_before = event.time
    return moments
