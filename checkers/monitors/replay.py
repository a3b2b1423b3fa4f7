"""
Is an order a linearization? As `certificate.flaw`, on objects that change in place.

A model's step copies its state, which for large containers makes a replay quadratic. Here a step
costs O(1), or O(log n) in a priority queue, or the size of what a read answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from heapq import heappop, heappush
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
        order: Positions in `calls`. A crashed take of what has no order takes, of what it may,
            something that no other take has: all such things are alike to whatever comes later.
    """
    is_in = [False] * len(calls)
    for i in order:
        if is_in[i]:
            return "an operation stands twice"
        is_in[i] = True
    if any(not there and not call.is_crashed for there, call in zip(is_in, calls, strict=True)):
        return "an acknowledged operation is missing"
    wanted = {call.value_out for call in calls if call.value_in is None and not call.is_crashed}
    fits = _OBJECTS[model.family](model, wanted)
    latest = -1
    for i in order:
        call = calls[i]
        latest = max(latest, call.inv)
        if call.ret < latest:
            return f"operation {call.operation.indices} comes after one that was asked later"
        if not fits(call):
            return f"operation {call.operation.indices} cannot have answered so"
    return None


def _queue(model: Model, wanted: set[Hashable]) -> Fits:
    held: deque[Hashable] = deque(_sequence(model))

    def fits(call: Call) -> bool:
        if call.f == "enqueue":
            held.append(call.value_in)
            return True
        found = held.popleft() if held else None
        return call.is_crashed or found == call.value_out

    return fits


def _stack(model: Model, wanted: set[Hashable]) -> Fits:
    held = list(_sequence(model))

    def fits(call: Call) -> bool:
        if call.f == "push":
            held.append(call.value_in)
            return True
        found = held.pop() if held else None
        return call.is_crashed or found == call.value_out

    return fits


def _bag(model: Model, wanted: set[Hashable]) -> Fits:
    return _ranked(model, wanted, lambda _: 0)


def _priority_queue(model: Model, wanted: set[Hashable]) -> Fits:
    return _ranked(model, wanted, priority)


def _ranked(model: Model, wanted: set[Hashable], rank: Callable[[Hashable], int]) -> Fits:
    """Each with one value at most; of those with the greatest rank, any is given."""
    assert isinstance(model.initial, frozenset)
    (bag,) = model.initial
    held: dict[int, dict[Hashable, None]] = {}
    spare: dict[int, list[Hashable]] = {}
    ranks: list[int] = []

    def put(item: Hashable) -> bool:
        some = held.setdefault(rank(item), {})
        if not some:
            heappush(ranks, -rank(item))
        if item in some:
            return False
        some[item] = None
        if item not in wanted:
            spare.setdefault(rank(item), []).append(item)
        return True

    def fits(call: Call) -> bool:
        if call.value_in is not None:
            return put(call.value_in)
        while ranks and not held[-ranks[0]]:
            heappop(ranks)
        if not ranks:
            return call.is_crashed or call.value_out is None
        some = held[-ranks[0]]
        if not call.is_crashed:
            return some.pop(call.value_out, call) is None
        left = spare.get(-ranks[0])
        return some.pop(left.pop()) is None if left else False

    for item in bag:
        put(item)
    return fits


def _set(model: Model, wanted: set[Hashable]) -> Fits:
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


def _log(model: Model, wanted: set[Hashable]) -> Fits:
    held = list(_sequence(model))

    def fits(call: Call) -> bool:
        if call.f == "append":
            held.append(call.value_in)
            return True
        return tuple(held) == entries(call.value_out)

    return fits


def _counter(model: Model, wanted: set[Hashable]) -> Fits:
    held = model.initial

    def fits(call: Call) -> bool:
        nonlocal held
        if call.f == "add":
            assert isinstance(held, int)
            assert isinstance(call.value_in, int)
            held += call.value_in
            return True
        return held == call.value_out

    return fits


def _sequence(model: Model) -> tuple[Hashable, ...]:
    assert isinstance(model.initial, tuple)
    return model.initial


_OBJECTS: Final[Mapping[Family, Callable[[Model, set[Hashable]], Fits]]] = {
    Family.QUEUE: _queue,
    Family.STACK: _stack,
    Family.UNORDERED_QUEUE: _bag,
    Family.PRIORITY_QUEUE: _priority_queue,
    Family.GROW_ONLY_SET: _set,
    Family.SET: _set,
    Family.LOG: _log,
    Family.COUNTER: _counter,
}
