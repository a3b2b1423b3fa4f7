"""The last lines of a run on the terminal: what was found, why, and how to see it again."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.text import Text

from dissever.harness.episodes import Episodes, episodes_of
from dissever.harness.history import History, Operation
from dissever.harness.results import Order, Results, Verdict
from dissever.harness.values import LISTED_MAX, count_text, listed, printable, shorten
from dissever.reports.anomaly_view import (
    AnomalyView,
    StepView,
    anomaly_views,
    findings,
    main_order,
    operations_by_index,
)
from dissever.reports.crash_card import CrashCard
from dissever.reports.cycle import models_text
from dissever.reports.details import UnaskedEnd, counts_of_run, unasked_ends
from dissever.reports.fault_table import fault_rows
from dissever.reports.figures import Figures, figures_of
from dissever.reports.headlines import Found, headlines
from dissever.reports.labels import duration_text, short_label, time_text
from dissever.reports.meaning import does_not_mean, doubts_mean, means
from dissever.reports.stuck_card import StuckCard
from dissever.reports.subject import Subject

STEPS_MAX = 6
STEP_OPERATIONS_MAX = 3
WORDS_MAX = 3
HEADLINES_MAX = 3
ORDER_OPERATIONS_MAX = 6
WIDTH = 100

COLOURS = {
    Verdict.VALID: "bold green",
    Verdict.UNKNOWN: "bold yellow",
    Verdict.INVALID: "bold red",
}


def summary(
    subject: Subject,
    history: History,
    results: Results,
    report: Path | None,
    counted: Figures | None = None,
    *,
    run: Path | None = None,
    program: str = "dissever",
) -> Text:
    """
    What closes a run; the first line holds the verdict.

    Args:
        report: The HTML page, or None when none was written.
        counted: Of the whole history, where `history` is a part of it.
        run: The run directory that was judged; None for a history file.
        program: What the reader types to start dissever.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    lines = [*_lines(subject, history, results, counted), ""]
    lines += [] if report is None else [f"  report  {report}"]
    if subject.command:
        lines.append(f"  repeat  {subject.repeat(program)}")
    if run is not None:
        place = shlex.quote(str(run))
        lines.append(f"  check   {program} check {place}")
        lines.append(f"  replay  {program} replay {place}")
        if results.verdict is Verdict.INVALID:
            lines.append(f"  shrink  {program} shrink {place}")
    text = Text("\n".join(map(printable, lines)))
    text.highlight_regex(r"^\S+ [A-Z]+", COLOURS[results.verdict])
    text.highlight_regex(r"(?m)^  (report|repeat|check|replay|shrink)", "dim")
    return text


def _lines(
    subject: Subject, history: History, results: Results, counted: Figures | None
) -> Iterator[str]:
    found = episodes_of(history, subject.actions)
    yield f"{results.verdict.glyph} {results.verdict.word.upper()}"
    told = findings(results, history, found, nodes=subject.nodes)
    yield from _found_lines(told, history, results, found)
    yield f"  {_counts(history, counted)}"
    yield from _wrapped(_faults(found, unasked_ends(results)), indent="    ", first="  ")
    if mean := doubts_mean(results):
        yield from _wrapped(mean, indent="  ")
    if (counts := counts_of_run(results)) is not None:
        numbers = ", ".join(f"{count:,}" for count in counts)
        yield f"  ok before the first fault, under faults, after the last: {numbers}"
    for result in results.results:
        yield from _wrapped(models_text(result.details), indent="  ")
    # A crash is an anomaly, and the first one is explained as such.
    ends = [end.what for end in unasked_ends(results) if not end.why][1:]
    ends += [f"{end.what}: {end.why}" for end in unasked_ends(results) if end.why]
    for text in ends[:LISTED_MAX]:
        yield from _wrapped(text, indent="  ")
    if len(ends) > LISTED_MAX:
        yield f"  {count_text(len(ends) - LISTED_MAX, 'more end')} of processes in the report"
    if results.signature:
        yield f"  signature: {results.signature} (equal for runs that fail in the same way)"
    yield ""
    for view in anomaly_views(told[:1], history, found):
        yield from _explanation(view, operations_by_index(history))
    count = len(told)
    if not count:
        yield from _wrapped(does_not_mean(results), indent="  ")
    elif count > 1:
        yield f"  {count_text(count - 1, 'more anomaly')} in the report."


def _found_lines(
    told: Sequence[Found], history: History, results: Results, found: Episodes
) -> Iterator[str]:
    """What an invalid run means, and each kind of anomaly in one line; else the reason."""
    kinds = headlines(told, operations_by_index(history), found) if told else ()
    if not kinds:
        yield from _wrapped(results.why, indent="  ")
        return
    yield from _wrapped(means(results), indent="  ")
    for headline in kinds[:HEADLINES_MAX]:
        is_named = headline.title.startswith(headline.name)
        name = "" if is_named else f" ({headline.name})"
        yield from _wrapped(f"{headline.title}{name}", indent="    ", first="  - ")
    if (more := len(kinds) - HEADLINES_MAX) > 0:
        yield f"  - {count_text(more, 'more kind')} of anomalies"


