"""
Runs as Markdown for a pull request: the verdict first, and the rest folded.

GitHub refuses a comment of more than 65,536 characters. So the text is made of blocks, each with a
share of that, and each says what it leaves out. Findings and the table of runs are those of the
summary of a CI job (`reports/markdown.py`).
Source: GitHub's API, "body is too long (maximum is 65536 characters)".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dissever.harness.episodes import episodes_of
from dissever.harness.results import Verdict
from dissever.harness.values import count_text
from dissever.harness.windows import arounds
from dissever.reports.anomaly_view import findings, operations_by_index
from dissever.reports.details import arounds_of, counts_of_faults, unasked_ends
from dissever.reports.exports.record import Record
from dissever.reports.fault_table import FaultRow, fault_rows
from dissever.reports.gfm import escaped, header, name, sentence
from dissever.reports.headlines import headlines
from dissever.reports.labels import duration_text, time_text
from dissever.reports.markdown import HEADS, cells, heading, repeat, title, worst_first
from dissever.reports.meaning import does_not_mean, means, no_meaning_of
from dissever.reports.nearby import nearby
from dissever.reports.overview import Entry, Finding, Overview, by_signature, entry, overview
from dissever.reports.prose import ANOMALIES
from dissever.reports.told import told

CHARACTERS_MAX: Final = 65_000
"""GitHub allows 65,536; the rest is for those who add a line."""

RUNS_SHARE: Final = 16_000
FINDING_SHARE: Final = 6_000
FAULTS_SHARE: Final = 16_000
ENDING_CHARACTERS: Final = 200
"""Kept free for the sentence that says what does not fit."""

FAULT_HEADS: Final = (
    *("time", "fault", "struck", "in force", "held", "healed"),
    *("ok before → during → after", "first ok after", "to know"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """
    Lines that stand together. `rows` may be cut, and then `what` names one that is left out.

    `characters_max` is its share of the whole.
    """

    head: Sequence[str]
    rows: Sequence[str] = ()
    foot: Sequence[str] = ()
    what: str = "row"
    characters_max: int = CHARACTERS_MAX

    def text(self, room: int) -> str | None:
        """What fits of it; None if not even its frame and one row do."""
        frame = _size([*self.head, *self.foot]) + ENDING_CHARACTERS
        room = min(room, self.characters_max) - frame
        kept: list[str] = []
        for row in self.rows:
            room -= len(row) + 1
            if room < 0:
                break
            kept.append(row)
        if room < 0 and not kept:
            return None
        left = len(self.rows) - len(kept)
        more = [f"\n{count_text(left, f'more {self.what}')} left out."] if left else []
        return "\n".join([*self.head, *kept, *more, *self.foot])


def write_markdown(records: Sequence[Record]) -> Iterator[bytes]:
    """A comment about any number of runs."""
    yield render(records).encode("utf-8", "replace")


def render(records: Sequence[Record]) -> str:
    """At most CHARACTERS_MAX characters."""
    entries = [_entry(record) for record in records]
    runs = overview(entries)
    parts: list[str] = []
    room = CHARACTERS_MAX - ENDING_CHARACTERS
    left = 0
    for block in _blocks(runs, list(zip(entries, records, strict=True))):
        text = block.text(room)
        if text is None:
            left += 1
            continue
        parts.append(text)
        room -= len(text) + 2
    if left:
        parts.append(f"{count_text(left, 'more section')} did not fit into one comment.")
    return "\n\n".join(parts) + "\n"


def _entry(record: Record) -> Entry:
    assert record.results is not None  # Of a run that was not judged, the reason is the result.
    return entry(
        record.subject,
        record.history,
        record.results,
        record.counted,
        directory=record.directory,
        page=record.page,
        program=record.program,
    )


def _blocks(runs: Overview, made: Sequence[tuple[Entry, Record]]) -> Iterator[Block]:
    yield Block([f"### {title(runs)}"])
    alone = made[0][1] if len(made) == 1 else None
    results = None if alone is None else alone.results
    if results is not None and results.verdict is not Verdict.UNKNOWN:
        yield Block([means(results)])  # Why it is unknown, each finding says.
    rows = [f"| {' | '.join(cells(each))} |" for each in worst_first(runs)]
    yield Block([*header(HEADS)], rows, what="run", characters_max=RUNS_SHARE)
    tables = {} if alone is None else _tables(alone)
    apart = None if results is None else {(each.checker, one.name) for each, one in told(results)}
    for finding, entries in by_signature(runs):
        is_named = finding.verdict is Verdict.INVALID and apart
        if is_named and (finding.checker, finding.name) not in is_named:
            continue  # The crash tells it.
        table = tables.pop((finding.checker, finding.name), None)
        if table is not None:
            yield Block([heading(finding, entries, 1)])
            yield table
        yield _finding(finding, entries, len(runs.runs), is_headed=table is not None)
    for each, record in made:
        yield from _faults(record, "" if alone else f" of {name(each.directory)}")
    if alone:
        yield Block([*repeat(runs.runs[0])])
    yield Block([no_meaning_of(runs) if results is None else does_not_mean(results)])


def _tables(record: Record) -> dict[tuple[str, str], Block]:
    """Checker and name of a kind of anomaly -> its first ones, a row each."""
    history, results = record.history, record.results
    assert results is not None
    faults = episodes_of(history, record.subject.actions)
    found_all = findings(results, history, faults, nodes=record.subject.nodes)
    checkers = {each.number: each.result.checker for each in found_all}
    by_index = operations_by_index(nearby(history, results)) if found_all else {}
    found: dict[tuple[str, str], Block] = {}
    for each in headlines(found_all, by_index, faults):
        more = ["", count_text(each.more, "more row") + " in the report."] if each.more > 0 else []
        found[checkers[each.numbers[0]], each.name] = Block(
            [f"**{sentence(each.title)}**", "", *header([escaped(one) for one in each.columns])],
            [f"| {' | '.join(escaped(cell) for cell in row.cells)} |" for row in each.rows],
            more,
            characters_max=FINDING_SHARE,
        )
    return found


def _finding(
    finding: Finding, entries: list[Entry], runs: int, *, is_headed: bool = False
) -> Block:
    """
    What was found is in sight; why it is wrong, and of several runs which, is folded.

    Args:
        is_headed: Its name, and what was found, stand above already.
    """
    meaning = ANOMALIES.get(finding.name)
    steps = [f"{number}. {sentence(step)}" for number, step in enumerate(finding.steps, 1)]
    summary = [sentence(finding.summary), ""]
    head = [] if is_headed else [heading(finding, entries, runs), "", *summary]
    folded = [*(summary if is_headed else []), *([meaning, ""] if meaning else [])]
    foot = ["", *repeat(entries[0])] if runs > 1 else []
    if steps or folded or foot:
        head += ["<details><summary>Why that is wrong</summary>", "", *folded]
        foot += ["", "</details>"]
    return Block(head, steps, foot, what="step", characters_max=FINDING_SHARE)


def _faults(record: Record, whose: str) -> Iterator[Block]:
    """A row for each strike, those that need a look first."""
    assert record.results is not None
    history, results = record.history, record.results
    found = episodes_of(history, record.subject.actions)
    measured = arounds_of(results)
    if not measured and record.counted is None and history.is_timed:
        measured = arounds(history.columns, found, end_ns=history.duration_ns)
    rows = fault_rows(found, measured, counts_of_faults(results), ends=unasked_ends(results))
    strikes = rows.strikes
    if not strikes:
        return
    flagged, left = (
        sum(row.is_flagged for row in strikes),
        sum(not row.is_strike for row in strikes),
    )
    proven = ", each seen to hold and to heal" if len(strikes) > left else ""
    look = f", {flagged} to look at" if flagged else proven
    left_out = f", {left} more left out" if left else ""
    summary = f"{count_text(len(strikes) - left, 'fault')}{whose}{look}{left_out}"
    head = [f"<details><summary>{summary}</summary>", "", *header(FAULT_HEADS)]
    lines = [f"| {' | '.join(_fault_cells(row))} |" for row in strikes]
    yield Block(head, lines, ["", "</details>"], what="fault", characters_max=FAULTS_SHARE)


def _fault_cells(row: FaultRow) -> Iterator[str]:
    """In the order of FAULT_HEADS."""
    yield time_text(row.asked_ns)
    yield name(row.fault)
    yield name(", ".join(row.targets) or row.skipped or "nobody")
    yield "" if row.duration_ns is None else duration_text(row.duration_ns)
    for badge in (row.held, row.healed):
        yield "" if badge is None else f"{badge.mark} {badge.text}"
    yield row.shares
    first_ok_ns = row.around.first_ok_ns
    yield "" if first_ok_ns is None else duration_text(first_ok_ns)
    yield sentence("; ".join((*row.doubts, *row.ended)))


def _size(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)
