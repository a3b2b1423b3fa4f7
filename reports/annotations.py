"""
Findings as annotations of GitHub Actions: `::error title=…::…`, one for each signature.

GitHub keeps ten annotations of a kind for each step and drops the rest silently, so the tenth says
how many more there are.
Source: GitHub Docs, "Workflow commands"; the escapes are those of actions/toolkit, command.ts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dissever.harness.values import count_text, printable, shorten
from dissever.reports.overview import Entry, Finding, Overview, by_signature

ANNOTATIONS_MAX: Final = 10
"""Of one kind, in one step."""

TITLE_CHARACTERS_MAX: Final = 120
MESSAGE_CHARACTERS_MAX: Final = 2_000
SEEDS_MAX: Final = 5

_FILE: Final = re.compile(r"(?!/)((?:(?!\.\.).)+\.(?:py|yaml|yml))(?::\w+)?")
"""A reference to a file inside the repository."""


def github_annotations(runs: Overview) -> tuple[str, ...]:
    """Lines for the log of a step; none if every run is valid."""
    found = by_signature(runs)
    room = ANNOTATIONS_MAX - (1 if runs.failed else 0)
    shown = found if len(found) <= room else found[: room - 1]
    lines = [_annotation(finding, entries, len(runs.runs)) for finding, entries in shown]
    if more := len(found) - len(shown):
        what = f"{count_text(more, 'more kind')} of findings stand in the summary of the job"
        lines.append(_command({"title": "dissever"}, what))
    if runs.failed:
        why = shorten(printable(runs.failed), MESSAGE_CHARACTERS_MAX)
        lines.append(_command({"title": "dissever: a run could not be made"}, why))
    return tuple(lines)


def _annotation(finding: Finding, entries: list[Entry], runs: int) -> str:
    first = entries[0]
    title = f"{finding.name}: {first.system}, {first.workload}"
    seeds = [str(entry.seed) for entry in entries if entry.seed is not None]
    shown = ", ".join([*seeds[:SEEDS_MAX], *(["…"] if len(seeds) > SEEDS_MAX else [])])
    lines = [shorten(printable(finding.summary), MESSAGE_CHARACTERS_MAX)]
    if runs > 1:
        lines.append(f"in {len(entries)} of {runs} runs, with the seeds {shown}")
    if first.repeat:
        lines.append(f"repeat: {shorten(printable(first.repeat), MESSAGE_CHARACTERS_MAX)}")
    place = _FILE.fullmatch(first.system)
    where = {"file": place[1], "line": "1"} if place else {}
    return _command(
        {**where, "title": shorten(printable(title), TITLE_CHARACTERS_MAX)}, "\n".join(lines)
    )


def _command(properties: Mapping[str, str], message: str) -> str:
    """One workflow command."""
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::error {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
