"""
A serial order of transactions over rows, found by carrying them out one after another.

Of the transactions whose predecessors are all carried out, the one that ended first and whose every
answer is what the table says comes next. An order that is found proves that the history is
serializable, whatever the dependencies say. Not to find one proves nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from dissever.checkers.rows.recorded import Micro, Transaction, matches
from dissever.harness.history import Type

__all__ = ["serial_order"]

WAITING_MAX: Final = 200
"""So many that do not fit yet are set aside before the search is given up."""

Table = dict[tuple[int, int], tuple[int, ...]]
"""(key, row) -> trail."""


def serial_order(
    transactions: Sequence[Transaction],
    edges: Iterable[tuple[int, int]],
    *,
    is_strict: bool = False,
) -> tuple[int, ...] | None:
    """
    The numbers of the transactions in an order that explains every answer, or None.

    Args:
        edges: Pairs of numbers: the first comes before the second.
        is_strict: Whether one that ended before another began must come before it.
    """
    counted = _that_count(transactions)
    waits: dict[int, int] = dict.fromkeys(counted, 0)
    after: dict[int, list[int]] = {number: [] for number in counted}
    for source, target in set(edges):
        if source in waits and target in waits and source != target:
            after[source].append(target)
            waits[target] += 1
    ends = sorted((t.end, number) for number, t in counted.items() if t.end is not None)
    ready = [(_rank(counted[number]), number) for number in counted if not waits[number]]
    heapq.heapify(ready)
    table, order, done = Table(), list[int](), set[int]()
    aside: list[tuple[int, int]] = []
    while ready:
        rank, number = heapq.heappop(ready)
        each = counted[number]
        while ends and ends[0][1] in done:
            ends.pop(0)
        is_early = is_strict and bool(ends) and ends[0][0] < each.begin
        changed = None if is_early else carried_out(each, table)
        if changed is None:
            aside.append((rank, number))
            if len(aside) > WAITING_MAX:
                return None
            continue
        _apply(table, changed)
        order.append(number)
        done.add(number)
        for target in after[number]:
            waits[target] -= 1
            if not waits[target]:
                heapq.heappush(ready, (_rank(counted[target]), target))
        for put_back in aside:
            heapq.heappush(ready, put_back)
        aside.clear()
    return tuple(order) if len(order) == len(counted) else None


def carried_out(
    each: Transaction, table: Table
) -> dict[tuple[int, int], tuple[int, ...] | None] | None:
    """What a transaction changes of a table; None if one of its answers is not what it says."""
    changed: dict[tuple[int, int], tuple[int, ...] | None] = {}
    for micro in each.micros:
        if micro.row is None:
            if each.is_ok and not _is_selected(micro, table, changed):
                return None
            continue
        name = (micro.key, micro.row)
        now = changed[name] if name in changed else table.get(name)
        if each.is_ok and not _is_answered(micro, now):
            return None
        if micro.f == "insert" and now is None:
            changed[name] = (micro.value or 0,)
        elif micro.f == "update" and now is not None:
            changed[name] = (*now, micro.value or 0)
        elif micro.f == "delete":
            changed[name] = None
    return changed


def _is_answered(micro: Micro, now: tuple[int, ...] | None) -> bool:
    if micro.f == "insert":
        return (now is None) is bool(micro.answer)
    return micro.trail == now


def _is_selected(
    micro: Micro, table: Table, changed: dict[tuple[int, int], tuple[int, ...] | None]
) -> bool:
    assert micro.where is not None
    found = {
        name[1]: trail
        for name, trail in {**table, **changed}.items()
        if name[0] == micro.key and trail is not None and matches(trail[-1], micro.where)
    }
    return found == dict(micro.found) and len(micro.found) == len(found)


def _apply(table: Table, changed: dict[tuple[int, int], tuple[int, ...] | None]) -> None:
    for name, trail in changed.items():
        if trail is None:
            table.pop(name, None)
        else:
            table[name] = trail


def _that_count(transactions: Sequence[Transaction]) -> dict[int, Transaction]:
    """Those that took effect: ok, and of the others those with a value that was seen."""
    seen = {
        value
        for each in transactions
        if each.is_ok
        for micro in each.micros
        for trail in (
            [trail for _, trail in micro.found]
            if micro.f == "select"
            else [micro.trail or ()]
            if micro.f != "insert"
            else []
        )
        for value in trail
    }
    return {
        each.number: each
        for each in transactions
        if each.is_ok
        or (each.type is Type.INFO and any(micro.value in seen for micro in each.writes()))
    }


def _rank(each: Transaction) -> int:
    """When it ended, or began if nobody knows: it may have taken effect from then on."""
    return each.begin if each.end is None else each.end
