"""
A time axis that is to scale, except for long quiet spans: they are folded to a fixed, marked width.

An anomaly often joins operations of milliseconds that lie seconds apart: on one plain scale each
would be a hair. Folds are few, never cover the start or end of an operation, and say their length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

FOLD_SHARE_MIN = 0.5
FOLD_MEDIAN_RATIO = 4
FOLD_WIDTH = 0.07
FOLDS_MAX = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time, and from where to where in 0 to 1 it is drawn."""

    start_ns: int
    end_ns: int
    left: float
    right: float
    is_folded: bool


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Segments that follow each other without gaps; at least one."""

    segments: tuple[Segment, ...]

    @property
    def start_ns(self) -> int:
        """The first moment shown."""
        return self.segments[0].start_ns

    @property
    def end_ns(self) -> int:
        """The last moment shown."""
        return self.segments[-1].end_ns

    def position(self, time_ns: int) -> float:
        """Where a moment is drawn, from 0 to 1; moments outside stand at the edge."""
        starts = [segment.start_ns for segment in self.segments]
        segment = self.segments[max(0, bisect_right(starts, time_ns) - 1)]
        length_ns = max(1, segment.end_ns - segment.start_ns)
        share = min(1.0, max(0.0, (time_ns - segment.start_ns) / length_ns))
        return segment.left + share * (segment.right - segment.left)


def fold(moments: Iterable[int]) -> TimeScale:
    """
    A scale from the first to the last moment, the longest quiet spans between them folded.

    A span is folded while it takes more than FOLD_SHARE_MIN of what is still drawn to scale and
    is FOLD_MEDIAN_RATIO times as long as spans are here.
    """
    points = sorted(set(moments)) or [0]
    spans = list(pairwise(points)) or [(points[0], points[0] + 1)]
    folded = _longest(spans)
    drawn_ns = sum(end - start for start, end in spans if (start, end) not in folded)
    share = 1 - FOLD_WIDTH * len(folded)
    segments: list[Segment] = []
    left = 0.0
    for start, end in _merge(spans, folded):
        is_folded = (start, end) in folded
        width = FOLD_WIDTH if is_folded else share * (end - start) / max(1, drawn_ns)
        segments.append(Segment(start, end, left, left + width, is_folded))
        left += width
    return TimeScale(tuple(segments))


def _longest(spans: list[tuple[int, int]]) -> set[tuple[int, int]]:
    lengths = sorted(end - start for start, end in spans)
    remaining_ns = sum(lengths)
    usual_ns = lengths[(len(lengths) - 1) // 2]
    folded: set[tuple[int, int]] = set()
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        length_ns = end - start
        is_long = length_ns > max(FOLD_SHARE_MIN * remaining_ns, FOLD_MEDIAN_RATIO * usual_ns)
        if len(folded) == FOLDS_MAX or not is_long:
            break
        folded.add((start, end))
        remaining_ns -= length_ns
    return folded


def _merge(spans: list[tuple[int, int]], folded: set[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """The spans in order, neighbours that are not folded joined."""
    open_start: int | None = None
    open_end = 0
    for start, end in spans:
        if (start, end) in folded:
            if open_start is not None:
                yield open_start, open_end
            yield start, end
            open_start = None
        else:
            open_start = start if open_start is None else open_start
            open_end = end
    if open_start is not None:
        yield open_start, open_end
