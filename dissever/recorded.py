"""
A history file from anywhere, judged as one model: the verdict, and what a page about it needs.

The content of the file decides its format, not its name. There is no run behind it, so the plan of
the page says what was checked: the file, the model, and how many clients were at work at a time.
Everything is judged, at every size. Past `WHOLE_OPERATIONS_MAX` the page draws the operations that
matter and a sample of the others, and says so.
"""

from __future__ import annotations

import shlex
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dissever import __version__
from dissever.checkers import Linearizable
from dissever.checkers.models import MODELS
from dissever.harness.history import History, MalformedHistory
from dissever.harness.plan import Options, Plan, host_versions
from dissever.harness.reader import Loaded, read_history
from dissever.harness.results import Budget, Result, Results, Verdict, merge
from dissever.native.columns import FAIL, INFO, OK, Columns
from dissever.reports import Figures, figures, named_indices, render_html

WHOLE_OPERATIONS_MAX: Final = 150_000
SAMPLE_MAX: Final = 20_000
"""How many operations are drawn of a file that is too large to be drawn whole."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """
    What came of a file.

    `history` is what a page draws: everything, or of a large file a part, and then `figures` count
    the whole. It is empty when nothing was judged, and the results say why. `notes` say what was
    left out or made up.
    """

    plan: Plan
    history: History
    results: Results
    notes: tuple[str, ...]
    figures: Figures | None = None


def judge_file(
    path: Path,
    model: str,
    *,
    keyed: bool = False,
    budget: Budget | None = None,
    progress: Progress = lambda _: None,
) -> Judged:
    """
    Read a file and judge each key as an object of the model. Ctrl-C leaves what was not judged
    unknown; so is a history that no run can have recorded.

    Args:
        model: A name in MODELS.
        keyed: Values of clients are pairs [key value] of many independent objects.
        progress: Hears what begins.

    Raises:
        OSError: When the file cannot be read.
        FormatError: When it is no history.
    """
    progress(f"reading {path.stat().st_size / 1e6:,.1f} MB")
    words = ["dissever", "check", str(path), "--model", model, *(["--keyed"] if keyed else [])]
    command = shlex.join(words)
    try:
        loaded = read_history(path, keyed=keyed)
        progress(f"judging {len(loaded.history):,} events")
        result = Linearizable(MODELS[model])(loaded.history, budget or Budget())
    except MalformedHistory as error:
        return _unjudged(path, model, command, f"malformed: {error}")
    except KeyboardInterrupt:
        why = "interrupted: stopped before anything was judged"
        return _unjudged(path, model, command, why)
    history, counted = _drawn(loaded.history, merge([result]))
    notes = loaded.notes
    if counted is not None:
        count, drawn = len(loaded.history.columns), len(history.operations)
        notes += (f"of {count:,} operations {drawn:,} are drawn, and give the latencies",)
    results = merge([result, _about(loaded, notes)])
    return Judged(_plan(path, model, command, loaded), history, results, notes, counted)


def page(judged: Judged) -> str:
    """The report as one HTML page."""
    return render_html(judged.plan, judged.history, judged.results, counted=judged.figures)


def _unjudged(path: Path, model: str, command: str, why: str) -> Judged:
    results = merge([Result(checker="linearizable", verdict=Verdict.UNKNOWN, why=why)])
    return Judged(_plan(path, model, command, None), History(), results, ())


def _drawn(history: History, results: Results) -> tuple[History, Figures | None]:
    """What a page draws, and the figures of the whole when it is a part."""
    columns = history.columns
    if len(columns) <= WHOLE_OPERATIONS_MAX:
        return history, None
    part = history.chosen(_shown(columns, results))
    count = bytes(columns.type).count
    counted = replace(
        figures(part.operations, end_ns=history.duration_ns),
        ok=count(OK),
        fail=count(FAIL),
        info=count(INFO),
        silence_ns=None,
    )
    return part, counted


def _shown(columns: Columns, results: Results) -> Sequence[int]:
    """Positions of what anomalies speak of, and of others at even distances."""
    count = len(columns)
    shown = set(range(0, count, -(-count // SAMPLE_MAX) or 1))
    for index in named_indices(results):
        place = bisect_left(columns.inv, index)
        if place < count and columns.inv[place] == index:
            shown.add(place)
    return sorted(shown)


def _about(loaded: Loaded, notes: Sequence[str]) -> Result:
    """What was read, as a result of its own, so that every report shows it."""
    count = len(loaded.history)
    return Result(
        checker="file",
        verdict=Verdict.VALID,
        why="; ".join((f"{loaded.format}, {count:,} events", *notes)),
        details={"format": str(loaded.format), "events": count, "notes": list(notes)},
    )


def _plan(path: Path, model: str, command: str, loaded: Loaded | None) -> Plan:
    """What was checked; of a file that was not read there is less to say."""
    history = loaded.history if loaded else History()
    seconds = history.duration_ns / 1e9
    options = Options(
        system=path.name,
        workload=f"a recorded history, as {model}",
        nodes=loaded.nodes if loaded else (),
        rate=round(len(history.columns) / seconds, 1) if seconds > 0 else 0.0,
        concurrency=loaded.open_max if loaded else 0,
        time_limit_s=seconds,
        operation_limit_s=0,
        fault_interval_s=0,
        consistency="linearizable",
    )
    versions = {"dissever": __version__, **host_versions()}
    return Plan(options=options, command=command, started="", versions=versions)
