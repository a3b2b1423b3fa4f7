"""
The probability that a run fails, over the time of the run, ready to be drawn.

Each point tells how many continuations from that moment failed: everything before it was as in the
run, everything after it was drawn from other seeds. Where the curve climbs, the run was doomed.
"""

from __future__ import annotations

from dataclasses import dataclass

from dissever.reports.insight import Chance, Doom, Named

WIDTH, HEIGHT = 1000.0, 180.0
"""Units of the drawing; it is stretched to the width of the page."""

TICKS_MAX = 8


@dataclass(frozen=True, slots=True)
class Point:
    """One moment; `x` and `y` from the upper left, `high` and `low` are ends of its interval."""

    x: float
    y: float
    low: float
    high: float
    chance: Chance


@dataclass(frozen=True, slots=True)
class Curve:
    """
    The points, with their line and the band of their intervals as paths of SVG.

    `fault` is from where to where the named fault is drawn, None when none was named. `ticks` are
    seconds with their places. `end_ns` is where the axis ends, None at the end of the run.
    """

    points: tuple[Point, ...]
    line: str
    band: str
    fault: tuple[float, float] | None
    named: Named | None
    ticks: tuple[tuple[float, str], ...]
    end_ns: int | None


def curve_of(doom: Doom, end_ns: int) -> Curve | None:
    """
    The curve of a run that lasted until end_ns; None when nothing was tried.

    It ends soon after its last moment, because a run may go on long after it failed.
    """
    if not doom.moments:
        return None
    last_ns = doom.moments[-1].time
    whole_ns = max(1, last_ns + last_ns // 10 if last_ns < 0.8 * end_ns else max(last_ns, end_ns))

    def across(time_ns: int) -> float:
        return round(WIDTH * min(whole_ns, max(0, time_ns)) / whole_ns, 2)

    def down(share: float) -> float:
        return round(HEIGHT * (1 - share), 2)

    points = tuple(
        Point(across(each.time), down(each.k / each.n), down(each.low), down(each.high), each)
        for each in doom.moments
    )
    upper = [f"{point.x} {point.high}" for point in points]
    lower = [f"{point.x} {point.low}" for point in reversed(points)]
    named = doom.named
    return Curve(
        points,
        "M" + "L".join(f"{point.x} {point.y}" for point in points),
        "M" + "L".join((*upper, *lower)) + "Z",
        None if named is None else (across(named.start), across(named.end)),
        named,
        _ticks(whole_ns, across(whole_ns)),
        whole_ns if whole_ns < end_ns else None,
    )


def _ticks(whole_ns: int, width: float) -> tuple[tuple[float, str], ...]:
    """Round seconds from 0 to the end of the run, at most TICKS_MAX and the one at 0."""
    raw = whole_ns / 1e9 / TICKS_MAX
    power = 1e-9
    while power * 10 <= raw:
        power *= 10
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    count = int(whole_ns / 1e9 / step)
    return tuple(
        (round(width * number * step / (whole_ns / 1e9), 2), f"{number * step:g} s")
        for number in range(count + 1)
    )
