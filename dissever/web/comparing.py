"""The page that compares two runs, as a value. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from dissever.reports.labels import duration_text
from dissever.runs import Stored
from dissever.runs.comparison import (
    Difference,
    Differences,
    Figures,
    Finding,
    Pair,
    aligned,
    differences,
    figures_of,
    findings,
    options_of,
    strikes,
)
from dissever.runs.reading import Whole
from dissever.web.curves import Band, Chart, bands, latencies, latency_chart, rate_chart, rates

PAIRS_MAX: Final = 200

_FIGURES: Final[tuple[tuple[str, Callable[[Figures], Any]], ...]] = (
    ("Duration", lambda each: duration_text(each.duration_ns)),
    ("Operations", lambda each: f"{each.total:,}"),
    ("ok", lambda each: f"{each.ok:,}"),
    ("fail", lambda each: f"{each.fail:,}"),
    ("info", lambda each: f"{each.info:,}"),
    ("ok per second", lambda each: f"{each.rate:,.1f}"),
    ("Latency, median", lambda each: _duration(each.p50_ns)),
    ("Latency, p95", lambda each: _duration(each.p95_ns)),
    ("Latency, p99", lambda each: _duration(each.p99_ns)),
)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the runs."""

    name: str
    run: Stored
    bands: tuple[Band, ...]
    troubles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the page shows."""

    a: Side
    b: Side
    sentence: str
    findings: tuple[Finding, ...]
    figures: tuple[Difference, ...]
    charts: tuple[Chart, ...]
    options: Differences | None
    versions: Differences | None
    pairs: tuple[Pair, ...]
    same: int
    only_a: int
    only_b: int
    hidden: int


def view(a: Whole, b: Whole) -> View:
    """Two runs side by side."""
    end_ns = max(a.series.end_ns, b.series.end_ns)
    both = ((a, "A", "a"), (b, "B", "b"))
    pairs = aligned(strikes(a.episodes), strikes(b.episodes))
    numbers = figures_of(a.series), figures_of(b.series)
    plans = (a.plan, b.plan) if a.plan and b.plan else None
    span = {"end_ns": end_ns}
    return View(
        a=Side("A", a.stored, bands(a.episodes, end_ns=end_ns), a.troubles),
        b=Side("B", b.stored, bands(b.episodes, end_ns=end_ns), b.troubles),
        sentence=_sentence(a, b),
        findings=findings(a.results, b.results),
        figures=tuple(
            Difference(name, text(numbers[0]), text(numbers[1])) for name, text in _FIGURES
        ),
        charts=(
            rate_chart(
                "ok operations per second",
                [rates(each.series, name, style) for each, name, style in both],
                **span,
            ),
            *(
                latency_chart(
                    f"Latency, {title}",
                    [latencies(each.series, percent, name, style) for each, name, style in both],
                    **span,
                )
                for percent, title in ((50, "median"), (99, "p99"))
            ),
        ),
        options=differences(*map(options_of, plans)) if plans else None,
        versions=differences(plans[0].versions, plans[1].versions) if plans else None,
        pairs=pairs[:PAIRS_MAX],
        same=sum(each.a is not None and each.b is not None for each in pairs),
        only_a=sum(each.b is None for each in pairs),
        only_b=sum(each.a is None for each in pairs),
        hidden=max(0, len(pairs) - PAIRS_MAX),
    )


def _sentence(a: Whole, b: Whole) -> str:
    """What a reader wants to know first."""
    if a.plan is None or b.plan is None:
        return "The plan of a run cannot be read, so it is not known whether they tested the same."
    ours, theirs = a.plan.options, b.plan.options
    parts = ["Same seed" if ours.seed == theirs.seed else "Different seeds"]
    parts.append(
        "same options" if options_of(a.plan) == options_of(b.plan) else "different options"
    )
    parts.append("same versions" if a.plan.versions == b.plan.versions else "different versions")
    if ours.script != theirs.script:
        parts.append("different plan files")
    return ", ".join(parts) + "."


def _duration(value: int | None) -> str:
    return "none was ok" if value is None else duration_text(value)
