"""
Reads of one list of which neither begins the other: which element decides, who put it in, and the
first read that lacks it.

The engine holds each such read against the longest list of its key. Many of them have one cause: an
element that was read at a place, and that lists which were read later have another one at. So the
causes are told, each once, at the place where the two orders part.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Set
from dataclasses import dataclass
from itertools import compress, count
from typing import Any, Final

from dissever.checkers.transactions.view import owner
from dissever.native.columns import NONE, Micro

WITHOUT_MAX: Final = 8
"""Of the reads that lack an element, as many are named; the others are counted."""

APPEND: Final = 1


@dataclass(frozen=True, slots=True)
class Disagreement:
    """
    One cause. Transactions are positions.

    `seen` is the first that read `element`, and `without` are the first that read `instead` at its
    place; `count` is the number of them all. `is_missing`: they lack the element, and do not hold
    it elsewhere. `adder` appended it, None if nobody did.
    """

    key: int
    element: Any
    instead: Any
    is_missing: bool
    adder: int | None
    seen: int
    without: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class _Read:
    """A list that was read: who read it, when it ended, and its place and length in `items`."""

    position: int
    ended: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class _Key:
    """The reads of a list, as they were answered, and by element who appended it first."""

    reads: list[_Read]
    adders: dict[int, int]


def disagreements(micro: Micro, found: Iterable[tuple[int, int]]) -> list[Disagreement]:
    """
    The causes, each once, in the order of the first read of each.

    Args:
        found: Each a transaction that read a list which does not begin the longest one of its key,
            and the number of the key.
    """
    those = list(found)
    if not those:
        return []
    keys = _keys(micro, {key for _, key in those})
    causes: dict[tuple[int, int, int], Disagreement] = {}
    for position, key in those:
        for each in keys[key].reads:
            place = _parting(micro, key, each) if each.position == position else None
            if place is None:
                continue
            item = micro.items[each.start + place]
            if (key, place, item) not in causes:
                causes[key, place, item] = _cause(micro, key, keys[key], place, item)
    return list(causes.values())


def _keys(micro: Micro, wanted: Set[int]) -> dict[int, _Key]:
    """Some keys by their numbers, in one pass in C: there may be millions of others."""
    keys = {key: _Key([], {}) for key in wanted}
    for at in compress(count(), map(wanted.__contains__, micro.key)):
        found, position = keys[micro.key[at]], owner(micro, at)
        if micro.list[at] != NONE:
            ended = micro.columns.ret[position]
            found.reads.append(_Read(position, ended, micro.list[at], micro.length[at]))
        elif micro.kind[at] == APPEND:
            found.adders.setdefault(micro.value[at], position)
    for found in keys.values():
        found.reads.sort(key=lambda each: each.ended)
    return keys


def _parting(micro: Micro, key: int, read: _Read) -> int | None:
    """The first place where a read differs from the longest list; None where it begins it."""
    start, items = micro.longest[key], micro.items
    one, other = (items[begin : begin + read.length].tobytes() for begin in (read.start, start))
    if one == other:
        return None
    size = items.itemsize
    return bisect_left(
        range(read.length), True, key=lambda at: one[: size * (at + 1)] != other[: size * (at + 1)]
    )


def _cause(micro: Micro, key: int, of_key: _Key, place: int, item: int) -> Disagreement:
    """What decides between those that read `item` at a place and those that read the longest."""
    start, items = micro.longest[key], micro.items
    instead = items[start + place]
    alike = items[start : start + place]
    those = [
        each
        for each in of_key.reads
        if each.length > place
        and items[each.start + place] in (item, instead)
        and (each.start == start or items[each.start : each.start + place] == alike)
    ]
    sides = {
        one: [each for each in those if items[each.start + place] == one] for one in (item, instead)
    }

    def lacking(one: int, other: int) -> list[_Read]:
        return [
            each
            for each in sides[other]
            if one not in items[each.start + place : each.start + each.length].tolist()
        ]

    # What was read first counts as there, and the read that does not hold it as wrong.
    first, second = sorted((item, instead), key=lambda one: sides[one][0].ended)
    missing = lacking(first, second)
    if not missing and (others := lacking(second, first)):
        first, second, missing = second, first, others
    without = missing or sides[second]
    values = micro.columns.values
    return Disagreement(
        key=key,
        element=values[first],
        instead=values[second],
        is_missing=bool(missing),
        adder=of_key.adders.get(first),
        seen=sides[first][0].position,
        without=tuple(dict.fromkeys(each.position for each in without))[:WITHOUT_MAX],
        count=len({each.position for each in without}),
    )
