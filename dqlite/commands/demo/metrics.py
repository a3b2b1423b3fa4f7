"""
What the demo counts, and the text that Prometheus reads.

Source: Prometheus, "Exposition formats", text format 0.0.4.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the classes of durations, included."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value: `suffix` follows the name of its family, as `_bucket` does."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with all its samples; `type` is counter, gauge or histogram."""

    name: str
    type: str
    help: str
    samples: tuple[Sample, ...]


class Requests:
    """Counts HTTP requests and measures them; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * (len(BUCKETS_S) + 1)
        self._seconds = 0.0

    def observe(self, method: str, status: int, seconds: float) -> None:
        """Count one request; `method` is one of a few, never what a client made up."""
        bucket = sum(seconds > end for end in BUCKETS_S)
        with self._lock:
            self._counts[method, status] += 1
            self._buckets[bucket] += 1
            self._seconds += seconds

    def families(self) -> tuple[Family, ...]:
        """Return what was counted so far."""
        with self._lock:
            counts, buckets, seconds = dict(self._counts), list(self._buckets), self._seconds
        counters = tuple(
            Sample(count, {"method": method, "code": str(status)})
            for (method, status), count in sorted(counts.items())
        )
        return (
            Family(
                "dqlite_demo_http_requests_total",
                "counter",
                "HTTP requests by method and status code.",
                counters,
            ),
            Family(
                "dqlite_demo_http_request_duration_seconds",
                "histogram",
                "Time from the first byte of a request to its answer.",
                tuple(_histogram(buckets, seconds)),
            ),
        )


def _histogram(buckets: Iterable[int], seconds: float) -> Iterator[Sample]:
    total = 0
    for end, count in zip((*map(repr, BUCKETS_S), "+Inf"), buckets, strict=True):
        total += count
        yield Sample(total, {"le": end}, "_bucket")
    yield Sample(seconds, suffix="_sum")
    yield Sample(total, suffix="_count")


def exposition(families: Iterable[Family]) -> str:
    """Return the text for `/metrics`."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}"
    yield f"# TYPE {family.name} {family.type}"
    for sample in family.samples:
        labels = ",".join(f'{name}="{_quoted(value)}"' for name, value in sample.labels.items())
        name = f"{family.name}{sample.suffix}"
        yield f"{name}{{{labels}}} {sample.value}" if labels else f"{name} {sample.value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
