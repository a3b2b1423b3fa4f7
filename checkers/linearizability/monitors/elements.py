"""
Sets whose elements come and go: each element is an object of its own, searched alone.

Linearizability is local (Herlihy and Wing 1990, theorem 1), and `add`, `remove` and `contains`
speak of one element each. An element is in or out: two states. The orders of the elements are
merged by their instants: just after the latest invocation so far, in each order.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Sequence
from typing import Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Finding, Invalid
from dissever.checkers.linearizability.model import Misfit, Model, membership
from dissever.checkers.linearizability.states import positions
from dissever.native import Problem, Status, search

_ADD, _REMOVE, _IS_IN, _IS_OUT = range(4)
_NEXT: Final = (1, 0, -1, 0, 1, 0, 1, -1)
"""By state, out and in, and by transition: the state after it."""

CONFIGURATIONS_MAX: Final = 1_000_000
BYTES_MAX: Final = 1 << 27


def judge(calls: Sequence[Call], model: Model) -> Finding | None:
    """Decide; None where the set was read whole, or an element is past the limits."""
    if not isinstance(model.initial, frozenset):
        return None
    by_element: dict[Hashable, list[tuple[int, int]]] = {}
    for i, call in enumerate(calls):
        if call.f == "read":
            return None
        element, transition = _transition(call)
        by_element.setdefault(element, []).append((i, transition))
    placed: list[tuple[int, int, int]] = []
    for element, some in by_element.items():
        mine = [calls[i] for i, _ in some]
        inv, ret = positions(mine)
        problem = Problem(
            inv=inv,
            ret=ret,
            transition=array("i", [transition for _, transition in some]),
            next=array("i", _NEXT),
            transitions=4,
            initial=int(element in model.initial),
        )
        outcome = search(
            problem, configurations_max=CONFIGURATIONS_MAX, bytes_max=BYTES_MAX, frontier_max=0
        )
        if outcome.status is Status.INVALID and outcome.failing is not None:
            failing = mine[outcome.failing]
            part = [call for call in mine if call.inv < failing.ret]
            reason = "no order of the operations on that element explains it"
            return Invalid("nonlinearizable", "one element", reason, (failing,), part).finding
        if outcome.status is not Status.VALID:
            return None
        latest = -1
        for place, each in enumerate(outcome.order):
            latest = max(latest, mine[each].inv)
            placed.append((latest, place, some[each][0]))
    return Finding(tuple(i for _, _, i in sorted(placed)))


def _transition(call: Call) -> tuple[Hashable, int]:
    if call.f == "contains":
        element, is_in = membership(call.value_out)
        return element, _IS_IN if is_in else _IS_OUT
    if call.f not in ("add", "remove"):
        raise Misfit(f"a set has no {call.f!r}")
    return call.value_in, _ADD if call.f == "add" else _REMOVE
