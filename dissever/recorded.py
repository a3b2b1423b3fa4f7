"""
A history file from anywhere, judged as one model: the verdict, and the page that explains it.

What the file holds decides its format, not its name. There is no run behind it, so the plan of the
page says what was checked: the file, the model, and how many clients were at work at a time.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dissever import __version__
from dissever.checkers import Linearizable
from dissever.checkers.models import MODELS
from dissever.harness.formats import Loaded, read_history
from dissever.harness.history import History, MalformedHistory, Operation
from dissever.harness.plan import Options, Plan, host_versions
from dissever.harness.results import Budget, Result, Results, Verdict, merge
from dissever.reports import render_html


@dataclass(frozen=True, slots=True)
class Judged:
    """
    What came of a file. `history` is empty when no run can have recorded the one in the file: it
    cannot be drawn then, and the results say why. `notes` tell what was dropped or made up.
    """

    plan: Plan
    history: History
    results: Results
    notes: tuple[str, ...]


def judge_file(
    path: Path, model: str, *, keyed: bool = False, budget: Budget | None = None
) -> Judged:
    """
    Read a file and judge each key as an object of the model.

    Args:
        model: A name in MODELS.
        keyed: In EDN, values are pairs [key value] of many independent objects.

    Raises:
        OSError: When the file cannot be read.
        FormatError: When it is no history.
    """
    loaded = read_history(path, keyed=keyed)
    result = Linearizable(MODELS[model])(loaded.history, budget or Budget())
    results = merge([result, _about(loaded)])
    history = _drawable(loaded.history)
    plan = _plan(path, model, history, keyed=keyed)
    return Judged(plan, history, results, loaded.notes)


def page(judged: Judged) -> str:
    """The report as one HTML page."""
    return render_html(judged.plan, judged.history, judged.results)


def _about(loaded: Loaded) -> Result:
    """What was read, as a result of its own, so that every report shows it."""
    told = f"{loaded.format.value}, {len(loaded.history):,} events"
    return Result(
        checker="file",
        verdict=Verdict.VALID,
        why="; ".join((told, *loaded.notes)),
        details={
            "format": loaded.format.value,
            "events": len(loaded.history),
            "notes": list(loaded.notes),
        },
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
