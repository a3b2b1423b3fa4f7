"""
The smallest, the middle, the greatest of any stretch of a list, without sorting the stretch.

The list is kept as sorted blocks of several sizes. A stretch is put together from the largest
blocks that fit, and from two ends that are sorted for the question. So a question about a million
values asks some fifty lists.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

LEAF: Final = 512
FAN: Final = 16
LEVELS: Final = 3


class Ranks:
    """`values` are integers from 0; they are not copied and must not change."""

    def __init__(self, values: Sequence[int]) -> None:
        self._values = values
        blocks = [sorted(values[at : at + LEAF]) for at in range(0, len(values), LEAF)]
        self._levels = [blocks]
        for _ in range(LEVELS - 1):
            # Sorting what consists of sorted parts merges them.
            blocks = [
                sorted(chain.from_iterable(blocks[at : at + FAN]))
                for at in range(0, len(blocks), FAN)
            ]
            self._levels.append(blocks)

    def smallest(
        self,
        counts: Sequence[int],
        start: int,
        end: int,
        *,
        more: Sequence[int] = (),
        without: Sequence[int] = (),
    ) -> list[int]:
        """
        The k-th smallest of a stretch of the values, for each k of counts.

        Args:
            counts: Each from 1 to the number of values that are meant.
            start, end: Positions; that of the end is not part of the stretch.
            more: Values that are meant as well.
            without: Values of the stretch that are not meant.
        """
        parts = [part for part in (*self._parts(start, end), sorted(more)) if part]
        left_out = sorted(without)
        return [_smallest(k, parts, left_out) for k in counts]

    def _parts(self, start: int, end: int) -> Iterator[Sequence[int]]:
        """Sorted lists that hold the values of a stretch."""
        at = start
        while at < end:
            level = LEVELS - 1
            while level >= 0 and (at % (size := LEAF * FAN**level) or at + size > end):
                level -= 1
            if level >= 0:
                yield self._levels[level][at // size]
                at += size
            else:
                until = min(end, at - at % LEAF + LEAF)
                yield sorted(self._values[at:until])
                at = until


def _smallest(k: int, parts: Sequence[Sequence[int]], left_out: Sequence[int]) -> int:
    """
    The k-th smallest of sorted lists together, less those left out.

    In each list look at the value that stands where the k-th smallest would, if all lists were
    alike. The k-th smallest of all lies between the least and the greatest of these: fewer than k
    values are below the one, and at least k are not above the other. What is left out moves it up
    by as many places at most.
    """
    total = sum(map(len, parts))
    last = k + len(left_out)
    low = min(part[-(-k * len(part) // total) - 1] for part in parts)
    high = max(part[-(-last * len(part) // total) - 1] for part in parts)

    def count(value: int) -> int:
        return sum(bisect_right(part, value) for part in parts) - bisect_right(left_out, value)

    return low + bisect_left(range(low, high), k, key=count)
