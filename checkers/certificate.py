"""
Is an order of operations a linearization? Shares no code with the search that found it.

Each ok operation stands once, each crashed one at most once, the model accepts each step, and no
operation stands after one that was invoked after it returned.

Source: Herlihy and Wing, "Linearizability" (1990), section 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from dissever.checkers.calls import Call
from dissever.checkers.models import REFUSED, Model


def flaw(model: Model, calls: Sequence[Call], order: Sequence[int]) -> str | None:
    """
    Why an order is not a linearization of the calls, or None when it is.

    Args:
        order: Positions in `calls`.
    """
    if len(set(order)) != len(order):
        return "an operation stands twice"
    missing = set(range(len(calls))) - set(order)
    if any(not calls[i].is_crashed for i in missing):
        return "an acknowledged operation is missing"
    return _flaw_in_steps(model, calls, order) or _flaw_in_time(calls, order)


def _flaw_in_steps(model: Model, calls: Sequence[Call], order: Sequence[int]) -> str | None:
    state = model.initial
    for i in order:
        call = calls[i]
        after = model.step(state, call.f, call.value_in, call.value_out)
        if after is REFUSED:
            return f"the model refuses operation {call.operation.indices}"
        state = after
    return None


def _flaw_in_time(calls: Sequence[Call], order: Sequence[int]) -> str | None:
    """No operation may return before one that stands ahead of it was invoked; seen from the end."""
    least_return = None
    for i in reversed(order):
        call = calls[i]
        if least_return is not None and least_return < call.inv:
            return f"operation {call.operation.indices} comes before one that returned earlier"
        least_return = call.ret if least_return is None else min(least_return, call.ret)
    return None
