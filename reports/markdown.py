"""
Runs as Markdown, for the summary of a CI job: a table, then each kind of finding once.

GitHub drops a summary above 1 MiB, so everything here has a limit: rows, findings, characters.
Source: GitHub Docs, "Workflow commands", step isolation and limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dissever.harness.results import Verdict
from dissever.harness.values import count_text
from dissever.reports.gfm import block, code, header, name, sentence
from dissever.reports.meaning import no_meaning_of
from dissever.reports.overview import Entry, Finding, Overview, by_signature
from dissever.reports.prose import ANOMALIES

BYTES_MAX: Final = 1_000_000
"""Of a summary. GitHub's limit for a step is 1 MiB."""

ROWS_MAX: Final = 100
FINDINGS_MAX: Final = 20

HEADS: Final = (
    *("verdict", "system", "workload", "faults"),
    *("seed", "ok / fail / info", "strikes", "found"),
)


def render_markdown(runs: Overview) -> str:
    """The summary, at most BYTES_MAX of UTF-8; worst runs first where not all fit."""
    return "\n".join([*_head(runs), "", *_table(runs), "", *_explained(runs)]).rstrip() + "\n"


def render_line(runs: Overview) -> str:
    """All in one line, for where there is no room for more."""
    return f"{title(runs)}\n"


def title(runs: Overview) -> str:
    """The verdict, and of several runs how many have which."""
    counted = [
        f"{sum(entry.verdict is verdict for entry in runs.runs)} {verdict.word}"
        for verdict in (Verdict.INVALID, Verdict.UNKNOWN, Verdict.VALID)
        if any(entry.verdict is verdict for entry in runs.runs)
    ]
    what = f" ({', '.join(counted)})" if len(runs.runs) > 1 else ""
    return f"{runs.verdict.glyph} dissever: {runs.verdict.word}{what}"


def _head(runs: Overview) -> Iterator[str]:
    yield f"### {title(runs)}"
    yield ""
    if runs.failed:
        yield f"A run could not be made: {sentence(runs.failed)}"
        yield ""
    yield no_meaning_of(runs) if runs.runs else "There was no run."


def _table(runs: Overview) -> Iterator[str]:
    if not runs.runs:
        return
    yield from header(HEADS)
    for entry in worst_first(runs)[:ROWS_MAX]:
        yield f"| {' | '.join(cells(entry))} |"
    if (more := len(runs.runs) - ROWS_MAX) > 0:
        yield ""
        yield f"{count_text(more, 'more run')} with no worse verdict."


def cells(entry: Entry) -> Iterator[str]:
    """A row of the table, in the order of HEADS."""
    yield f"{entry.verdict.glyph} {entry.verdict.word}"
    for text in (entry.system, entry.workload, ", ".join(entry.faults) or "none"):
        yield name(text)
    yield "" if entry.seed is None else str(entry.seed)
    counts = entry.operations
    yield f"{counts.ok:,} / {counts.fail:,} / {counts.info:,}"
    yield str(entry.faults_injected)
    yield name(entry.found)


def worst_first(runs: Overview) -> list[Entry]:
    """The runs, those with the greatest verdict before the others."""
    return sorted(runs.runs, key=lambda entry: entry.verdict, reverse=True)


def _explained(runs: Overview) -> Iterator[str]:
    """Each signature once, as the first run has it, with the command that repeats it."""
    found = by_signature(runs)
    for finding, entries in found[:FINDINGS_MAX]:
        yield from _finding(finding, entries, len(runs.runs))
    if (more := len(found) - FINDINGS_MAX) > 0:
        yield f"{count_text(more, 'more kind')} of findings stand in the reports of the runs."


def heading(finding: Finding, entries: list[Entry], runs: int) -> str:
    """A finding by name, with how often it was found."""
    where = f" in {len(entries)} of {runs} runs" if runs > 1 else ""
    count = f", {finding.count:,} times" if finding.count > 1 else ""
    what, checker = name(finding.name), name(finding.checker)
    return f"#### {finding.verdict.glyph} {what} ({checker}{count}){where}"


def _finding(finding: Finding, entries: list[Entry], runs: int) -> Iterator[str]:
    first = entries[0]
    yield heading(finding, entries, runs)
    yield ""
    yield sentence(finding.summary)
    yield ""
    if meaning := ANOMALIES.get(finding.name):
        yield meaning
        yield ""
    for number, step in enumerate(finding.steps, 1):
        yield f"{number}. {sentence(step)}"
    yield ""
    yield from repeat(first)
    yield ""


def repeat(entry: Entry) -> Iterator[str]:
    """Where a run is, and the command that repeats it."""
    if entry.page is not None:
        yield f"Report: {code(entry.page)}. To repeat the run:"
    else:
        yield f"Run directory: {code(entry.directory)}. To repeat the run:"
    yield ""
    yield from block(entry.repeat or "nobody knows the command")
