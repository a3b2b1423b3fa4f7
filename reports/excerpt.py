"""
The window around an anomaly: a lane per process, a bar per operation, ready to be drawn.

Positions are percentages of the width and labels are placed for PLOT_WIDTH_PX, so that the page
needs no script to show them and can be printed.

The axis is to scale, except for long quiet spans: an anomaly often joins operations of milliseconds
that lie seconds apart, and on one plain scale each would be a hair. Folds are few, never cover the
start or end of an operation, and say their length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from types import MappingProxyType
from typing import TypeAlias

from dissever.harness.episodes import Episode
from dissever.harness.history import Operation
from dissever.harness.results import Anomaly
from dissever.harness.values import shorten
from dissever.reports.labels import duration_text, end_of, label, time_text

OPERATIONS_MAX = 60
PLOT_WIDTH_PX = 820
CHARACTER_PX = 7.2
BAR_WIDTH_PX_MIN = 6
LABEL_CHARACTERS_MAX = 48
LABEL_GAP_PX = 8
TICK_SPACING_PX = 110
# The time axis leaves room on both sides, for labels and for the least width of a bar.
PLOT_LEFT, PLOT_RIGHT = 0.015, 0.94

FOLD_SHARE_MIN = 0.5
FOLD_MEDIAN_RATIO = 4
FOLD_WIDTH = 0.07 * (PLOT_RIGHT - PLOT_LEFT)
FOLDS_MAX = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time, and from where to where it is drawn, as shares of the width."""

    start_ns: int
    end_ns: int
    left: float
    right: float
    is_folded: bool


