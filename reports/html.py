"""
A run as one HTML file that shows the bug: no network, no other file, no library.

The page is rendered here, except for the drawings of the whole run: a script of its own makes them
from embedded columns (payload.py). Explanation, window, evidence and results need no script. A
policy in the page forbids every request, and every script except ours.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from dissever.harness.episodes import Episodes, episodes_of
from dissever.harness.history import History
from dissever.harness.results import Results
from dissever.harness.windows import arounds
from dissever.reports.anomaly_view import (
    anomaly_views,
    excused_ends,
    excused_waits,
    explained,
    findings,
    found_by,
    named_indices,
    operations_by_index,
)
from dissever.reports.curve import curve_of
from dissever.reports.cycle import models_text
from dissever.reports.details import arounds_of, counts_of_faults, own_details, unasked_ends
from dissever.reports.drawn import Drawn, drawn
from dissever.reports.fault_roles import leading_at, looks_of
from dissever.reports.fault_summary import summary_rows
from dissever.reports.fault_table import fault_rows, share_text
from dissever.reports.figures import Figures, figures_of
from dissever.reports.headlines import headlines
from dissever.reports.inside_view import InsideView, inside_views, sentence_of
from dissever.reports.insight import Insight
from dissever.reports.labels import short_label, time_text
from dissever.reports.lamport import embedded_simulation
from dissever.reports.lanes import assign_lanes
from dissever.reports.meaning import does_not_mean, doubts_mean, means
from dissever.reports.nearby import nearby
from dissever.reports.node_strips import strips_data
from dissever.reports.nodes_view import nodes_view
from dissever.reports.packing import packed, packed_bytes
from dissever.reports.payload import NODE_MARKS, run_data, weigh
from dissever.reports.start_view import start_view
from dissever.reports.subject import Subject
from dissever.reports.templates import environment
from dissever.reports.tidy import tidy, words
from dissever.reports.timeline_view import KEYS, timeline_data

if TYPE_CHECKING:
    import jinja2

SIZE_BYTES_MAX = 20_000_000
NOTHING = Insight()
ANOMALIES_MAX = 20
FAULTS_DRAWN_MAX = 40
"""How many lines of faults stand on a page before somebody asks for more."""

SHRINK_ATTEMPTS_MAX = 8

PAGE = Path(__file__).parent / "page"
# Constants stand before the script that starts.
SCRIPTS = sorted(PAGE.glob("*.js"), key=lambda script: (script.stem == "main", script))
# What the whole page shares stands before what belongs to a section.
STYLES = sorted(PAGE.glob("*.css"), key=lambda style: (style.stem != "report", style))
OF_SIMULATIONS = frozenset({"lamport", "lamport_labels", "log_steps", "simulation"})
"""The scripts that only the page of a simulated run needs."""


def render_html(
    subject: Subject,
    history: History,
    results: Results,
    *,
    size_bytes_max: int = SIZE_BYTES_MAX,
    counted: Figures | None = None,
    insight: Insight = NOTHING,
    families: Mapping[str, str] | None = None,
) -> str:
    """
    The report of a run as one page.

    A pure function: the same run gives the same page to the byte.

    Args:
        size_bytes_max: Above it the drawings leave operations out evenly and a notice says so;
            operations that an anomaly names always stay.
        counted: Of the whole history, where `history` is a part of it.
        insight: What is known beyond the history. What a simulation saw comes on top of
            `size_bytes_max`, at most SIMULATION_BYTES_MAX, and so do logs, at most
            LOGS_CHARACTERS_MAX.
        families: Fault -> the family of faults with which the timeline folds it.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    operations = drawn(history)
    found = episodes_of(history, subject.actions)
    context = _context(subject, history, results, found, counted, insight)
    context |= _beyond(insight, results, history)
    lanes = assign_lanes(operations, workers=subject.concurrency)
    guilty = (i for _, anomaly in found_by(results) for i in anomaly.indices)
    names = (*subject.nodes, *operations.tables.node)
    shared = run_data(history, found, nodes=names, guilty=guilty) | {"lanes": lanes.count}
    shared |= timeline_data(history, found, context["unasked_ends"], families or {})
    nodes = nodes_view(
        insight, shared["nodes"], found, context["unasked_ends"], end_ns=history.duration_ns
    )
    moments_us = [moment // 1000 for moment in insight.moments_ns]
    shared["strips"] = strips_data(nodes.strips) | {"moments": moments_us}
    size_bytes_max += len(nodes.data)
    context |= {"nodes": nodes, "log_data": Markup(nodes.data)}
    if insight.simulation is not None:
        spans = [view.span for view in context["inside"]]
        shared["simulation"] = embedded_simulation(insight.simulation, spans)
        size_bytes_max += packed_bytes(shared["simulation"])
        context["left_out"] = shared["simulation"]["left_out"]
    context["lane_rule"] = lanes.rule

    def page(count: int, data: str) -> str:
        return _render(context | {"data": Markup(data), "drawn": count})

    return _fitted(page, shared, operations, lanes.of, named_indices(results), size_bytes_max)


def _fitted(
    page: Callable[[int, str], str],
    shared: dict[str, Any],
    operations: Drawn,
    lanes: Sequence[int],
    named: frozenset[int],
    size_bytes_max: int,
) -> str:
    """
    A page with as many operations as it may hold.

    Args:
        page: What it is, with a number of operations, and with them and `shared` as text.
    """
    data, count = packed(shared, operations, lanes), len(operations)
    for _ in range(SHRINK_ATTEMPTS_MAX):
        text = page(count, data)
        excess = len(text.encode()) - size_bytes_max
        if excess <= 0:
            break
        room = max(0.0, 1 - 1.05 * excess / len(data))
        weights = weigh(operations, named, int(count * room))
        thinned = operations.weighed(weights)
        if len(thinned) == count:  # What is left is named by anomalies.
            break
        data, count = packed(shared, thinned, tuple(compress(lanes, weights))), len(thinned)
    return text


def _context(
    subject: Subject,
    history: History,
    results: Results,
    found: Episodes,
    counted: Figures | None,
    insight: Insight,
) -> dict[str, Any]:
    measured = arounds_of(results)
    is_whole = counted is None or counted.total == len(history.columns)
    if not measured and is_whole and history.is_timed:
        measured = arounds(history.columns, found, end_ns=history.duration_ns)
    leading = leading_at(found, looks_of(insight))
    told, near = findings(results, history, found, nodes=subject.nodes), nearby(history, results)
    numbers = explained(results, ANOMALIES_MAX)
    rows = fault_rows(found, measured, counts_of_faults(results), leading, unasked_ends(results))
    return {
        "subject": subject,
        "results": results,
        "means": means(results),
        "does_not_mean": does_not_mean(results),
        "figures": counted or figures_of(history),
        "duration_ns": history.duration_ns,
        "anomalies": found_by(results),
        "headlines": headlines(told, operations_by_index(near), found),
        "views": anomaly_views([told[number - 1] for number in numbers], near, found),
        "explained": numbers,
        "excused": excused_ends(results, history, found),
        "waits": excused_waits(results, found, nodes=subject.nodes),
        "models": [text for each in results.results if (text := models_text(each.details))],
        "fault_rows": rows.lines,
        "healings": rows.calm,
        "end_of_run": rows.steps,
        "fault_summary": summary_rows(rows.strikes),
        "faults_drawn_max": FAULTS_DRAWN_MAX,
        "unasked_ends": unasked_ends(results),
        # A window near the end of a run may show the cut that belongs to it.
        "fault_kinds": tuple(dict.fromkeys([*found.names, *(s.name for s in found.end_of_run)])),
        "faults": found.injected,
        "injected": len(found.strikes),
        "struck": rows.counts,
        "faults_mean": doubts_mean(results),
        "node_marks": NODE_MARKS,
        "timeline_keys": KEYS,
        "node_changes": found.changes,
    }


def _beyond(insight: Insight, results: Results, history: History) -> dict[str, Any]:
    """What the page shows of an insight; empty parts are not shown."""
    simulation = insight.simulation
    inside: tuple[InsideView, ...] = ()
    if simulation is not None:
        inside = inside_views(simulation, results, history, count_max=ANOMALIES_MAX)
    return {
        "insight": insight,
        "inside": inside,
        "start": start_view(insight.start),
        "traffic": "" if simulation is None else sentence_of(simulation),
        "left_out": {},
        "curve": curve_of(insight.doom, history.duration_ns) if insight.doom else None,
    }


def _render(context: Mapping[str, Any]) -> str:
    insight = context["insight"]
    script = _script(is_simulated=insight.simulation is not None)
    styles = [each for each in STYLES if insight.explains or each.stem != "insight"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    values = {
        **context,
        "script": Markup(script),
        "script_digest": digest,
        "style": Markup("".join(style.read_text(encoding="utf-8") for style in styles)),
    }
    page = _environment().get_template("report.html").render(values)
    # Half a surrogate pair, which no file can hold, may come from a system under test.
    return page.encode(errors="replace").decode()


@cache
def _script(*, is_simulated: bool) -> str:
    used = [each for each in SCRIPTS if is_simulated or each.stem not in OF_SIMULATIONS]
    parts = "\n".join(script.read_text(encoding="utf-8") for script in used)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


@cache
def _environment() -> jinja2.Environment:
    return environment(
        PAGE,
        time=time_text,
        share=share_text,
        own_details=own_details,
        short_label=short_label,
        words=words,
        tidy=tidy,
    )
