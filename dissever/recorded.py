"""
A history file from anywhere, judged as one model: the verdict, and the page that explains it.

What the file holds decides its format, not its name. There is no run behind it, so the plan of the
page says what was checked: the file, the model, and how many clients were at work at a time.

A file past `WHOLE_BYTES_MAX` goes from its bytes into columns, and no object is made of most of
its operations: 53 bytes of memory an operation, some 20 a distinct value, and what the engines
take. The page then draws the operations that matter and a sample of the others, and says so.
"""

from __future__ import annotations

import mmap
import shlex
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from msgspec import structs

from dissever import __version__
from dissever.checkers.linearizability import Linearizable, model_named
from dissever.harness.columns import ColumnsHistory, history_of
from dissever.harness.formats import FormatError, read_history
from dissever.harness.history import History, MalformedHistory, Operation
from dissever.harness.plan import Options, Plan, host_versions
from dissever.harness.results import Budget, Result, Results, Verdict, merge
from dissever.native.columns import FAIL, INFO, OK, Columns
from dissever.native.load import Loaded, LoadError, load
from dissever.reports import Figures, figures, named_indices, render_html

WHOLE_BYTES_MAX: Final = 32 << 20
SAMPLE_MAX: Final = 20_000
"""So many operations are drawn of a file that is too large to be drawn whole."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """
    What came of a file. `history` is empty when no run can have recorded the one in the file: it
    cannot be drawn then, and the results say why. Of a large file it is a part, and `figures` are
    of the whole. `notes` tell what was dropped or made up.
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
    unknown.

    Args:
        model: As `model_named` takes.
        keyed: In EDN, values are pairs [key value] of many independent objects.
        progress: Is told what begins.

    Raises:
        OSError: When the file cannot be read.
        FormatError: When it is no history.
    """
    size = path.stat().st_size
    progress(f"reading {size / 1e6:,.1f} MB")
    judge = _judge_whole if size <= WHOLE_BYTES_MAX else _judge_large
    try:
        return judge(path, model, keyed, budget or Budget(), progress)
    except KeyboardInterrupt:
        why = "interrupted: stopped before anything was judged"
        results = merge([Result(checker="linearizable", verdict=Verdict.UNKNOWN, why=why)])
        return Judged(_plan(path, model, History(()), keyed=keyed), History(()), results, ())


def page(judged: Judged) -> str:
    """The report as one HTML page."""
    return render_html(judged.plan, judged.history, judged.results, counted=judged.figures)


def _judge_whole(path: Path, model: str, keyed: bool, budget: Budget, progress: Progress) -> Judged:
    loaded = read_history(path, keyed=keyed)
    progress(f"judging {len(loaded.history):,} events")
    result = Linearizable(model_named(model))(loaded.history, budget)
    about = _about(loaded.format.value, len(loaded.history), "events", loaded.notes)
    history = _drawable(loaded.history)
    plan = _plan(path, model, history, keyed=keyed)
    return Judged(plan, history, merge([result, about]), loaded.notes)


def _judge_large(path: Path, model: str, keyed: bool, budget: Budget, progress: Progress) -> Judged:
    try:
        loaded = _load(path, keyed=keyed)
    except LoadError as error:
        if error.index is None:
            raise FormatError(error.message, error.line, error.column) from error
        why = f"malformed: event {error.index}: {error}"
        results = merge([Result(checker="linearizable", verdict=Verdict.UNKNOWN, why=why)])
        return Judged(_plan(path, model, History(()), keyed=keyed), History(()), results, ())
    columns = loaded.columns
    progress(f"judging {len(columns):,} operations of {len(columns.keys):,} keys")
    details = cache(loaded.details)
    result = Linearizable(model_named(model))(ColumnsHistory(columns, details), budget)
    positions = _shown(columns, merge([result]))
    history = history_of(columns, details() if result.anomalies else None, positions)
    told = f"of {len(columns):,} operations {len(positions):,} are drawn, for latencies as well"
    notes = (*loaded.notes, told) if len(positions) < len(columns) else loaded.notes
    about = _about(loaded.format, len(columns), "operations", notes)
    plan = _plan(path, model, history, keyed=keyed)
    count = bytes(columns.type).count
    counted = replace(
        figures(history.operations, end_ns=history.duration_ns),
        ok=count(OK),
        fail=count(FAIL),
        info=count(INFO),
        silence_ns=None,
    )
    options = {"concurrency": 0, "rate": len(columns) / max(1e-9, history.duration_ns / 1e9)}
    plan = structs.replace(plan, options=structs.replace(plan.options, **options))
    return Judged(plan, history, merge([result, about]), notes, counted)


def _load(path: Path, *, keyed: bool) -> Loaded:
    """Read a mapped file, so that its text takes no memory of ours."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as view,
    ):
        return load(view, keyed=keyed)


def _shown(columns: Columns, results: Results) -> Sequence[int]:
    """Positions of what anomalies speak of, and of others at even distances."""
    count = len(columns)
    shown = set(range(0, count, -(-count // SAMPLE_MAX) or 1))
    for index in named_indices(results):
        place = bisect_left(columns.inv, index)
        if place < count and columns.inv[place] == index:
            shown.add(place)
    return sorted(shown)


def _about(source: str, count: int, noun: str, notes: Sequence[str]) -> Result:
    """What was read, as a result of its own, so that every report shows it."""
    return Result(
        checker="file",
        verdict=Verdict.VALID,
        why="; ".join((f"{source}, {count:,} {noun}", *notes)),
        details={"format": source, noun: count, "notes": list(notes)},
    )


def _drawable(history: History) -> History:
    try:
        _ = history.operations
    except MalformedHistory:
        return History(())
    return history


def _plan(path: Path, model: str, history: History, *, keyed: bool) -> Plan:
    words = ["dissever", "check", str(path), "--model", model, *(["--keyed"] if keyed else [])]
    options = Options(
        system=path.name,
        workload=f"a recorded history, as {model}",
        nodes=tuple(dict.fromkeys(event.node for event in history if event.node)),
        rate=_rate(history),
        concurrency=_open_at_once(history.operations),
        time_limit_s=history.duration_ns / 1e9,
        operation_limit_s=0,
        fault_interval_s=0,
        consistency="linearizable",
    )
    versions = {"dissever": __version__, **host_versions()}
    return Plan(options=options, command=shlex.join(words), started="", versions=versions)


def _rate(history: History) -> float:
    seconds = history.duration_ns / 1e9
    return round(len(history.operations) / seconds, 1) if seconds else 0.0


def _open_at_once(operations: Sequence[Operation]) -> int:
    """The most clients that were at work at any one time; one that crashed is replaced."""
    changes: Counter[int] = Counter()
    for operation in operations:
        changes[operation.invocation.index] += 1
        if operation.completion is not None:
            changes[operation.completion.index] -= 1
    now = most = 0
    for index in sorted(changes):
        now += changes[index]
        most = max(most, now)
    return most