TimeScale: TypeAlias = tuple[Segment, ...]
"""Segments that follow each other without gaps; at least one."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One operation; `left` and `width` in percent, `label_side` is inside, right or left."""

    index: int
    row: int
    left: float
    width: float
    label: str
    label_side: str
    outcome: str
    is_guilty: bool
    description: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The operations of one process, in as many rows as their labels need."""

    name: str
    node: str
    rows: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Shade:
    """A stretch of the window with a name: a fault, a fold of the axis, or a tick (width 0)."""

    left: float
    width: float
    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """
    Everything that is drawn; `omitted` operations of the context were too many.

    `faults` has a lane for each fault, or several where it is in force more than once at a time.
    """

    lanes: tuple[Lane, ...]
    faults: tuple[tuple[Shade, ...], ...]
    folds: tuple[Shade, ...]
    ticks: tuple[Shade, ...]
    omitted: int


def excerpt(
    anomaly: Anomaly,
    operations: Sequence[Operation],
    episodes: Sequence[Episode],
    *,
    end_ns: int,
    names: Mapping[int, str] = MappingProxyType({}),
    are_told: bool = False,
) -> Excerpt | None:
    """
    The window that shows an anomaly, or None when it names no operation.

    Args:
        operations: Those of the anomaly's context, by invocation.
        episodes: All faults of the run.
        end_ns: The end of the run.
        names: The index of an invocation -> what the reader knows it by.
        are_told: A name says all: another drawing has the rest, or the name is the answer in short.
    """
    if not operations:
        return None
    guilty = {
        operation.invocation.index
        for operation in operations
        if not set(operation.indices).isdisjoint(anomaly.indices)
    }
    shown = _nearest(operations, guilty)
    ends = [end_of(operation, end_ns=end_ns) for operation in shown]
    scale = fold([*(operation.invocation.time for operation in shown), *ends])
    has_many_keys = len({operation.key for operation in shown}) > 1
    lanes: dict[str, list[tuple[Operation, float, float]]] = {}
    for operation, end in zip(shown, ends, strict=True):
        left, right = position(scale, operation.invocation.time), position(scale, end)
        lanes.setdefault(str(operation.process), []).append((operation, left, right))
    return Excerpt(
        lanes=tuple(
            _lane(process, placed, guilty, has_many_keys, names, are_told=are_told)
            for process, placed in lanes.items()
        ),
        faults=_fault_lanes(
            _fault(scale, episode)
            for episode in episodes
            if episode.overlaps(scale[0].start_ns, scale[-1].end_ns)
        ),
        folds=tuple(
            Shade(
                _percent(segment.left),
                _percent(segment.right - segment.left),
                duration_text(segment.end_ns - segment.start_ns),
            )
            for segment in scale
            if segment.is_folded
        ),
        ticks=_ticks(scale),
        omitted=len(operations) - len(shown),
    )


def describe(operation: Operation) -> str:
    """One operation as a sentence, for tooltips and screen readers."""
    where = f" on {operation.invocation.node}" if operation.invocation.node else ""
    completion = operation.completion
    lasted = (
        f"{duration_text(completion.time - operation.invocation.time)}, {operation.type.value}"
        if completion
        else "never completed"
    )
    return (
        f"#{operation.invocation.index} process {operation.process}{where}: {label(operation)}, "
        f"from {time_text(operation.invocation.time)}, {lasted}"
    )


def _nearest(operations: Sequence[Operation], guilty: set[int]) -> list[Operation]:
    """At most OPERATIONS_MAX: the guilty ones, then those nearest to one of them."""
    if len(operations) <= OPERATIONS_MAX:
        return list(operations)
    moments = [
        operation.invocation.time
        for operation in operations
        if operation.invocation.index in guilty
    ] or [operations[0].invocation.time]

    def distance(operation: Operation) -> tuple[bool, int]:
        time_ns = operation.invocation.time
        near_ns = min(abs(time_ns - moment) for moment in moments)
        return operation.invocation.index not in guilty, near_ns

    nearest = sorted(operations, key=distance)[:OPERATIONS_MAX]
    return sorted(nearest, key=lambda operation: operation.invocation.index)


def _lane(
    process: str,
    placed: Sequence[tuple[Operation, float, float]],
    guilty: set[int],
    has_many_keys: bool,
    names: Mapping[int, str],
    *,
    are_told: bool,
) -> Lane:
    nodes = dict.fromkeys(
        operation.invocation.node for operation, _, _ in placed if operation.invocation.node
    )
    free_from: list[float] = []
    bars: list[Bar] = []
    for operation, left, right in placed:
        named = names.get(operation.invocation.index, "")
        text = shorten(f"{named} {label(operation)}".strip(), LABEL_CHARACTERS_MAX)
        if named and are_told:
            text = named
        if has_many_keys and operation.key is not None:
            text = f"[{operation.key}] {text}"
        width_px = max(BAR_WIDTH_PX_MIN, (right - left) * PLOT_WIDTH_PX)
        side, first_px, last_px = _place_label(text, left * PLOT_WIDTH_PX, width_px)
        row = next((r for r, free in enumerate(free_from) if free <= first_px), len(free_from))
        free_from[row : row + 1] = [last_px + LABEL_GAP_PX]
        bars.append(
            Bar(
                index=operation.invocation.index,
                row=row,
                left=_percent(left),
                width=_percent(right - left),
                label=text,
                label_side=side,
                outcome=operation.type.value,
                is_guilty=operation.invocation.index in guilty,
                description=describe(operation),
            )
        )
    return Lane(process, ", ".join(nodes), len(free_from), tuple(bars))


def _place_label(text: str, left_px: float, width_px: float) -> tuple[str, float, float]:
    """The side of the bar where a label fits, and from where to where bar and label reach."""
    label_px = len(text) * CHARACTER_PX + 2 * LABEL_GAP_PX
    right_px = left_px + width_px
    if label_px <= width_px:
        return "inside", left_px, right_px
    if right_px + label_px <= PLOT_WIDTH_PX or left_px < label_px:
        return "right", left_px, right_px + label_px
    return "left", left_px - label_px, right_px


def _fault(scale: TimeScale, episode: Episode) -> Shade:
    left, right = position(scale, episode.start_ns), position(scale, episode.end_ns)
    # A fault that goes on beyond the window reaches its very edge.
    left = 0.0 if episode.start_ns < scale[0].start_ns else left
    right = 1.0 if episode.end_ns > scale[-1].end_ns or episode.healing is None else right
    text = " ".join((episode.fault, *episode.targets))
    return Shade(_percent(left), _percent(right - left), text, episode.fault)


def _fault_lanes(shades: Iterable[Shade]) -> tuple[tuple[Shade, ...], ...]:
    lanes: dict[str, list[list[Shade]]] = {}
    for shade in sorted(shades, key=lambda shade: shade.left):
        of_kind = lanes.setdefault(shade.kind, [])
        free = (lane for lane in of_kind if lane[-1].left + lane[-1].width <= shade.left)
        lane = next(free, None)
        if lane is None:
            of_kind.append([shade])
        else:
            lane.append(shade)
    return tuple(tuple(lane) for of_kind in lanes.values() for lane in of_kind)


def _ticks(scale: TimeScale) -> tuple[Shade, ...]:
    ticks: list[Shade] = []
    for segment in scale:
        if segment.is_folded:
            continue
        for time_ns, decimals in _tick_times(segment):
            left = position(scale, time_ns)
            room = (left - ticks[-1].left / 100) * PLOT_WIDTH_PX if ticks else TICK_SPACING_PX
            if room >= 0.6 * TICK_SPACING_PX:
                ticks.append(Shade(_percent(left), 0, f"{time_ns / 1e9:.{decimals}f} s"))
    return tuple(ticks)


def _tick_times(segment: Segment) -> list[tuple[int, int]]:
    """Round times of a segment with the decimals they need; its start when none falls in it."""
    length_ns = segment.end_ns - segment.start_ns
    width_px = (segment.right - segment.left) * PLOT_WIDTH_PX
    raw_ns = max(1.0, length_ns * TICK_SPACING_PX / max(1.0, width_px))
    exponent = len(str(int(raw_ns))) - 1
    step_ns = next(
        factor * 10**exponent for factor in (1, 2, 5, 10) if factor * 10**exponent >= raw_ns
    )
    first_ns = -(-segment.start_ns // step_ns) * step_ns
    decimals = min(9, max(0, 10 - len(str(step_ns))))
    times = list(range(first_ns, segment.end_ns + 1, step_ns))
    return [(time_ns, decimals) for time_ns in times] or [(segment.start_ns, min(9, decimals + 1))]


def _percent(share: float) -> float:
    return round(100 * share, 3)


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
    share = PLOT_RIGHT - PLOT_LEFT - FOLD_WIDTH * len(folded)
    segments: list[Segment] = []
    left = PLOT_LEFT
    for start, end in _merge(spans, folded):
        is_folded = (start, end) in folded
        width = FOLD_WIDTH if is_folded else share * (end - start) / max(1, drawn_ns)
        segments.append(Segment(start, end, left, left + width, is_folded))
        left += width
    return tuple(segments)


def position(scale: TimeScale, time_ns: int) -> float:
    """Where a moment is drawn, as a share of the width; moments outside stand at the edge."""
    segment = scale[max(0, bisect_right(scale, time_ns, key=lambda each: each.start_ns) - 1)]
    length_ns = max(1, segment.end_ns - segment.start_ns)
    share = min(1.0, max(0.0, (time_ns - segment.start_ns) / length_ns))
    return segment.left + share * (segment.right - segment.left)


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
    for is_folded, group in groupby(spans, key=folded.__contains__):
        some = list(group)
        yield from some if is_folded else [(some[0][0], some[-1][1])]
