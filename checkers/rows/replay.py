"""
A serial order of transactions over rows, found by carrying them out one after another.

Next comes a transaction whose predecessors are all carried out and whose every answer is what the
table says: of several the one that ended first. Where none fits, one of which nobody knows whether
it took effect may come in between. Else the last choice is taken back, within a budget.

An order that is found proves that the history is serializable, whatever the dependencies say. Not
to find one proves nothing.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Final

from dissever.checkers.rows.recorded import Micro, Transaction, matches
from dissever.harness.history import Type

__all__ = ["serial_order"]

CHOICES_MAX: Final = 200
"""How many transactions are tried as the next one."""

STEPS_MAX: Final = 20_000
"""How often a transaction is tried, beyond 20 times for each."""

Table = dict[tuple[int, int], tuple[int, ...]]
"""(key, row) -> trail."""

Changes = dict[tuple[int, int], tuple[int, ...] | None]
"""The same; None: no row."""


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
    search = _Search(transactions, edges, is_strict=is_strict)
    tried = [search.choices()]
    for _ in range(STEPS_MAX + 20 * len(transactions)):
        if search.is_complete:
            return tuple(search.order)
        number = next(tried[-1], None)
        if number is not None:
            if search.put(number):
                tried.append(search.choices())
        elif len(tried) == 1:
            return None
        else:
            tried.pop()
            search.take_back()
    return None


class _Search:
    """An order as far as it goes, and the table after it."""

    def __init__(
        self,
        transactions: Sequence[Transaction],
        edges: Iterable[tuple[int, int]],
        *,
        is_strict: bool,
    ) -> None:
        counted = {each.number: each for each in transactions if each.type is not Type.FAIL}
        seen = {pair for each in transactions if each.is_ok for pair in each.seen()}
        self._counted = counted
        self._open = {
            n for n, each in counted.items() if not each.is_ok and not _is_seen(each, seen)
        }
        self._missing = len(counted) - len(self._open)
        self.order: list[int] = []
        self._is_strict = is_strict
        self._table = Table()
        self._undo: list[Changes] = []
        self._waits = dict.fromkeys(counted, 0)
        self._after: dict[int, list[int]] = {number: [] for number in counted}
        for source, target in set(edges):
            if source in counted and target in counted and source != target:
                self._after[source].append(target)
                self._waits[target] += 1
        self._ready = sorted(self._ranked(n) for n, waits in self._waits.items() if not waits)
        self._ends = sorted((t.end, n) for n, t in counted.items() if t.end is not None)
        self._first = 0
        self._done: set[int] = set()

    @property
    def is_complete(self) -> bool:
        """Whether all are in the order that took effect for certain."""
        return self._missing == 0

    def choices(self) -> Iterator[int]:
        """What may come next, by end; then those in doubt that write a key of the first of them."""
        least = self._first_end() if self._is_strict else None
        ready = [number for _, number in self._ready if number not in self._open][:CHOICES_MAX]
        early = [n for n in ready if least is None or self._counted[n].begin <= least]
        yield from early
        keys = {micro.key for n in early[:1] for micro in self._counted[n].micros}
        for _, number in self._ready:
            each = self._counted[number]
            is_open = number in self._open and (least is None or each.begin <= least)
            if is_open and any(micro.key in keys for micro in each.writes()):
                yield number

    def put(self, number: int) -> bool:
        """Carry it out next; False if an answer is not what the table says."""
        changes = carried_out(self._counted[number], self._table)
        if changes is None:
            return False
        self._undo.append({name: self._table.get(name) for name in changes})
        _apply(self._table, changes)
        self._ready.remove(self._ranked(number))
        self.order.append(number)
        self._done.add(number)
        self._missing -= number not in self._open
        for target in self._after[number]:
            self._waits[target] -= 1
            if not self._waits[target]:
                insort(self._ready, self._ranked(target))
        return True

    def take_back(self) -> None:
        """Undo the last `put`."""
        self._first = 0
        number = self.order.pop()
        self._done.remove(number)
        self._missing += number not in self._open
        for target in self._after[number]:
            if not self._waits[target]:
                self._ready.remove(self._ranked(target))
            self._waits[target] += 1
        insort(self._ready, self._ranked(number))
        _apply(self._table, self._undo.pop())

    def _first_end(self) -> int | None:
        """When the first ended of those that are not carried out."""
        ends = self._ends
        while self._first < len(ends) and ends[self._first][1] in self._done:
            self._first += 1
        return ends[self._first][0] if self._first < len(ends) else None

    def _ranked(self, number: int) -> tuple[int, int]:
        """When it ended, or began if nobody knows: it may have taken effect from then on."""
        each = self._counted[number]
        return (each.begin if each.end is None else each.end), number


def carried_out(each: Transaction, table: Table) -> Changes | None:
    """What a transaction changes of a table; None if one of its answers is not what it says."""
    changed: Changes = {}
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


def _is_selected(micro: Micro, table: Table, changed: Changes) -> bool:
    assert micro.where is not None
    found = {
        name[1]: trail
        for name, trail in {**table, **changed}.items()
        if name[0] == micro.key and trail is not None and matches(trail[-1], micro.where)
    }
    return found == dict(micro.found) and len(micro.found) == len(found)


def _apply(table: Table, changed: Changes) -> None:
    for name, trail in changed.items():
        if trail is None:
            table.pop(name, None)
        else:
            table[name] = trail


def _is_seen(each: Transaction, seen: Container[tuple[int, int]]) -> bool:
    """Whether somebody saw a value that it wrote, so that it must have taken effect."""
    return any((micro.row, micro.value) in seen for micro in each.writes())
