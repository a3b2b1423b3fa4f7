"""How long operations took, and when the first one succeeded after something happened."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

from dissever.harness.history import Operation, Type

Span: TypeAlias = tuple[int, int]
"""When an operation was asked, and when it was answered, in ns."""


class Successes:
    """The ok operations of a history, in the order in which they were asked for."""

    def __init__(self, spans: Iterable[Span]) -> None:
        """`spans` are those of the ok operations, in any order."""
        found = sorted(spans)
        self.latencies_ns = sorted(end - start for start, end in found)
        self.ends_ns = [end for _, end in found]
        self._starts_ns = [start for start, _ in found]
        self._sorted_ends_ns = sorted(self.ends_ns)
        self._first_ends_ns = list(accumulate(reversed(self.ends_ns), min))[::-1]

    def __len__(self) -> int:
        return len(self.ends_ns)

    def first_after_ns(self, time_ns: int) -> int | None:
        """From a time to the first ok answer of an operation asked at or after it; None without."""
        place = bisect_left(self._starts_ns, time_ns)
        return self._first_ends_ns[place] - time_ns if place < len(self) else None

    def around(self, start_ns: int, end_ns: int) -> tuple[int, int, int]:
        """
        How many had ended before a stretch of time, lasted at some time in it, and began after it.
        """
        before = bisect_right(self._sorted_ends_ns, start_ns)
        after = len(self) - bisect_left(self._starts_ns, max(start_ns, end_ns))
        return before, max(0, len(self) - before - after), after


def ok_spans(operations: Iterable[Operation]) -> Iterator[Span]:
    """Those of the operations that were ok."""
    for operation in operations:
        if operation.completion is not None and operation.completion.type is Type.OK:
            yield operation.invocation.time, operation.completion.time


def quantile(ordered: Sequence[int], percent: int) -> int | None:
    """
    The smallest value that at least this share of the values does not exceed; None of no values.

    Args:
        ordered: From the smallest to the greatest.
        percent: Over 0, at most 100.
    """
    return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else None
