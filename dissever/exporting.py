"""
What `dissever export` writes: the records of runs and of history files.

A format that holds a history gets all of it, at every size; the results are those that were written
when the run was judged. Nothing is judged here.
"""

from __future__ import annotations

from pathlib import Path

from dissever import __version__
from dissever.harness import store
from dissever.harness.plan import host_versions
from dissever.harness.reader import Loaded, read_history
from dissever.harness.results import Results
from dissever.judging import Judged
from dissever.recorded import described
from dissever.reports import Subject
from dissever.reports.exports import Record

__all__ = ["record_of_file", "record_of_judged", "record_of_run"]


def record_of_run(run: Path) -> tuple[Record, tuple[str, ...]]:
    """
    A run directory with its whole history, and notes on what was changed in it.

    Raises:
        OSError: When the plan or the history is missing.
        MalformedHistory: When no run can have recorded the history.
        FormatError, BrokenFile: When a file holds something else.
    """
    subject = Subject.of(store.read_plan(run))
    digest = store.digest(run / store.HISTORY)
    loaded = read_history(run / store.HISTORY)
    results, why = _results(run, digest)
    record = Record(subject, loaded.history, results, digest, why, directory=str(run))
    return record, loaded.notes


def record_of_file(path: Path) -> tuple[Record, tuple[str, ...]]:
    """
    A history file, which has no results.

    Raises:
        OSError, MalformedHistory, FormatError: As `record_of_run`.
    """
    loaded = read_history(path)
    subject = Subject(
        system=path.name,
        workload="a recorded history",
        command="",
        versions={"dissever": __version__, **host_versions()},
    )
    record = Record(
        described(subject, loaded),
        loaded.history,
        None,
        store.digest(path),
        "a history file has no results",
        directory=str(path),
    )
    return record, _notes_of_file(loaded)


def record_of_judged(judged: Judged, run: Path, program: str) -> Record:
    """A run of which the results count, not the whole history."""
    page = run / store.REPORT
    return Record(
        judged.subject,
        judged.history,
        judged.results,
        judged.results.history_sha256,
        counted=judged.figures,
        directory=str(run),
        page=str(page) if page.exists() else None,
        program=program,
    )


def _results(run: Path, digest: str) -> tuple[Results | None, str]:
    """What was judged; None, and why, where nothing was, or another history."""
    try:
        results = store.read_results(run)
    except FileNotFoundError:
        return None, f"the run was not judged: `dissever check {run}` judges it"
    if results.history_sha256 != digest:
        return None, f"{store.RESULTS} does not belong to this {store.HISTORY}"
    return results, ""


def _notes_of_file(loaded: Loaded) -> tuple[str, ...]:
    untimed = "" if loaded.history.is_timed else "times of the export are positions in the file"
    return tuple(filter(None, (*loaded.notes, untimed)))
