"""How long operations took, and when the first one succeeded after something happened."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from dissever.harness.history import Operation, Type


class Successes:
    """The ok operations of a history, in the order in which they were asked for."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        spans = sorted(
            (operation.invocation.time, operation.completion.time)
            for operation in operations
            if operation.completion is not None and operation.completion.type is Type.OK
        )
        self.latencies_ns = sorted(end - start for start, end in spans)
        self.ends_ns = [end for _, end in spans]
        self._starts_ns = [start for start, _ in spans]
        self._first_ends_ns = list(accumulate(reversed(self.ends_ns), min))[::-1]

    def __len__(self) -> int:
        return len(self.ends_ns)

    def first_after_ns(self, time_ns: int) -> int | None:
        """From a time to the first ok answer of an operation asked at or after it; None without."""
        place = bisect_left(self._starts_ns, time_ns)
        return self._first_ends_ns[place] - time_ns if place < len(self) else None


def quantile(ordered: Sequence[int], percent: int) -> int | None:
    """
    The smallest value that at least this share of the values does not exceed; None of no values.

    Args:
        ordered: From the smallest to the greatest.
        percent: Over 0, at most 100.
    """
    return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else None
