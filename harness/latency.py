"""How long operations took, and when the first one succeeded after something happened."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

from dissever.harness.history import Operation, Times
from dissever.harness.vocabulary import RECOVERY
from dissever.native.columns import INFO, OK

Span: TypeAlias = tuple[int, int]
"""When an operation was asked, and when it was answered, in ns."""

QUIET_NS_MIN: Final = 1_000_000_000
QUIET_PAUSES: Final = 10
"""A pause is the harness's own when it is this many times as long as the usual one."""


@dataclass(frozen=True, slots=True)
class Silence:
    """
    A stretch of time in which no operation completed ok.

    For `own_ns` of it no client asked anything, because the harness healed faults, waited for the
    recovery or had nothing left to ask.
    """

    start_ns: int
    end_ns: int
    own_ns: int = 0

    @property
    def asked_ns(self) -> int:
        """How long clients asked and got no ok."""
        return max(0, self.end_ns - self.start_ns - self.own_ns)


class Successes:
    """The ok operations of a history, in the order in which they were asked for."""

    def __init__(self, spans: Iterable[Span]) -> None:
        """`spans` are those of the ok operations, in any order."""
        found = sorted(spans)
        self.starts_ns = [start for start, _ in found]
        self._own_ends_ns = [end for _, end in found]
        self.ends_ns = sorted(self._own_ends_ns)
        """The ends by time, not by operation."""
        self._first_ends_ns = list(accumulate(reversed(self._own_ends_ns), min))[::-1]

    def __len__(self) -> int:
        return len(self.starts_ns)

    def spans(self) -> Iterator[Span]:
        """Those of the operations, by invocation."""
        return zip(self.starts_ns, self._own_ends_ns, strict=True)

    @cached_property
    def latencies_ns(self) -> list[int]:
        """From the shortest to the longest."""
        return sorted(end - start for start, end in self.spans())

    def first_after_ns(self, time_ns: int) -> int | None:
        """From a time to the first ok answer of an operation asked at or after it; None without."""
        place = bisect_left(self.starts_ns, time_ns)
        return self._first_ends_ns[place] - time_ns if place < len(self) else None

    def around(self, start_ns: int, end_ns: int) -> tuple[int, int, int]:
        """
        How many had ended before a stretch of time, lasted at some time in it, and began after it.
        """
        before = bisect_right(self.ends_ns, start_ns)
        after = len(self) - bisect_left(self.starts_ns, max(start_ns, end_ns))
        return before, max(0, len(self) - before - after), after


def ok_spans(times: Times) -> Iterator[Span]:
    """Those of the operations that were ok."""
    for kind, start, end in zip(times.type, times.start_ns, times.end_ns, strict=True):
        if kind == OK:
            yield start, end


def recovery_spans(faults: Iterable[Operation], *, end_ns: int) -> list[Span]:
    """When the harness asked whether the system has come back, of the operations of nemeses."""
    return [
        (each.invocation.time, each.completion.time if each.completion else end_ns)
        for each in faults
        if each.process == RECOVERY
    ]


def quiet_spans(times: Times, recovery: Sequence[Span], *, end_ns: int) -> tuple[Span, ...]:
    """
    When no client asked anything, by the harness's own doing.

    No operation is pending then. A client also pauses between two operations, by the rate of the
    run. So a pause counts if it is longer than QUIET_NS_MIN and than QUIET_PAUSES mean times
    between two invocations, or if all of a step of the recovery lies in it.

    Args:
        times: Of all operations. One without a completion is pending to the end.
        recovery: As `recovery_spans` finds them.
        end_ns: When the run ended.
    """
    least_ns = max(QUIET_NS_MIN, QUIET_PAUSES * _mean_pause_ns(times))
    return tuple(
        (start, end)
        for start, end in _pauses(times, end_ns)
        if end - start > least_ns or any(start <= a and b <= end for a, b in recovery)
    )


def _pauses(times: Times, end_ns: int) -> Iterator[Span]:
    """When no operation was pending."""
    free_ns = 0
    for kind, start, end in zip(times.type, times.start_ns, times.end_ns, strict=True):
        if start > free_ns:
            yield free_ns, start
        free_ns = max(free_ns, end_ns if kind == INFO and not end else end)
    if end_ns > free_ns:
        yield free_ns, end_ns


def _mean_pause_ns(times: Times) -> float:
    starts = times.start_ns
    return (starts[-1] - starts[0]) / (len(starts) - 1) if len(starts) > 1 else 0.0


def longest_silence(ok_ends_ns: Iterable[int], quiet: Sequence[Span], *, end_ns: int) -> Silence:
    """
    The longest time in which clients asked and no operation completed ok.

    Args:
        ok_ends_ns: When the ok operations completed, in any order.
        quiet: Stretches in which nothing was pending, so each lies between two of these times.
        end_ns: When the run ended.
    """
    moments = [0, *sorted(ok_ends_ns), end_ns]
    own_ns = [0] * len(moments)
    for start, end in quiet:
        own_ns[max(0, bisect_right(moments, start, 0, len(moments) - 1) - 1)] += end - start
    gaps = zip(pairwise(moments), own_ns, strict=False)
    asked_ns = [end - start - own for (start, end), own in gaps]
    place = asked_ns.index(max(asked_ns))
    return Silence(moments[place], moments[place + 1], own_ns[place])


def quantile(ordered: Sequence[int], percent: int) -> int | None:
    """
    The smallest value that at least this share of the values does not exceed; None of no values.

    Args:
        ordered: From the smallest to the greatest.
        percent: Over 0, at most 100.
    """
    return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else None
