"""What was found, in a few compact tables: one for each kind of anomaly, before explanations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dissever.harness.episodes import Episodes
from dissever.harness.history import Operation
from dissever.harness.results import Anomaly, Result, Wrong
from dissever.harness.values import listed, shorten, show
from dissever.reports.around import brief
from dissever.reports.crash_card import CrashCard
from dissever.reports.details import moment_of
from dissever.reports.labels import short_label, time_text
from dissever.reports.stuck_card import StuckCard
from dissever.reports.titles import counted_of, title_of
from dissever.reports.transaction_rows import (
    CHECKER,
    COLUMNS,
    again_note,
    causes_note,
    disagreement_cells,
    disagreement_note,
    is_disagreement,
    words_of,
)

ROWS_MAX: Final = 8
ROWS_OF_OTHERS_MAX: Final = 3
"""Of each kind after the first: the run must fit on a screen."""

CELL_CHARACTERS_MAX: Final = 140
TRANSACTIONS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Found:
    """
    An anomaly with what its row needs; `number` counts all anomalies from 1.

    `end` and `stuck` are None unless it is about the end of a process, or about the recovery.
    `said` is what the checker of logs found in the last words of a process that crashed.
    """

    number: int
    result: Result
    anomaly: Anomaly
    end: CrashCard | None = None
    stuck: StuckCard | None = None
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; `number` is that of the anomaly that it belongs to."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Headline:
    """
    A kind of anomaly: a title, and a table of the first; `more` counts what it leaves out.

    `note` says what the numbers count. `words` are those of the literature, with their meanings;
    each is told where it stands first.
    """

    title: str
    name: str
    numbers: tuple[int, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    more: int
    note: str = ""
    words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Table:
    """How the anomalies of one kind are told."""

    columns: tuple[str, ...]
    cells: Callable[[Found], list[tuple[str, ...]]]


def headlines(
    found: Sequence[Found], by_index: Mapping[int, Operation], faults: Episodes
) -> tuple[Headline, ...]:
    """One for each checker and name, in the order of the anomalies."""
    kinds: dict[tuple[str, str], list[Found]] = {}
    for each in found:
        kinds.setdefault((each.result.checker, each.anomaly.name), []).append(each)
    told: list[Headline] = []
    explained: set[str] = set()
    before: list[Anomaly] = []
    for place, some in enumerate(kinds.values()):
        rows_max = ROWS_OF_OTHERS_MAX if place else ROWS_MAX
        headline = _headline(some, by_index, faults, rows_max=rows_max)
        new = tuple(pair for pair in headline.words if pair[0] not in explained)
        explained |= {word for word, _ in new}
        anomalies = [each.anomaly for each in some if each.anomaly.cycle]
        again = again_note(anomalies, before) if anomalies else ""
        before += [each.anomaly for each in some]
        told.append(replace(headline, words=new, note=f"{headline.note} {again}".strip()))
    return tuple(told)


def _headline(
    some: list[Found],
    by_index: Mapping[int, Operation],
    faults: Episodes,
    *,
    rows_max: int,
) -> Headline:
    first = some[0]
    if first.end is not None:
        some = sorted(some, key=_ended)
    table = _table(first, by_index, faults)
    rows = [Row(each.number, cells) for each in some for cells in table.cells(each)]
    shown = [
        Row(row.number, tuple(shorten(cell, CELL_CHARACTERS_MAX) for cell in row.cells))
        for row in rows[:rows_max]
    ]
    filled = [place for place in range(len(table.columns)) if any(row.cells[place] for row in rows)]
    anomalies = [each.anomaly for each in some]
    # Of transactions a row is a cause, and says itself how many answers it made wrong.
    are_causes = first.result.checker == CHECKER
    wrong = 0 if are_causes else sum(each.wrong_count for each in anomalies)
    count = 0 if are_causes else counted_of(first.result, anomalies)
    return Headline(
        title=title_of(first.result, anomalies),
        name=first.anomaly.name,
        numbers=tuple(each.number for each in some),
        columns=tuple(table.columns[place] for place in filled),
        rows=tuple(Row(row.number, tuple(row.cells[place] for place in filled)) for row in shown),
        more=max(wrong, len(rows), count) - len(shown),
        note=_note(anomalies, first.result),
        words=words_of(anomalies) if are_causes or first.anomaly.cycle else (),
    )


def _note(anomalies: Sequence[Anomaly], result: Result) -> str:
    """What the numbers count, where a row is not one anomaly."""
    if is_disagreement(result.checker, anomalies[0]):
        return disagreement_note(anomalies, result)
    return causes_note(anomalies, result) if result.checker == CHECKER else ""


def _table(first: Found, by_index: Mapping[int, Operation], faults: Episodes) -> _Table:
    if first.end is not None:
        return _Table(
            ("Node", "Ended by", "At", "Its last words", "Fault in force", "What followed"),
            lambda each: [_crash(each.end)] if each.end else [],
        )
    if first.stuck is not None:
        return _Table(
            ("Waited for", "From", "For", "What was missing", "Nodes"),
            lambda each: [_stuck(each.stuck)] if each.stuck else [],
        )
    if is_disagreement(first.result.checker, first.anomaly):
        return _Table(COLUMNS, lambda each: [disagreement_cells(each.anomaly, by_index, faults)])
    if first.anomaly.wrong and first.result.checker != CHECKER:
        return _of_answers(first, by_index, faults)
    if first.anomaly.cycle:
        return _Table(
            ("Transactions", "Joined by", "Keys", "From", "Until", "Fault in force"),
            lambda each: [_cycle(each.anomaly, by_index, faults)],
        )
    return _Table(
        ("What", "Nodes", "From", "Until", "Fault in force", "Transactions"),
        lambda each: [(*_plain(each, by_index, faults), _times(each))],
    )


def _times(each: Found) -> str:
    """How many transactions show the same, of a cause that several show."""
    is_cause = each.result.checker == CHECKER and each.anomaly.wrong_count > 1
    return f"{each.anomaly.wrong_count:,}" if is_cause else ""


def _ended(each: Found) -> int:
    return 0 if each.end is None or each.end.end.time_ns is None else each.end.end.time_ns


def _crash(card: CrashCard) -> tuple[str, ...]:
    followed = card.followed[0] if card.followed else ""
    return (
        card.end.node,
        card.how,
        card.when,
        card.last_word or "none",
        card.faults_brief,
        followed,
    )


def _stuck(card: StuckCard) -> tuple[str, ...]:
    states: dict[str, list[str]] = {}
    some = [row for row in card.rows if row.is_odd or card.is_compared]
    for row in some or card.rows:
        states.setdefault(row.state, []).append(row.node)
    nodes = "; ".join(f"{', '.join(those)}: {state}" for state, those in states.items())
    return card.waited_for, card.since, card.waited, card.missing, nodes


def _plain(each: Found, by_index: Mapping[int, Operation], faults: Episodes) -> tuple[str, ...]:
    named = [by_index[index] for index in each.anomaly.indices if index in by_index]
    times = [event.time for operation in named for event in _events(operation)]
    if not times:
        return each.anomaly.summary, *_moment(each, faults)
    nodes = dict.fromkeys(each.invocation.node for each in named if each.invocation.node)
    return (
        each.anomaly.summary,
        listed(nodes),
        time_text(min(times)),
        time_text(max(times)),
        brief(faults, min(times), max(times)),
    )


def _moment(each: Found, faults: Episodes) -> tuple[str, str, str, str]:
    """The node, when, nothing and the faults, where a checker says when it saw an anomaly."""
    moment = moment_of(each.result, each.anomaly)
    if moment is None:
        return "", "", "", ""
    time_ns = moment.time_ns
    return moment.node, time_text(time_ns), "", brief(faults, time_ns, time_ns)


def _cycle(
    anomaly: Anomaly, by_index: Mapping[int, Operation], faults: Episodes
) -> tuple[str, ...]:
    """The transactions of a cycle, each by the event that began it, and why one follows another."""
    named = [by_index[edge.source] for edge in anomaly.cycle if edge.source in by_index]
    sources = [f"#{edge.source}" for edge in anomaly.cycle]
    shown = [*sources[:TRANSACTIONS_MAX], *(["…"] if len(sources) > TRANSACTIONS_MAX else [])]
    kinds = dict.fromkeys(edge.kind for edge in anomaly.cycle)
    keys = dict.fromkeys(show(edge.key) for edge in anomaly.cycle if edge.key is not None)
    spans = [_span(operation) for operation in named]
    start_ns = min((span[0] for span in spans), default=0)
    end_ns = max((span[1] for span in spans), default=0)
    return (
        " → ".join([*shown, sources[0]]),
        ", ".join(kinds),
        ", ".join(keys) or "none",
        time_text(start_ns),
        time_text(end_ns),
        brief(faults, start_ns, end_ns),
    )


def _of_answers(first: Found, by_index: Mapping[int, Operation], faults: Episodes) -> _Table:
    """The wrong answers, without the columns that are the same, or empty, for all of them."""
    checker, name = first.result.checker, first.anomaly.name
    value, against = VALUES.get(checker, _VALUE), AGAINST.get((checker, name), AGAINST.get(name))
    has_key = first.anomaly.key is not None
    has_expected = any(wrong.expected for wrong in first.anomaly.wrong)
    has_against = any(wrong.against is not None for wrong in first.anomaly.wrong)

    is_of_other = name in LOSSES and has_against

    def cells(each: Found) -> list[tuple[str, ...]]:
        return [_wrong(each.anomaly, wrong) for wrong in each.anomaly.wrong]

    def _wrong(anomaly: Anomaly, wrong: Wrong) -> tuple[str, ...]:
        operation = by_index.get(wrong.answer)
        other = None if wrong.against is None else by_index.get(wrong.against)
        return (
            *((show(anomaly.key),) if has_key else ()),
            *_who(operation),
            wrong.value,
            *((wrong.expected,) if has_expected else ()),
            *((_deed(other),) if has_against else ()),
            _fault_of(other if is_of_other else operation, faults),
        )

    return _Table(
        (
            *(("Key",) if has_key else ()),
            *("Read on" if is_of_other else "Node", "Asked at"),
            value,
            *(("Right would be",) if has_expected else ()),
            *((against or "Contradicted by",) if has_against else ()),
            "Fault when acknowledged" if is_of_other else "Fault in force",
        ),
        cells,
    )


_VALUE: Final = "Value read"
VALUES: Final[Mapping[str, str]] = {"set": "Element", "bank": "Total read"}
"""What the value of a wrong answer is, by the checker that found it."""

AGAINST: Final[Mapping[str | tuple[str, str], str]] = {
    ("set", "stale-read"): "Known before that by",
    "stale-read": "Overwritten before that by",
    "lost-write": "Overwritten before that by",
    "lost-update": "Also took that value",
    "lost": "Added by",
    "diverged": "Seen before by",
    "aborted-read": "Asked only by",
    "future-read": "First asked by",
    "duplicate-elements": "Added by",
}
"""What the operation that contradicts a wrong answer did, by the name of the anomaly alone, or of
the checker as well."""


LOSSES: Final = frozenset({"lost"})
"""Anomalies whose answer comes long after the harm: what was acknowledged went at once."""


def _fault_of(operation: Operation | None, faults: Episodes) -> str:
    return "" if operation is None else brief(faults, *_span(operation))


def _who(operation: Operation | None) -> tuple[str, str]:
    if operation is None:
        return "", ""
    node = operation.invocation.node or f"process {operation.process}"
    return node, time_text(operation.invocation.time)


def _deed(operation: Operation | None) -> str:
    """`process 17 on n3: write 31, acknowledged at 3.163 s`."""
    if operation is None:
        return ""
    end = operation.completion
    at = "never answered" if end is None else f"{_ENDS[end.type.value]} at {time_text(end.time)}"
    node = f" on {operation.invocation.node}" if operation.invocation.node else ""
    return f"process {operation.process}{node}: {short_label(operation)}, {at}"


_ENDS: Final = {"ok": "acknowledged", "fail": "failed", "info": "ended unknown"}


def _span(operation: Operation) -> tuple[int, int]:
    times = [event.time for event in _events(operation)]
    return min(times), max(times)


def _events(operation: Operation) -> list[Any]:
    return [event for event in (operation.invocation, operation.completion) if event is not None]
