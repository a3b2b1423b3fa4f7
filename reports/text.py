"""The last lines of a run on the terminal: what was found, why, and how to see it again."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.text import Text

from dissever.harness.history import History, Operation
from dissever.harness.plan import Plan
from dissever.harness.results import Anomaly, Order, Results, Verdict
from dissever.reports.anomaly_view import LINK_CHARACTERS_MAX
from dissever.reports.bands import pair_faults
from dissever.reports.fault_table import fault_rows
from dissever.reports.figures import Figures, figures
from dissever.reports.labels import count_text, duration_text, label, shorten, time_text
from dissever.reports.meanwhile import meanwhile
from dissever.reports.orders import main_order
from dissever.reports.prose import ANOMALIES, DOES_NOT_MEAN, GLYPHS

STEP_OPERATIONS_MAX = 6
ORDER_OPERATIONS_MAX = 6
WIDTH = 100

COLOURS = {
    Verdict.VALID: "bold green",
    Verdict.UNKNOWN: "bold yellow",
    Verdict.INVALID: "bold red",
}


def summary(
    plan: Plan,
    history: History,
    results: Results,
    report: Path | None,
    counted: Figures | None = None,
) -> Text:
    """
    What closes a run; the first line holds the verdict.

    Args:
        report: The HTML page in its run directory, or None when nothing was written.
        counted: Of the whole history, where `history` is a part of it.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    text = Text("\n".join(_lines(plan, history, results, report, counted)))
    text.highlight_regex(r"^\S+ [A-Z]+", COLOURS[results.verdict])
    text.highlight_regex(r"(?m)^  (report|repeat|check)", "dim")
    return text


def _lines(
    plan: Plan,
    history: History,
    results: Results,
    report: Path | None,
    counted: Figures | None,
) -> Iterator[str]:
    yield f"{GLYPHS[results.verdict]} {results.verdict.word.upper()}"
    yield from _wrapped(results.why, indent="  ")
    yield f"  {_counts(history, counted)}"
    yield f"  {_faults(history)}"
    yield ""
    anomalies = [anomaly for result in results.results for anomaly in result.anomalies]
    if anomalies:
        yield from _explanation(anomalies[0], history)
        if len(anomalies) > 1:
            yield f"  {count_text(len(anomalies) - 1, 'more anomaly')} in the report."
    else:
        yield from _wrapped(DOES_NOT_MEAN[results.verdict], indent="  ")
    yield ""
    if report is not None:
        yield f"  report  {report}"
    if plan.command:
        yield f"  repeat  {plan.command}"
    if report is not None:
        yield f"  check   dissever check {shlex.quote(str(report.parent))}"


def _counts(history: History, counted: Figures | None) -> str:
    found = counted or figures(history.operations, end_ns=history.duration_ns)
    told = (
        f"{count_text(found.total, 'operation')} in {duration_text(history.duration_ns)}: "
        f"{found.ok:,} ok, {found.fail:,} fail, {found.info:,} info"
    )
    if found.silence_ns is None:
        return told
    return f"{told}; longest time without an ok {duration_text(found.silence_ns)}"


def _faults(history: History) -> str:
    rows = fault_rows(pair_faults(history.faults, end_ns=history.duration_ns), ())
    injected = [row for row in rows if not row.is_mark]
    if not injected:
        return "no fault was injected"
    proven = sum(1 for row in injected if row.is_proven)
    kinds = ", ".join(dict.fromkeys(row.fault for row in injected))
    return f"{count_text(len(injected), 'fault')} injected ({kinds}), {proven} with evidence"


def _explanation(anomaly: Anomaly, history: History) -> Iterator[str]:
    key = "" if anomaly.key is None else f" (key {anomaly.key})"
    yield from _wrapped(f"{anomaly.name}{key}: {anomaly.summary}", indent="  ")
    if anomaly.name in ANOMALIES:
        yield from _wrapped(ANOMALIES[anomaly.name], indent="  ")
    by_index = {
        index: operation
        for operation in (*history.operations, *history.faults)
        for index in operation.indices
    }
    for number, step in enumerate(anomaly.steps, 1):
        yield from _wrapped(f"{number}. {step.text}", indent="     ", first="  ")
        named = {
            by_index[index].invocation.index: by_index[index]
            for index in step.indices
            if index in by_index
        }
        yield from _operations(list(named.values()))
    if (order := main_order(anomaly)) is not None:
        yield from _wrapped(_told(order, by_index), indent="  ")
    if anomaly.confirmation:
        yield from _wrapped(anomaly.confirmation, indent="  ")
    faults = pair_faults(history.faults, end_ns=history.duration_ns)
    if in_force := meanwhile(anomaly, by_index, faults):
        yield from _wrapped(f"faults in force meanwhile: {'; '.join(in_force)}", indent="  ")


def _told(order: Order, by_index: Mapping[int, Operation]) -> str:
    """How far an order gets, in one sentence."""

    def name(index: int) -> str:
        operation = by_index.get(index)
        return shorten(label(operation), LINK_CHARACTERS_MAX) if operation else f"#{index}"

    last = [*zip(order.indices, order.states, strict=True)][-ORDER_OPERATIONS_MAX:]
    left_out = order.left_out + len(order.indices) - len(last)
    places = [f"{name(index)} (then {state})" for index, state in last]
    earlier = [f"… {left_out} earlier"] if left_out else []
    told = f"the longest order gets to: {', '.join([*earlier, *places]) or 'nothing at all'}"
    if order.blocked is None:
        return told
    if order.blocked in order.refused:
        return f"{told}; {name(order.blocked)} cannot follow: it holds {order.holds}"
    return f"{told}; {name(order.blocked)} had to come by then, and nothing leads there"


def _operations(operations: Sequence[Operation]) -> Iterator[str]:
    for operation in operations[:STEP_OPERATIONS_MAX]:
        invocation = operation.invocation
        where = f" on {invocation.node}" if invocation.node else ""
        yield (
            f"       #{invocation.index} {time_text(invocation.time)}"
            f"  process {operation.process}{where}:"
            f" {shorten(label(operation), LINK_CHARACTERS_MAX)}"
        )
    if len(operations) > STEP_OPERATIONS_MAX:
        yield f"       and {len(operations) - STEP_OPERATIONS_MAX} more"


def _wrapped(text: str, *, indent: str, first: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