def _counts(history: History, counted: Figures | None) -> str:
    found = counted or figures_of(history)
    counts = (
        f"{count_text(found.total, 'operation')} in {duration_text(history.duration_ns)}: "
        f"{found.ok:,} ok, {found.fail:,} fail, {found.info:,} info"
    )
    if found.silence_ns is None:
        return counts
    return f"{counts}; longest time without an ok {duration_text(found.silence_ns)}"


def _faults(found: Episodes, ends: Sequence[UnaskedEnd]) -> str:
    if not found.strikes:
        left_out = (f"{len(found.skipped)} left out",) if found.skipped else ()
        return ", ".join(("no fault was injected", *left_out))
    injected = count_text(len(found.strikes), "fault")
    counts = ", ".join(fault_rows(found, ends=ends).counts)
    return f"{injected} injected ({listed(found.injected)}): {counts}"


def _explanation(view: AnomalyView, by_index: Mapping[int, Operation]) -> Iterator[str]:
    anomaly = view.anomaly
    key = "" if anomaly.key is None else f" (key {anomaly.key})"
    yield from _wrapped(f"{anomaly.name}{key}: {anomaly.summary}", indent="  ")
    yield from _wrapped(view.meaning, indent="  ")
    if view.crash is not None:
        yield from _crash(view.crash)
    elif view.stuck is not None:
        yield from _stuck(view.stuck)
    else:
        yield from _steps(view.steps)
    if (order := main_order(anomaly)) is not None:
        yield from _wrapped(_order(order, by_index), indent="  ")
    yield from _wrapped(anomaly.confirmation, indent="  ")
    if view.meanwhile:
        yield from _wrapped(
            f"faults in force meanwhile: {listed(view.meanwhile, '; ')}", indent="  "
        )


def _steps(steps: Sequence[StepView]) -> Iterator[str]:
    for number, step in enumerate(steps[:STEPS_MAX], 1):
        yield from _wrapped(f"{number}. {step.text}", indent="     ", first="  ")
        yield from _operations(step.chips)
    if (more := len(steps) - STEPS_MAX) > 0:
        yield f"  {count_text(more, 'more step')} in the report"


def _crash(card: CrashCard) -> Iterator[str]:
    """What the process said last, from the line that was fatal, and what followed."""
    fatal, words = card.end.fatal, card.end.words
    words = words[-WORDS_MAX:] if fatal is None else words[fatal : fatal + WORDS_MAX]
    if words:
        yield f"  its last words ({card.end.log}):"
        yield from (f"    {shorten(word, WIDTH - 4)}" for word in words)
    yield from _wrapped(f"faults in force: {listed(card.faults, '; ') or 'none'}", indent="  ")
    yield from _wrapped(" ".join(card.followed), indent="  ")


def _stuck(card: StuckCard) -> Iterator[str]:
    """The nodes that stand out, each with what had happened to it."""
    odd = [row for row in card.rows if row.is_odd]
    for row in odd[:STEPS_MAX]:
        before = f"; before that: {listed(row.before, '; ')}" if row.before else ""
        yield from _wrapped(f"{row.node}: {row.state}{before}", indent="      ", first="    ")


def _order(order: Order, by_index: Mapping[int, Operation]) -> str:
    """How far an order gets, in one sentence."""

    def name(index: int) -> str:
        return short_label(by_index[index]) if index in by_index else f"#{index}"

    last = [*zip(order.indices, order.states, strict=True)][-ORDER_OPERATIONS_MAX:]
    left_out = order.left_out + len(order.indices) - len(last)
    places = [f"{name(index)} (then {state})" for index, state in last]
    earlier = [f"… {left_out} earlier"] if left_out else []
    reach = f"the longest order gets to: {', '.join([*earlier, *places]) or 'nothing at all'}"
    if order.blocked is None:
        return reach
    if order.blocked in order.refused:
        return f"{reach}; {name(order.blocked)} cannot follow: it holds {order.holds}"
    return f"{reach}; {name(order.blocked)} had to come by then, and nothing leads there"


def _operations(operations: Sequence[Operation]) -> Iterator[str]:
    for operation in operations[:STEP_OPERATIONS_MAX]:
        invocation = operation.invocation
        where = f" on {invocation.node}" if invocation.node else ""
        yield (
            f"       #{invocation.index} {time_text(invocation.time)}"
            f"  process {operation.process}{where}: {short_label(operation)}"
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
