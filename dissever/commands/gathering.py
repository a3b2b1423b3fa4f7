"""Runs that have ended, found where the reader says, each with what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from dissever.harness import store
from dissever.harness.history import History
from dissever.harness.reader import FormatError
from dissever.harness.results import Result, Verdict, merge
from dissever.judging import Judged, StaleResults, read_judged
from dissever.reports import Subject
from dissever.runs.index import paths_in

__all__ = ["judged_or_unknown", "runs_in"]


def runs_in(paths: tuple[Path, ...]) -> list[Path]:
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
    """The run that a path is, or those in the folder."""
    if (path / store.PLAN).exists():
        yield path
    elif path.is_dir():
        yield from (path / run for run in paths_in(path))


def judged_or_unknown(run: Path) -> Judged:
    """What was judged; where nothing was, the reason is the result."""
    try:
        return read_judged(run)
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
