"""
How many intervals cover each stretch of time, while intervals are taken away.

A segment tree over the stretches between the ends of intervals: to take one away and to find the
next stretch that nothing covers cost O(log n) each.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Depths:
    """The depth of each stretch, kept as a tree of least depths; sums hang at whole subtrees."""

    def __init__(self, intervals: Sequence[tuple[int, int]]) -> None:
        self._cuts = sorted({end for interval in intervals for end in interval})
        self._size = 1
        while self._size < len(self._cuts):
            self._size *= 2
        change = [0] * (self._size + 1)
        for start, end in intervals:
            change[bisect_left(self._cuts, start)] += 1
            change[bisect_left(self._cuts, end)] -= 1
        depth = 0
        self._least = [0] * (2 * self._size)
        self._added = [0] * (2 * self._size)
        for i in range(self._size):
            depth += change[i]
            self._least[self._size + i] = depth
        for node in range(self._size - 1, 0, -1):
            self._least[node] = min(self._least[2 * node], self._least[2 * node + 1])

    def parts(self) -> list[tuple[int, int]]:
        """The connected parts of what is covered."""
        return self._parts(0, max(0, len(self._cuts) - 1))

    def remove(self, start: int, end: int, left: int, right: int) -> list[tuple[int, int]]:
        """Take an interval away; returns the connected parts of what remains in a part."""
        low, high = bisect_left(self._cuts, start), bisect_left(self._cuts, end)
        self._add(low, high, -1)
        return self._parts(bisect_left(self._cuts, left), bisect_left(self._cuts, right))

    def _parts(self, low: int, high: int) -> list[tuple[int, int]]:
        """Between two cuts: runs of stretches that something covers."""
        found: list[tuple[int, int]] = []
        while low < high:
            gap = self._next_gap(low, high)
            if gap > low:
                found.append((self._cuts[low], self._cuts[gap]))
            low = self._next_covered(gap, high)
        return found

    def _next_covered(self, low: int, high: int) -> int:
        """The first stretch from `low` on that something covers; gaps are few after a removal."""
        while low < high and self._depth(low) == 0:
            low += 1
        return low

    def _depth(self, stretch: int) -> int:
        node = stretch + self._size
        depth = self._least[node]
        node //= 2
        while node >= 1:
            depth += self._added[node]
            node //= 2
        return depth

    def _add(self, low: int, high: int, by: int) -> None:
        """Change the depth of stretches `low` to `high`, the end excluded."""
        least, added = self._least, self._added
        first, last = low + self._size, high + self._size
        touched = (first, last - 1)
        while first < last:
            if first % 2:
                least[first] += by
                added[first] += by
                first += 1
            if last % 2:
                last -= 1
                least[last] += by
                added[last] += by
            first //= 2
            last //= 2
        for leaf in touched:
            node = leaf // 2
            while node >= 1:
                least[node] = min(least[2 * node], least[2 * node + 1]) + added[node]
                node //= 2

    def _next_gap(self, low: int, high: int) -> int:
        """The first stretch from `low` on that nothing covers, or `high`."""
        node = low + self._size
        if self._depth(low) == 0:
            return low
        above = self._sums(node)
        while node > 1:
            if node % 2 == 0 and self._least[node + 1] + above[node // 2] == 0:
                return min(high, self._first_zero(node + 1, above[node // 2]))
            node //= 2
        return high

    def _sums(self, leaf: int) -> dict[int, int]:
        """For each node above a leaf: what was added to it and to all above it."""
        path = []
        node = leaf // 2
        while node >= 1:
            path.append(node)
            node //= 2
        sums: dict[int, int] = {}
        total = 0
        for node in reversed(path):
            total += self._added[node]
            sums[node] = total
        return sums

    def _first_zero(self, node: int, above: int) -> int:
        """The first stretch below a node that nothing covers; `above` was added to all of them."""
        while node < self._size:
            above += self._added[node]
            node *= 2
            if self._least[node] + above != 0:
                node += 1
        return node - self._size
