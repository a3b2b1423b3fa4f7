"""
The logs of all nodes as one list on the run's clock, ready for the page.

A line is placed by the time that it names. One that names none, or a time at which its process did
not run, takes that of the line before it. A log without any time is placed where its process began
or, if it ended by itself and this is its stderr, where it ended: such places are marked as guesses.
Everything comes from nodes, so it is text, and printable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median_low
from typing import Any, Final

from dissever.harness.values import printable, shorten
from dissever.reports.log_times import ERROR, LEVELS, WARNING, Stamp, level_of, stamp_of

CHARACTERS_MAX: Final = 1000
"""Of a line."""

SLACK_NS: Final = 2_000_000_000
"""A process may write this long before it was seen to start, or after its end was heard of."""

QUARTER_NS: Final = 15 * 60 * 10**9
"""Zones differ from each other by multiples of this."""

SHOWN_MAX: Final = 40
"""Lines of the table for a page without a script."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of a log that follow each other; the first has the number `first`, from 1."""

    first: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeLogText:
    """
    What was read of a log. `incarnation` counts the processes of the node, `stream` is stdout or
    stderr; `lines` and `size_bytes` are those of the whole file.
    """

    node: str
    path: str
    incarnation: int
    stream: str
    pieces: tuple[Piece, ...]
    lines: int
    size_bytes: int

    @property
    def read(self) -> int:
        """How many of its lines were read."""
        return sum(len(piece.lines) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Life:
    """When a process of a node ran, since the run began; None is not known."""

    start_ns: int | None = None
    end_ns: int | None = None
    is_crash: bool = False


@dataclass(frozen=True, slots=True)
class LogsRead:
    """
    What was read of the logs of a run.

    `began_unix_ns` is the time of the world at which the run began, and `is_exact` is whether that
    was written down; None: nobody knows. `lives` are those of each node's processes, by number.
    `others` are logs that are not of the nodes' own processes, with their sizes in bytes.
    """

    texts: tuple[NodeLogText, ...] = ()
    began_unix_ns: int | None = None
    is_exact: bool = True
    lives: Mapping[tuple[str, int], Life] = field(default_factory=dict)
    others: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line on the run's clock. `is_guess`: it names no time itself, or one that cannot be."""

    time_ns: int
    is_guess: bool
    log: int
    number: int
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class LogsView:
    """
    The merged lines, and what the page says of them.

    `telling` are a few lines for a page without a script. `lines` and `size_bytes` count everything
    that the nodes wrote. `cut` are the logs of which not all is here.
    """

    read: LogsRead
    merged: tuple[LogLine, ...]
    telling: tuple[LogLine, ...]
    lines: int
    size_bytes: int
    cut: tuple[NodeLogText, ...]

    @property
    def unplaced(self) -> tuple[NodeLogText, ...]:
        """The logs in which no line names a time."""
        placed = {line.log for line in self.merged if not line.is_guess}
        return tuple(
            text
            for number, text in enumerate(self.read.texts)
            if text.read and number not in placed
        )


def logs_view(read: LogsRead, *, end_ns: int, moments_ns: Sequence[int] = ()) -> LogsView:
    """
    Merge what was read.

    Args:
        end_ns: The end of the run.
        moments_ns: Around which lines tell most, such as crashes.
    """
    merged = tuple(merge(read, end_ns=end_ns))
    return LogsView(
        read,
        merged,
        tuple(telling(merged, moments_ns)),
        sum(text.lines for text in read.texts),
        sum(text.size_bytes for text in read.texts),
        tuple(text for text in read.texts if text.read < text.lines),
    )


def merge(read: LogsRead, *, end_ns: int) -> list[LogLine]:
    """The lines of all logs by time; those of one log and one time keep their order."""
    began_ns = read.began_unix_ns
    year = year_of(began_ns) if began_ns is not None else 1970
    stamps = [
        [[stamp_of(line, year=year) for line in piece.lines] for piece in text.pieces]
        for text in read.texts
    ]
    zone_ns = _zone_ns(stamps, began_ns or 0)
    lines: list[LogLine] = []
    for number, (text, of_text) in enumerate(zip(read.texts, stamps, strict=True)):
        life = read.lives.get((text.node, text.incarnation), Life())
        low = (-(10**12) if life.start_ns is None else life.start_ns) - SLACK_NS
        high = (end_ns + 60 * 10**9 if life.end_ns is None else life.end_ns) + SLACK_NS
        times: list[list[int | None]] = [
            [_placed(stamp, began_ns, zone_ns, low, high) for stamp in of_piece]
            for of_piece in of_text
        ]
        known = [time for of_piece in times for time in of_piece if time is not None]
        time_ns = known[0] if known else _begin(text, life)
        for piece, of_piece in zip(text.pieces, times, strict=True):
            # What stands between two pieces is not here: the next one begins by its own time.
            time_ns = next((each for each in of_piece if each is not None), time_ns)
            for at, (line, named) in enumerate(zip(piece.lines, of_piece, strict=True)):
                time_ns = time_ns if named is None else named
                shown = shorten(printable(line.rstrip(), keep="\t"), CHARACTERS_MAX)
                is_guess, place = named is None, piece.first + at
                lines.append(LogLine(time_ns, is_guess, number, place, level_of(line), shown))
    return sorted(lines, key=lambda line: (line.time_ns, line.log, line.number))


def telling(merged: Sequence[LogLine], moments_ns: Sequence[int]) -> list[LogLine]:
    """At most SHOWN_MAX lines: errors and warnings, those near a moment first, by time."""

    def rank(line: LogLine) -> tuple[int, int, int]:
        far = min((abs(line.time_ns - moment) for moment in moments_ns), default=0)
        near = 0 if far <= 10**9 else 1
        return (LEVELS.index(line.level) if near else LEVELS.index(line.level) // 2, near, far)

    grave = [line for line in merged if line.level in (ERROR, WARNING) and line.text.strip()]
    best = sorted(grave, key=rank)[:SHOWN_MAX]
    return sorted(best, key=lambda line: (line.time_ns, line.log, line.number))


def log_columns(view: LogsView) -> dict[str, Any]:
    """The merged lines as parallel columns; times in µs, as differences."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("time", "guess", "log", "number", "level", "text")
    }
    before_us = 0
    for line in view.merged:
        time_us = line.time_ns // 1000
        columns["time"].append(time_us - before_us)
        columns["guess"].append(int(line.is_guess))
        columns["log"].append(line.log)
        columns["number"].append(line.number)
        columns["level"].append(LEVELS.index(line.level))
        columns["text"].append(line.text)
        before_us = time_us
    logs = [{"node": text.node, "path": text.path} for text in view.read.texts]
    return {"logs": logs, "levels": list(LEVELS), "columns": columns}


def thinned(view: LogsView, share: float) -> LogsView:
    """
    The view with a share of its lines, from 0 to 1, for a page that would be too large.

    The first and last lines of each log come first, then errors and warnings, then the others. What
    does not fit as a whole is thinned evenly.
    """
    room = int(len(view.merged) * share)
    ends = _ends_of(view.merged)
    grave = [i for i, line in enumerate(view.merged) if line.level in (ERROR, WARNING)]
    others = list(range(len(view.merged)))
    kept: set[int] = set()
    for places in (ends, grave, others):
        left = room - len(kept)
        fresh = [place for place in places if place not in kept]
        if left <= 0:
            break
        step = max(1, -(-len(fresh) // left))
        kept.update(fresh[::step][:left])
    merged = tuple(view.merged[i] for i in sorted(kept))
    counts: dict[int, int] = {}
    for line in merged:
        counts[line.log] = counts.get(line.log, 0) + 1
    cut = tuple(
        text for number, text in enumerate(view.read.texts) if counts.get(number, 0) < text.lines
    )
    return replace(view, merged=merged, cut=cut)


def _ends_of(merged: Sequence[LogLine]) -> list[int]:
    """The positions of the first and the last line of each log."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, line in enumerate(merged):
        first.setdefault(line.log, i)
        last[line.log] = i
    return sorted({*first.values(), *last.values()})


def year_of(unix_ns: int) -> int:
    """The year of a time of the world, by the mean length of a year: off by one around New Year."""
    return 1970 + int(unix_ns / 1e9 / 31_556_952)


def _begin(text: NodeLogText, life: Life) -> int:
    """Where a log without any time is placed."""
    if life.is_crash and text.stream == "stderr" and life.end_ns is not None:
        return life.end_ns
    return life.start_ns or 0


def _zone_ns(stamps: Iterable[Iterable[Iterable[Stamp | None]]], began_ns: int) -> int:
    """How far local times are ahead of UTC: by the first of each log, to the quarter of an hour."""
    firsts: list[int] = []
    for of_text in stamps:
        local = (
            each for of_piece in of_text for each in of_piece if each is not None and each.is_local
        )
        if (first := next(local, None)) is not None:
            firsts.append(round((first.unix_ns - began_ns) / QUARTER_NS))
    ahead = median_low(firsts) if firsts else 0
    return ahead * QUARTER_NS if abs(ahead) <= 14 * 4 else 0


def _placed(
    stamp: Stamp | None, began_ns: int | None, zone_ns: int, low: int, high: int
) -> int | None:
    """The time of a line since the run began; None when its process did not run then."""
    if stamp is None or began_ns is None:
        return None
    time_ns = stamp.unix_ns - began_ns - (zone_ns if stamp.is_local else 0)
    return time_ns if low <= time_ns <= high else None
