"""
Is an order a linearization? As `certificate.flaw`, on objects that change in place.

A model's step copies its state, which for large containers makes a replay quadratic. Here a step
costs O(1), or O(log n) in a priority queue, or the size of what a read answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias

from dissever.checkers.calls import Call
from dissever.checkers.models import Family, Model
from dissever.checkers.models.containers import priority
from dissever.checkers.models.logs import entries
from dissever.checkers.models.sets import elements, membership

Fits: TypeAlias = Callable[[Call], bool]
"""Do one call, and say whether its answer is right."""


def flaw(model: Model, calls: Sequence[Call], order: Sequence[int]) -> str | None:
    """
    Why an order is not a linearization of the calls, or None when it is.

    Args:
        order: Positions in `calls`. No take in it crashed.
    """
    is_in = [False] * len(calls)
    for i in order:
        if is_in[i]:
            return "an operation stands twice"
        is_in[i] = True
    if any(not there and not call.is_crashed for there, call in zip(is_in, calls, strict=True)):
        return "an acknowledged operation is missing"
    fits = _OBJECTS[model.family](model)
    latest = -1
    for i in order:
        call = calls[i]
        latest = max(latest, call.inv)
        if call.ret < latest:
            return f"operation {call.operation.indices} comes after one that was asked later"
        if not fits(call):
            return f"operation {call.operation.indices} cannot have answered so"
    return None


def _queue(model: Model) -> Fits:
    held: deque[Hashable] = deque(_sequence(model))

    def fits(call: Call) -> bool:
        if call.f == "enqueue":
            held.append(call.value_in)
            return True
        return (held.popleft() if held else None) == call.value_out

    return fits


def _stack(model: Model) -> Fits:
    held = list(_sequence(model))

    def fits(call: Call) -> bool:
        if call.f == "push":
            held.append(call.value_in)
            return True
        return (held.pop() if held else None) == call.value_out

    return fits


def _priority_queue(model: Model) -> Fits:
    """Only for priorities that are all different."""
    assert isinstance(model.initial, frozenset)
    (bag,) = model.initial
    held = [(-priority(item), item) for item in bag]
    heapify(held)

    def fits(call: Call) -> bool:
        if call.f == "insert":
            heappush(held, (-priority(call.value_in), call.value_in))
            return True
        return (heappop(held)[1] if held else None) == call.value_out

    return fits


def _set(model: Model) -> Fits:
    assert isinstance(model.initial, frozenset)
    held: set[Hashable] = set(model.initial)

    def fits(call: Call) -> bool:
        if call.f == "add":
            held.add(call.value_in)
        elif call.f == "remove":
            held.discard(call.value_in)
        elif call.f == "contains":
            element, answer = membership(call.value_out)
            return (element in held) is answer
        else:
            return held == elements(call.value_out)
        return True

    return fits


def _log(model: Model) -> Fits:
    held = list(_sequence(model))

    def fits(call: Call) -> bool:
        if call.f == "append":
            held.append(call.value_in)
            return True
        return tuple(held) == entries(call.value_out)

    return fits


def _sequence(model: Model) -> tuple[Hashable, ...]:
    assert isinstance(model.initial, tuple)
    return model.initial


_OBJECTS: Final[Mapping[Family, Callable[[Model], Fits]]] = {
    Family.QUEUE: _queue,
    Family.STACK: _stack,
    Family.PRIORITY_QUEUE: _priority_queue,
    Family.GROW_ONLY_SET: _set,
    Family.SET: _set,
    Family.LOG: _log,
}
