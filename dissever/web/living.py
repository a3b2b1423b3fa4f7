"""The page of a run that goes on, as a value. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dissever.reports.labels import duration_text
from dissever.runs import Stored
from dissever.runs.index import State
from dissever.runs.live import SECOND_NS, SECONDS_SHOWN, Live, Second
from dissever.web.curves import Chart, Points, latency_chart, rate_chart

OUTCOMES: Final = ("ok", "fail", "info")


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows; `headline` says in a few words how far the run is."""

    live: Live
    is_over: bool
    headline: str
    behind: str
    percent_done: int
    sees_nodes: bool
    """Whether the harness says what the nodes are."""

    charts: tuple[Chart, ...]


def view(run: Stored, live: Live) -> View:
    """The page of a run at this moment."""
    end = max(1, int(live.elapsed_s))
    start = max(0, end - SECONDS_SHOWN)
    span = {"start_ns": start * SECOND_NS, "end_ns": end * SECOND_NS}
    seconds = {each.at_s: each for each in live.seconds}
    rates = [
        _points(live, kind, kind, [(at, _count(seconds.get(at), kind)) for at in range(start, end)])
        for kind in OUTCOMES
    ]
    times = [
        _points(live, "p50", "a", [(s.at_s, float(s.p50_ns)) for s in live.seconds if s.p50_ns]),
        _points(live, "p99", "b", [(s.at_s, float(s.p99_ns)) for s in live.seconds if s.p99_ns]),
    ]
    return View(
        live=live,
        is_over=live.state is not State.RUNNING,
        headline=_headline(live),
        behind=_behind(live),
        percent_done=min(100, round(100 * live.elapsed_s / live.limit_s)) if live.limit_s else 0,
        sees_nodes=any(node.starts for node in live.nodes),
        charts=(
            rate_chart("Operations per second", rates, **span),
            latency_chart("Latency of ok operations", times, **span),
        ),
    )


def _points(live: Live, name: str, style: str, values: list[tuple[int, float]]) -> Points:
    placed = tuple(
        ((at + 0.5) * SECOND_NS, value) for at, value in values if at < int(live.elapsed_s)
    )
    return Points(name, style, placed, gap_ns=1.5 * SECOND_NS)


def _count(second: Second | None, kind: str) -> float:
    """How many operations ended so in a second."""
    return 0.0 if second is None else float(getattr(second, kind))


def _headline(live: Live) -> str:
    if live.state is State.JUDGED:
        return f"ended: {live.verdict}"
    if live.state is not State.RUNNING:
        return live.state.value
    if live.size_bytes == 0:
        return "preparing: no operation yet"
    if live.elapsed_s > live.limit_s:
        return "recovering, comparing or judging"
    return f"{live.elapsed_s:.0f} s of {live.limit_s:g} s"


def _behind(live: Live) -> str:
    """What is missing of the figures."""
    if live.read_bytes >= live.size_bytes:
        return ""
    share = 100 * live.read_bytes / live.size_bytes
    time = duration_text(live.elapsed_s * 1e9)
    return f"read {share:.0f} % of the history so far: figures are those of the first {time}"
