"""
Curves over time as SVG paths: numbers in, coordinates out. Pure.

A drawing is WIDTH by HEIGHT units and is stretched to its place, so its labels are HTML next
to it. Latencies have a logarithmic scale, because one fault makes them a thousand times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dissever.harness.episodes import Episodes
from dissever.reports.labels import NS_PER_S, duration_text
from dissever.runs.series import Series

WIDTH: Final = 1000
HEIGHT: Final = 100
POINTS_MAX: Final = 2_000
BANDS_MAX: Final = 400
DECADES_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Points:
    """A line: its name, its class for the style sheet, and its points, each a time and a value."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]
    gap_ns: float
    """Points that are further apart are not joined."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is drawn."""

    name: str
    style: str
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing; `ticks` are labels of the vertical axis at even distances, from the top."""

    title: str
    lines: tuple[Line, ...]
    ticks: tuple[str, ...]
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Band:
    """A fault in force, in units of the drawing."""

    x: float
    width: float
    title: str


def rates(series: Series, name: str, style: str, *, kind: str = "ok") -> Points:
    """Operations that ended so, per second: none, where nothing ended."""
    width_s = series.width_ns / NS_PER_S
    found = series.stretches
    last = min(series.end_ns // series.width_ns, POINTS_MAX)
    ended = ((n, getattr(found[n].counts, kind) if n in found else 0) for n in range(last + 1))
    return _points(series, name, style, ((n, count / width_s) for n, count in ended))


def latencies(series: Series, percent: int, name: str, style: str) -> Points:
    """A percentile of the latencies, in ns; nothing where no operation was ok."""
    some = sorted(series.stretches.items())[:POINTS_MAX]
    found = ((number, each.latency_ns(percent)) for number, each in some)
    return _points(series, name, style, ((n, float(v)) for n, v in found if v is not None))


def _points(series: Series, name: str, style: str, values: Iterable[tuple[int, float]]) -> Points:
    width_ns = series.width_ns
    placed = tuple(((number + 0.5) * width_ns, value) for number, value in values)
    return Points(name, style, placed, gap_ns=1.5 * width_ns)


def rate_chart(title: str, lines: Sequence[Points], *, start_ns: int = 0, end_ns: int) -> Chart:
    """From 0 to a round number that no value exceeds."""
    top = _round_up(max((v for line in lines for _, v in line.points), default=0.0))
    ticks = tuple(f"{top * share:,.3g}" for share in (1, 0.5, 0))
    return _chart(title, lines, ticks, lambda value: value / top, start_ns, end_ns)


def latency_chart(title: str, lines: Sequence[Points], *, start_ns: int = 0, end_ns: int) -> Chart:
    """From a power of ten to another."""
    values = [v for line in lines for _, v in line.points if v > 0]
    low = math.floor(math.log10(min(values, default=1e6)))
    high = max(low + 1, math.ceil(math.log10(max(values, default=1e7))))
    step = -(-(high - low) // DECADES_MAX)
    high = low + step * -(-(high - low) // step)
    ticks = tuple(duration_text(10.0**power) for power in range(high, low - 1, -step))

    def share(value: float) -> float:
        return (math.log10(max(value, 10.0**low)) - low) / (high - low)

    return _chart(title, lines, ticks, share, start_ns, end_ns)


def bands(found: Episodes, *, end_ns: int) -> tuple[Band, ...]:
    """The faults in force of a whole run."""
    scale = WIDTH / max(1, end_ns)
    return tuple(
        Band(
            round(each.start_ns * scale, 1),
            round(max(2.0, (min(each.end_ns, end_ns) - each.start_ns) * scale), 1),
            f"{' '.join((each.fault, *each.targets))}: {each.start_ns / NS_PER_S:.1f} s to"
            f" {each.end_ns / NS_PER_S:.1f} s",
        )
        for each in found.strikes[:BANDS_MAX]
    )


def _chart(
    title: str,
    lines: Sequence[Points],
    ticks: tuple[str, ...],
    share: Callable[[float], float],
    start_ns: int,
    end_ns: int,
) -> Chart:
    scale = WIDTH / max(1, end_ns - start_ns)
    drawn = tuple(
        Line(line.name, line.style, _path(line, scale, start_ns, share)) for line in lines
    )
    ends = (f"{time / NS_PER_S:,.0f} s" for time in (start_ns, end_ns))
    return Chart(title, drawn, ticks, *ends)


def _path(line: Points, scale: float, start_ns: int, share: Callable[[float], float]) -> str:
    """Points that lie next to each other in time, joined; one alone is a short stroke."""
    parts: list[str] = []
    before = -math.inf
    for time_ns, value in line.points:
        x = (time_ns - start_ns) * scale
        y = HEIGHT * (1 - share(value))
        if time_ns - before > line.gap_ns:
            parts.append(f"M{x - 1:.1f} {y:.1f}h2")
        else:
            parts.append(f"L{x:.1f} {y:.1f}")
        before = time_ns
    return "".join(parts)


def _round_up(value: float) -> float:
    """1, 2 or 5 times a power of ten: the least that is not below the value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value * 0.999999)
