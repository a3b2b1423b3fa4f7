"""
Runs as Markdown, for the summary of a CI job: a table, then each kind of finding once.

GitHub drops a summary above 1 MiB, so everything here has a limit: rows, findings, characters.
Texts may come from the system under test. Each character of them that Markdown, HTML or GitHub
(`@name`, `$math$`, links) would read is written as its number.
Source: GitHub Docs, "Workflow commands", step isolation and limits; GFM, "Entity references".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dissever.harness.results import Verdict
from dissever.harness.values import count_text, printable, shorten
from dissever.reports.overview import Entry, Finding, Overview, by_signature
from dissever.reports.prose import ANOMALIES, DOES_NOT_MEAN, GLYPHS

BYTES_MAX: Final = 1_000_000
"""Of a summary. GitHub's limit for a step is 1 MiB."""

ROWS_MAX: Final = 100
FINDINGS_MAX: Final = 20
NAME_CHARACTERS_MAX: Final = 80
SENTENCE_CHARACTERS_MAX: Final = 400
PATH_CHARACTERS_MAX: Final = 300
COMMAND_CHARACTERS_MAX: Final = 1_000

_SPECIAL: Final = re.compile(r"[^\w\s,.\-+=%/'\"();?]|_|(?<=www)\.", re.ASCII | re.IGNORECASE)


def render_markdown(runs: Overview) -> str:
    """The summary, at most BYTES_MAX of UTF-8; worst runs first where not all fit."""
    return "\n".join([*_head(runs), "", *_table(runs), "", *_explained(runs)]).rstrip() + "\n"


def render_line(runs: Overview) -> str:
    """All in one line, for where there is no room for more."""
    return f"{_title(runs)}\n"


def _title(runs: Overview) -> str:
    counted = [
        f"{sum(entry.verdict is verdict for entry in runs.runs)} {verdict.word}"
        for verdict in (Verdict.INVALID, Verdict.UNKNOWN, Verdict.VALID)
        if any(entry.verdict is verdict for entry in runs.runs)
    ]
    what = f" ({', '.join(counted)})" if len(runs.runs) > 1 else ""
    return f"{GLYPHS[runs.verdict]} dissever: {runs.verdict.word}{what}"


def _head(runs: Overview) -> Iterator[str]:
    yield f"### {_title(runs)}"
    yield ""
    if runs.failed:
        yield f"A run could not be made: {_sentence(runs.failed)}"
        yield ""
    yield DOES_NOT_MEAN[runs.verdict] if runs.runs else "There was no run."


def _table(runs: Overview) -> Iterator[str]:
    if not runs.runs:
        return
    yield "| verdict | system | workload | faults | seed | ok / fail / info | strikes | found |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    worst_first = sorted(runs.runs, key=lambda entry: entry.verdict, reverse=True)
    for entry in worst_first[:ROWS_MAX]:
        yield f"| {' | '.join(_cells(entry))} |"
    if (more := len(runs.runs) - ROWS_MAX) > 0:
        yield ""
        yield f"{count_text(more, 'more run')} with no worse verdict."


def _cells(entry: Entry) -> Iterator[str]:
    yield f"{GLYPHS[entry.verdict]} {entry.verdict.word}"
    for text in (entry.system, entry.workload, ", ".join(entry.faults) or "none"):
        yield _escaped(shorten(text, NAME_CHARACTERS_MAX))
    yield "" if entry.seed is None else str(entry.seed)
    counts = entry.operations
    yield f"{counts.ok:,} / {counts.fail:,} / {counts.info:,}"
    yield str(entry.faults_injected)
    yield _escaped(shorten(entry.found, NAME_CHARACTERS_MAX))


def _explained(runs: Overview) -> Iterator[str]:
    """Each signature once, as the first run has it, with the command that repeats it."""
    found = by_signature(runs)
    for finding, entries in found[:FINDINGS_MAX]:
        yield from _finding(finding, entries, len(runs.runs))
    if (more := len(found) - FINDINGS_MAX) > 0:
        yield f"{count_text(more, 'more kind')} of findings stand in the reports of the runs."


def _finding(finding: Finding, entries: list[Entry], runs: int) -> Iterator[str]:
    first = entries[0]
    where = f" in {len(entries)} of {runs} runs" if runs > 1 else ""
    count = f", {finding.count:,} times" if finding.count > 1 else ""
    name, checker = (
        _escaped(shorten(text, NAME_CHARACTERS_MAX)) for text in (finding.name, finding.checker)
    )
    yield f"#### {GLYPHS[finding.verdict]} {name} ({checker}{count}){where}"
    yield ""
    yield _sentence(finding.summary)
    yield ""
    if meaning := ANOMALIES.get(finding.name):
        yield meaning
        yield ""
    for number, step in enumerate(finding.steps, 1):
        yield f"{number}. {_sentence(step)}"
    yield ""
    if first.page is not None:
        yield f"Report: {_code(first.page)}. To repeat the run:"
    else:
        yield f"Run directory: {_code(first.directory)}. To repeat the run:"
    yield ""
    yield from _block(first.repeat or "nobody knows the command")
    yield ""


def _sentence(text: str) -> str:
    return _escaped(shorten(text, SENTENCE_CHARACTERS_MAX))


def _escaped(text: str) -> str:
    """A text that stands for itself and on one line."""
    return _SPECIAL.sub(lambda found: _number(found[0]), printable(text))


def _number(character: str) -> str:
    return f"&#{ord(character)};" if character.isascii() else character


def _code(text: str) -> str:
    """A text as code inside a line."""
    return f"<code>{_escaped(shorten(text, PATH_CHARACTERS_MAX))}</code>"


def _block(text: str) -> Iterator[str]:
    """A text as a block of code, in a fence that it cannot close."""
    line = shorten(printable(text), COMMAND_CHARACTERS_MAX)
    longest = max((len(ticks) for ticks in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}sh"
    yield line
    yield fence
