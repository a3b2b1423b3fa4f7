"""The command `summary`: several runs together, for a CI server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from dissever.commands.options import SUMMARY
from dissever.commands.output import conclude, entry_of, say, tell
from dissever.harness import store
from dissever.harness.history import History, MalformedHistory
from dissever.harness.reader import FormatError
from dissever.harness.results import Result, Verdict, merge
from dissever.judging import Judged, StaleResults, read_judged
from dissever.reports import (
    Subject,
    junit_suite,
    overview,
    render_markdown,
    render_suites,
)


@click.command(short_help="Sum up several runs: Markdown, JSON, JUnit, annotations.")
@click.argument(
    "paths", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True, metavar="RUN…"
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON instead of Markdown.")
@SUMMARY
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write one JUnit file with a test suite for each run.",
)
def summary(
    paths: tuple[Path, ...], is_json: bool, summary: Path | None, junit: Path | None
) -> int:
    """
    Sum up runs that have ended: run directories, or folders that hold some.

    In GitHub Actions it also annotates the job, once for each kind of finding. The exit status is
    the greatest verdict of the runs. A run without results is unknown, with the reason.

    \b
    dissever summary runs
    dissever summary runs/mykv runs/simulated/set --junit junit.xml --summary summary.md
    dissever summary runs --json | jq -r '.runs[] | select(.verdict != "valid") | .repeat'
    """
    suites, entries = [], []
    for run in _runs(paths):
        judged = _judged(run)
        page = run / store.REPORT
        suites.append(
            junit_suite(
                judged.subject, judged.history, judged.results, str(page), counted=judged.figures
            )
        )
        entries.append(entry_of(judged, run, page if page.exists() else None))
    if not is_json:
        say(render_markdown(overview(entries)).rstrip())
    if junit is not None:
        try:
            store.write_text(junit, render_suites(suites))
        except OSError as error:
            tell(f"{junit} could not be written: {error.strerror or error}")
    return conclude(entries, is_json=is_json, summary=summary)


def _runs(paths: tuple[Path, ...]) -> list[Path]:
    """
    The run directories, each once, in the order in which they were started.

    Raises:
        click.ClickException: When a path holds no run.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        runs = list(_within(path))
        if not runs:
            what = f"expected a run directory with {store.PLAN}, or a folder of runs"
            raise click.ClickException(f"{path}: {what}, found neither")
        for run in runs:
            found.setdefault(run.resolve(), run)
    return sorted(found.values(), key=lambda run: run.resolve().name)


def _within(path: Path) -> Iterator[Path]:
    """Runs in a folder. What a node keeps inside of a run is none."""
    for folder, below, files in os.walk(path):
        if store.PLAN in files:
            yield Path(folder)
            below.clear()


def _judged(run: Path) -> Judged:
    """What was judged; where nothing was, the reason is the result."""
    try:
        return read_judged(run)
    except MalformedHistory as error:
        return _unknown(run, f"malformed: {error}")
    except FileNotFoundError as error:
        if not (run / store.HISTORY).exists():
            why = "the run did not start, or the file was removed"
            return _unknown(run, f"{store.HISTORY} is missing: {why}")
        missing = Path(error.filename or "").name
        return _unknown(run, f"not judged, {missing} is missing: `dissever check {run}` judges it")
    except (OSError, FormatError, StaleResults, store.BrokenFile) as error:
        return _unknown(run, str(error))


def _unknown(run: Path, why: str) -> Judged:
    result = Result(checker="run", verdict=Verdict.UNKNOWN, why=why)
    try:
        subject = Subject.of(store.read_plan(run))
    except (OSError, store.BrokenFile):  # The folders of a run have the names of what was tested.
        subject = Subject(system=run.parents[1].name, workload=run.parent.name, command="")
    return Judged(subject, History(), merge([result]))
