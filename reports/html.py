"""
A run as one HTML file that shows the bug: no network, no other file, no library.

The page is rendered here but for the drawings over the whole run, which its own script makes from
embedded columns (payload.py). Explanation, window, evidence and results need no script. A policy in
the page forbids every request and every script but ours.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from dissever.harness.history import History
from dissever.harness.plan import Plan
from dissever.harness.results import Results
from dissever.reports.anomaly_view import anomaly_views, guilty_indices, named_indices
from dissever.reports.bands import pair_faults
from dissever.reports.fault_table import fault_rows
from dissever.reports.figures import Figures, figures
from dissever.reports.labels import count_text, duration_text, shorten, time_text
from dissever.reports.lanes import assign_lanes
from dissever.reports.node_events import MARKS, NodeEvent
from dissever.reports.payload import (
    Embedded,
    columns,
    embed,
    fault_records,
    node_records,
    weigh,
)
from dissever.reports.prose import DOES_NOT_MEAN, GLYPHS, MEANS
from dissever.reports.tidy import tidy, words

SIZE_BYTES_MAX = 5_000_000
HEADLINES_MAX = 5
ANOMALIES_MAX = 20
NODE_EVENTS_MAX = 500
SHRINK_ATTEMPTS_MAX = 8

PAGE = Path(__file__).parent / "page"
SCRIPTS = (
    "format.js",
    "data.js",
    "view.js",
    "draw.js",
    "timeline.js",
    "charts.js",
    "overview.js",
    "filters.js",
    "details.js",
    "input.js",
    "orders.js",
    "main.js",
)


def render_html(
    plan: Plan,
    history: History,
    results: Results,
    node_events: Sequence[NodeEvent] = (),
    *,
    size_bytes_max: int = SIZE_BYTES_MAX,
    counted: Figures | None = None,
) -> str:
    """
    The report of a run as one page.

    A pure function: the same run gives the same page to the byte.

    Args:
        size_bytes_max: Above it the drawings leave operations out evenly and a notice says so;
            operations that an anomaly names always stay.
        counted: Of the whole history, where `history` is a part of it.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    context = _context(plan, history, results, node_events)
    if counted is not None:
        context["figures"] = counted
    lanes = assign_lanes(
        history.operations, workers=plan.options.concurrency, end_ns=history.duration_ns
    )
    named = named_indices(results)
    shared = _shared_data(plan, history, results, node_events) | {"lanes": lanes.count}
    count = len(history.operations)
    for _ in range(SHRINK_ATTEMPTS_MAX):
        weights = weigh(history.operations, named, count)
        drawn = sum(1 for weight in weights if weight)
        operations = columns(history.operations, lanes, weights, end_ns=history.duration_ns)
        data = embed(shared | {"operations": operations})
        page = _render(context | {"data": data, "drawn": drawn, "lane_rule": lanes.rule})
        excess = len(page.encode()) - size_bytes_max
        if excess <= 0 or drawn == 0:
            break
        room = max(0.0, 1 - 1.1 * excess / len(data.text))
        count = int(min(drawn, count) * room)
    return page


def _context(
    plan: Plan, history: History, results: Results, node_events: Sequence[NodeEvent]
) -> dict[str, Any]:
    faults = pair_faults(history.faults, end_ns=history.duration_ns)
    rows = fault_rows(faults, history.operations)
    anomalies = [
        (result.checker, anomaly) for result in results.results for anomaly in result.anomalies
    ]
    return {
        "plan": plan,
        "results": results,
        "means": MEANS[results.verdict],
        "does_not_mean": DOES_NOT_MEAN[results.verdict],
        "glyph": GLYPHS[results.verdict],
        "glyphs": GLYPHS,
        "figures": figures(history.operations, end_ns=history.duration_ns),
        "duration_ns": history.duration_ns,
        "anomalies": anomalies,
        "headlines": HEADLINES_MAX,
        "views": anomaly_views(results, history, faults, count_max=ANOMALIES_MAX),
        "fault_rows": rows,
        "fault_kinds": faults.kinds,
        "injected": sum(1 for row in rows if not row.is_mark),
        "proven": sum(1 for row in rows if row.is_proven),
        "node_marks": MARKS,
        "node_events": node_events[:NODE_EVENTS_MAX],
        "node_events_omitted": max(0, len(node_events) - NODE_EVENTS_MAX),
        "options": tidy(_options(plan)),
    }


def _options(plan: Plan) -> dict[str, Any]:
    options = plan.options
    return {name: getattr(options, name) for name in options.__struct_fields__}


def _shared_data(
    plan: Plan, history: History, results: Results, node_events: Sequence[NodeEvent]
) -> dict[str, Any]:
    """What the script draws besides the operations."""
    faults = pair_faults(history.faults, end_ns=history.duration_ns)
    seen = [event.node for event in history if event.node] + [event.node for event in node_events]
    return {
        # An empty run still has an axis.
        "end": history.duration_ns // 1000 or 1_000_000,
        "nodes": list(dict.fromkeys([*plan.options.nodes, *seen])),
        "kinds": list(faults.kinds),
        "node_events": node_records(node_events),
        "guilty": sorted(guilty_indices(results)),
        **fault_records(faults.bands, faults.marks),
    }


def _render(context: Mapping[str, Any]) -> str:
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data: Embedded = context["data"]
    values = {
        **context,
        "data": Markup(data.text),
        "encoding": data.encoding,
        "script": Markup(script),
        "script_digest": digest,
        "style": Markup((PAGE / "report.css").read_text(encoding="utf-8")),
    }
    page = _environment().get_template("report.html").render(values)
    # Half a surrogate pair, which no file can hold, may come from a system under test.
    return page.encode(errors="replace").decode()


@cache
def _script() -> str:
    parts = "\n".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        count=count_text,
        duration=duration_text,
        time=time_text,
        shorten=shorten,
        words=words,
        tidy=tidy,
    )
    return environment
