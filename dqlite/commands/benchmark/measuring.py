"""
What workers measured: in go-dqlite's report files, and as a summary with percentiles. Pure.

Source: go-dqlite 3.0.4, `benchmark/tracker.go` (the format of the files).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

NS_PER_MS = 1_000_000
PERCENTILES = (50, 95, 99)


class Work(Enum):
    """What is measured: a write or a read."""

    EXEC = "exec"
    QUERY = "query"


class Measurement(NamedTuple):
    """When a statement was sent (ns of the wall clock), and how long it took (ns)."""

    start_ns: int
    duration_ns: int


@dataclass(slots=True)
class Track:
    """One kind of work of one worker."""

    measurements: list[Measurement] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)  # when it was sent, and the reason

    @property
    def is_useless(self) -> bool:
        """Whether everything that was tried failed."""
        return bool(self.errors) and not self.measurements


@dataclass(frozen=True, slots=True)
class Summary:
    """
    Of one kind of work; durations in ms, None where nothing succeeded.

    Attributes:
        per_second: Statements that succeeded a second, by all workers together.
        percentiles: The 50th, 95th and 99th, by nearest rank.
    """

    work: Work
    n: int
    errors: int
    per_second: float
    mean: float | None
    least: float | None
    percentiles: tuple[float | None, ...]
    most: float | None

    def json(self) -> dict[str, object]:
        """Return the fields under their names in the report."""
        names = (f"p{rank}_ms" for rank in PERCENTILES)
        return {
            "n": self.n,
            "errors": self.errors,
            "ops_per_s": round(self.per_second, 1),
            "mean_ms": self.mean,
            "min_ms": self.least,
            **dict(zip(names, self.percentiles, strict=True)),
            "max_ms": self.most,
        }


def summarize(work: Work, tracks: Iterable[Track], *, elapsed_s: float) -> Summary:
    """Put the workers' tracks of one kind of work together."""
    tracks = list(tracks)
    durations = sorted(each.duration_ns for track in tracks for each in track.measurements)
    n = len(durations)
    return Summary(
        work,
        n,
        sum(len(track.errors) for track in tracks),
        n / elapsed_s if elapsed_s > 0 else 0.0,
        _ms(sum(durations) / n) if n else None,
        _ms(durations[0]) if n else None,
        tuple(_ms(percentile(durations, rank)) if n else None for rank in PERCENTILES),
        _ms(durations[-1]) if n else None,
    )


def percentile(ordered: Sequence[int], rank: int) -> int:
    """Return the least value that at least `rank` of 100 do not exceed; `ordered` is not empty."""
    return ordered[max(math.ceil(len(ordered) * rank / 100) - 1, 0)]


def report(track: Track) -> str:
    """Return the text of a report file, as go-dqlite writes it."""
    durations = [each.duration_ns for each in track.measurements]
    n = len(durations)
    lines = [
        f"n {n}",
        f"n_err {len(track.errors)}",
        f"avg [ms] {_go_ms(sum(durations) // n if n else 0)}",
        f"max [ms] {_go_ms(max(durations, default=0))}",
        f"min [ms] {_go_ms(min(durations, default=0))}",
        "measurements [timestamp in ns] [ms]",
        *(f"{each.start_ns} {_go_ms(each.duration_ns)}" for each in track.measurements),
        "",
        "errors",
        *(f"{start_ns} {reason}" for start_ns, reason in track.errors),
        "",
    ]
    return "".join(f"{line}\n" for line in lines)


def _ms(duration_ns: float) -> float:
    return round(duration_ns / NS_PER_MS, 3)


def _go_ms(duration_ns: int) -> str:
    whole, rest = divmod(duration_ns, NS_PER_MS)
    return f"{whole}.{rest:06d}"
