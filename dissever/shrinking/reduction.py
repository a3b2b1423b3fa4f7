"""
Delta debugging: which parts of something can be left out while it still fails. Pure.

A search is a generator that asks: it yields candidates, the most promising first, and is sent the
place of one that fails with that candidate as it failed, or None if none does. So the same search
runs in a test against a predicate, on one core, on several, or is played again from a journal.

Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002: ddmin;
here without its tests of subsets, which complements cover at the level of halves.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias, TypeVar

__all__ = ["Search", "ddmin", "earliest", "first", "reduce", "without"]

T = TypeVar("T")
C = TypeVar("C")

Found: TypeAlias = "tuple[int, T] | None"
Search: TypeAlias = Generator[Sequence[T], "tuple[int, T] | None", T]
"""It yields candidates, is sent one that fails with its place, and returns the smallest found."""


def ddmin(items: Sequence[T]) -> Generator[Sequence[tuple[T, ...]], int | None, tuple[T, ...]]:
    """
    The items that are left when no single one, and no chunk that was tried, can be left out.

    All of them are expected to fail; that is not asked again. It is sent places alone.
    """
    left = tuple(items)
    if not left:
        return left
    if (yield [()]) is not None:
        return ()
    size = -(-len(left) // 2) if len(left) > 1 else 0
    while size and len(left) > 1:
        position, is_smaller = 0, False
        while position < len(left) and len(left) > 1:
            starts = range(position, len(left), size)
            found = yield [left[:start] + left[start + size :] for start in starts]
            if found is None:
                break
            position = starts[found]
            left = left[:position] + left[position + size :]
            is_smaller = True
        if size > 1:
            size = min(size // 2, max(1, len(left) // 2))
        elif not is_smaller:
            break
    return left


def without(current: C, items: Sequence[T], rebuild: Callable[[C, tuple[T, ...]], C]) -> Search[C]:
    """
    Leave out as many of the items as possible.

    Args:
        rebuild: Makes the candidate that has only those items.
    """
    search = ddmin(items)
    answer: int | None = None
    try:
        parts = next(search)
        while True:
            found = yield [rebuild(current, part) for part in parts]
            if found is None:
                answer = None
            else:
                answer, current = found
            parts = search.send(answer)
    except StopIteration:
        return current


def first(current: C, candidates: Sequence[C]) -> Search[C]:
    """One of the candidates that fails, or the current one."""
    changed = [each for each in candidates if each != current]
    if not changed:
        return current
    found = yield changed
    return current if found is None else found[1]


def reduce(current: C, smaller: Callable[[C], Sequence[C]]) -> Search[C]:
    """Take smaller ones of the current candidate again and again, until none fails."""
    while True:
        found = yield from first(current, smaller(current))
        if found == current:
            return current
        current = found


def earliest(current: C, count: int, cut: Callable[[C, int], C]) -> Search[C]:
    """
    The least number for which the cut candidate fails, by bisection.

    Args:
        count: For this number nothing is cut.
    """
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        found = yield [cut(current, middle)]
        if found is None:
            low = middle + 1
        else:
            current, high = found[1], middle
    return current
