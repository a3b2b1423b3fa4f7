"""
From a history to a verdict and its reports: what `dissever check` does, for programs.

    judged = judge(Path("runs/latest"))
    judged = judge_file(Path("history.edn"), "cas-register")
    judged = judge_file(Path("append.edn"), consistency_model="strict-serializable")

A run directory is judged by the checkers of its workload and by those of every run. A history file
is judged as objects of one model, or as the transactions or the bank that it holds. Everything is
judged, at every size; of a large file the page draws the operations that matter and a sample of the
others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from msgspec import structs

from dissever import recorded
from dissever.checkers import EVERY_RUN, Linearizable, RunChecker, compose
from dissever.checkers.linearizability import Model
from dissever.checkers.linearizability.model import Misfit
from dissever.checkers.transactions.models import SERIALIZABLE
from dissever.checkers.transactions.view import is_small
from dissever.harness import store
from dissever.harness.history import History, MalformedHistory
from dissever.harness.plan import Plan
from dissever.harness.plugins import Registry
from dissever.harness.reader import read_history
from dissever.harness.results import Budget, Checker, Result, Results, Verdict, merge
from dissever.harness.values import count_text
from dissever.native.columns import FAIL, INFO, OK, Columns
from dissever.nemesis.faults import FAMILIES
from dissever.node_logs import moments_of, read_logs, read_node_states
from dissever.registries import CHECKERS, model_at
from dissever.remains import find_remains, gaps, is_changed, outcome_of
from dissever.reports import (
    Figures,
    Insight,
    Subject,
    figures_of,
    judged_html,
    named_indices,
    read_insight,
    render_html,
    render_junit,
)
from dissever.signature import signed
from dissever.traces import roles_of
from dissever.workloads import WORKLOADS, Workload

__all__ = [
    "Judged",
    "Progress",
    "StaleResults",
    "judge",
    "judge_file",
    "publish",
    "read_judged",
    "render",
    "try_to_publish",
]

WHOLE_OPERATIONS_MAX: Final = 2_000_000
WHOLE_ELEMENTS_MAX: Final = 3_000_000
"""Of transactions that are drawn whole: micro-operations, and elements of the lists they read."""

INSIGHT_BYTES_MAX: Final = 64 << 20
"""Of each file that a page reads beyond the history."""

SAMPLE_MAX: Final = 20_000
"""How many operations are drawn of a file that is too large to be drawn whole."""

LINEARIZABLE: Final = "linearizable"

DEFAULT_MODEL: Final = "cas-register"
"""What a history file is judged as that holds neither transactions nor a bank."""

Progress: TypeAlias = Callable[[str], None]
"""Hears what begins, in words."""


class StaleResults(Exception):
    """Results were asked for, and those in the run directory are of another history."""


@dataclass(frozen=True, slots=True)
class Judged:
    """
    A history, and what came of it.

    `history` is what a page draws: everything, or of a large file a part, and then `figures` count
    the whole. It is empty when nothing was judged, and the results say why. `notes` say what was
    left out or made up.
    """

    subject: Subject
    history: History
    results: Results
    notes: tuple[str, ...] = ()
    figures: Figures | None = None

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        return judged_html(self.subject, self.history, self.results, self.figures)


def judge(
    run: Path,
    ok_min: int | None = None,
    checkers: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> Judged:
    """
    Judge the history of a run directory. It writes nothing.

    What is missing of the run makes the verdict unknown, unless what is left shows an anomaly. The
    checkers are not asked when the history has holes, or when it or the plan was changed after the
    run: what they find would say nothing about the system.

    Args:
        ok_min: How many operations of each kind must have succeeded while faults were in force;
            None: as the run's options say.
        checkers: References to checkers that judge it in addition to those of the run.
        progress: Hears what begins, such as `judging 40,000 operations: linearizable`.

    Raises:
        OSError: When the plan or the history is missing.
        FormatError: When the history is none.
        BrokenFile: When the plan holds something else, or a workload that cannot be found.
    """
    plan = store.read_plan(run)
    workload, changed = _workload(run, plan)
    options, actions = plan.options, plan.actions
    outcome, reasons = outcome_of(run)
    progress("reading the history")
    digest = store.digest(run / store.HISTORY)
    try:
        loaded = read_history(run / store.HISTORY)
    except MalformedHistory as error:
        return _malformed(Subject.of(plan), error, digest)
    remains, unread = find_remains(run, plan, outcome)
    remains = replace(remains, ok_min=options.ok_min if ok_min is None else ok_min)
    plugged, others = _plugged(run, plan, checkers)
    reasons += [*unread, *loaded.notes, *changed, *others]
    is_judged = loaded.misnumbered is None and not is_changed(run, outcome, digest)
    if loaded.misnumbered is not None:
        what = "is not numbered by its place: events are missing, or in another order"
        reasons.append(f"event {loaded.misnumbered} of {store.HISTORY} {what}")
    if not outcome.interruption:
        reasons += gaps(plan, loaded.history)
    every: dict[str, Checker] = {**workload.checkers(options)}
    if not every and not plugged:
        what = "has no checker, so nobody looked at its answers"
        reasons.append(f"the workload {options.workload} {what}")
    for name, record in (*EVERY_RUN.items(), *plugged.items()):
        if record.applies(remains):
            unique = name if name not in every else f"{name} of every run"
            every[unique] = record.make(actions, remains)
    count = count_text(len(loaded.history.columns), "operation")

    def begins(name: str) -> None:
        progress(f"judging {count}: {name}")

    results = compose(every if is_judged else {}, loaded.history, Budget(), begins)
    if reasons:
        early = Result(checker="run", verdict=Verdict.UNKNOWN, why="; ".join(reasons))
        results = merge((*results.results, early))
    progress(f"choosing what is drawn of {count}")
    history, counted = _drawn(loaded.history, results)
    results = signed(results, loaded.history, roles_of(run))
    results = structs.replace(results, history_sha256=digest)
    return Judged(Subject.of(plan), history, results, (), counted)


def _workload(run: Path, plan: Plan) -> tuple[Workload, list[str]]:
    """
    The workload of a run, and in what it is another now.

    Raises:
        BrokenFile: When it cannot be found.
    """
    reference = plan.options.workload
    directory, changed = _home(WORKLOADS, reference, run, plan)
    try:
        return WORKLOADS.find(reference, directory), changed
    except ValueError as error:
        raise store.BrokenFile(f"{store.PLAN}: {error}{_was_in(reference, plan)}") from error


def _plugged(
    run: Path, plan: Plan, asked: Sequence[str]
) -> tuple[dict[str, RunChecker], list[str]]:
    """The checkers of others by reference, and in what those of the run are others now."""
    found: dict[str, RunChecker] = {}
    reasons: list[str] = []
    for reference in plan.options.checkers:
        if reference not in asked:
            directory, changed = _home(CHECKERS, reference, run, plan)
            try:
                found[reference] = CHECKERS.find(reference, directory)
                reasons += changed
            except ValueError as error:
                reasons.append(f"the checker {error}{_was_in(reference, plan)}")
    return {**found, **{reference: CHECKERS.find(reference) for reference in asked}}, reasons


def _home(
    registry: Registry[Any], reference: str, run: Path, plan: Plan
) -> tuple[Path | None, list[str]]:
    """
    Where a reference of a run leads to what it led to when the run was planned: the directory, and
    in what the thing is another now.

    A run can be judged from any directory, and after the directory that it stands in was moved.
    """
    version = plan.versions.get(reference)
    if version is None:
        return None, []
    another: Path | None = None
    for place in dict.fromkeys((Path(plan.directory), Path.cwd(), *run.resolve().parents)):
        now = registry.version(reference, place)
        if now == version:
            return place, []
        if now is not None and another is None:
            another = place
    if another is None:
        return None, []
    return another, [f"{reference} was changed after the run, so it may judge by other rules"]


def _was_in(reference: str, plan: Plan) -> str:
    is_file = plan.versions.get(reference, "").startswith("sha256:")
    return f"; when the run was planned, it was found from {plan.directory}" if is_file else ""


def read_judged(run: Path) -> Judged:
    """
    A run directory with the results that were written when it was judged.

    The verdict on a history that no run can have recorded is unknown, as `judge` says it, whatever
    the results say.

    Raises:
        FileNotFoundError: When the run was never judged.
        StaleResults: When they are the results of another history.
        OSError, FormatError, BrokenFile: As `judge`.
    """
    subject, results = Subject.of(store.read_plan(run)), store.read_results(run)
    digest = store.digest(run / store.HISTORY)
    if results.history_sha256 != digest:
        raise StaleResults(f"{store.RESULTS} does not belong to this {store.HISTORY}")
    try:
        loaded = read_history(run / store.HISTORY)
    except MalformedHistory as error:
        return _malformed(subject, error, digest)
    history, counted = _drawn(loaded.history, results)
    return Judged(subject, history, results, (), counted)


def publish(run: Path, judged: Judged) -> Path:
    """
    Write the results, the page and the JUnit file into the run directory; the page's path.

    Raises:
        OSError: When one of them cannot be written. Each is written whole or not at all.
    """
    store.write_results(run, judged.results)
    page = run / store.REPORT
    judged = replace(judged, figures=judged.figures or figures_of(judged.history))
    store.write_text(page, render(judged, with_nodes(run, judged, insight_of(run))))
    junit = render_junit(
        judged.subject, judged.history, judged.results, str(page), counted=judged.figures
    )
    store.write_text(run / store.JUNIT, junit)
    return page


def try_to_publish(run: Path, judged: Judged) -> tuple[Path | None, str]:
    """The page's path; or None, and why the directory does not hold what was judged."""
    try:
        return publish(run, judged), ""
    except OSError as error:
        return None, f"nothing could be written into {run}: {error.strerror or error}"


def insight_of(run: Path) -> Insight:
    """
    What a run directory holds beyond its history: a simulation's lines, a curve, a story.

    It explains a verdict and never changes it, so a file that cannot be read counts as missing.
    """

    def content(name: str) -> bytes | None:
        path = run / name
        try:
            if not path.is_file():  # Whoever made the directory may have put a pipe there.
                return None
            with path.open("rb") as file:
                return file.read(INSIGHT_BYTES_MAX)
        except OSError:
            return None

    lines = content(store.SIMULATION)
    return read_insight(
        None if lines is None else lines.splitlines(), content(store.DOOM), content(store.STORY)
    )


def with_nodes(run: Path, judged: Judged, insight: Insight) -> Insight:
    """An insight with how a run began, and what its nodes were and wrote."""
    states, plan = read_node_states(run), store.read_plan(run)
    logs = read_logs(run, plan, judged.history, judged.results, states)
    moments = moments_of(judged.history, judged.results)
    with suppress(store.BrokenFile):  # The verdict says so already.
        insight = replace(insight, start=store.read_outcome(run).start)
    return replace(insight, states=states, logs=logs, moments_ns=moments)


def render(judged: Judged, insight: Insight | None = None) -> str:
    """The report as one HTML page."""
    return render_html(
        judged.subject,
        judged.history,
        judged.results,
        counted=judged.figures,
        insight=insight or Insight(),
        families=FAMILIES,
    )


def judge_file(
    path: Path,
    model: str | Model | type | None = None,
    *,
    workload: str | None = None,
    consistency_model: str = SERIALIZABLE,
    keyed: bool = False,
    initial: Any = None,
    nil_is_unknown: bool = False,
    budget: Budget | None = None,
    progress: Progress = lambda _: None,
) -> Judged:
    """
    Judge a history file: each key as an object of a model, or as what a workload recorded.

    With neither, the content decides: transactions are judged as `append` or `wr`, accounts as
    `bank`, and everything else as DEFAULT_MODEL.

    Ctrl-C leaves unknown what was not judged. Unknown are also a history that no run can have
    recorded, one in which nothing succeeded, and transactions where a model is given.

    Args:
        model: A reference to one, a `Model`, or the class of a plain model.
        workload: `append`, `wr`, `bank` or `rows`; then there is no model.
        consistency_model: What transactions must keep.
        keyed: Values of clients are pairs [key value] of many independent objects.
        initial: As `adjusted`.
        nil_is_unknown: As `adjusted`.
        progress: Hears what begins.

    Raises:
        OSError: When the file cannot be read.
        FormatError: When it is no history.
        ValueError: When the reference leads to no model, there is no such workload or consistency
            model, or both model and workload are given.
        Misfit: When such an object cannot begin with that, nil is a value of its own there, or
            these options are for a model, and the file is judged as a workload.
    """
    if model is not None and workload is not None:
        raise ValueError("expected a model or a workload, got both")
    for_models = keyed or initial is not None or nil_is_unknown
    kind = model_at(model or DEFAULT_MODEL, initial=initial, nil_is_unknown=nil_is_unknown)
    name = model if isinstance(model, str) else kind.name
    subject = recorded.subject_of(
        path, name, keyed=keyed, initial=initial, nil_is_unknown=nil_is_unknown
    )
    asked = _Asked(LINEARIZABLE, Linearizable(kind), subject, kind)
    if workload is not None:
        asked = _as_workload(path, workload, consistency_model, for_models=for_models)
    progress(f"reading {path.stat().st_size / 1e6:,.1f} MB")
    try:
        loaded = read_history(path, keyed=keyed, transactions=None if model is None else False)
        if model is None and workload is None and not keyed:
            workload = recorded.workload_of(loaded.history)
            if workload is not None:
                asked = _as_workload(path, workload, consistency_model, for_models=for_models)
        progress(f"judging {len(loaded.history):,} events")
        why = recorded.transactions(loaded.history, asked.model) if asked.model else None
        if why is not None:
            return _unjudged(recorded.described(asked.subject, loaded), asked.name, why)
        result = asked.checker(loaded.history, budget or Budget())
    except MalformedHistory as error:
        return _unjudged(asked.subject, asked.name, f"malformed: {error}")
    except KeyboardInterrupt:
        why = "interrupted: stopped before anything was judged"
        return _unjudged(asked.subject, asked.name, why)
    history, counted = _drawn(loaded.history, merge([result]))
    notes = loaded.notes
    if asked.model is not None:
        notes += recorded.hints(loaded.history, asked.model, result, keyed=keyed)
    if counted is not None:
        count, drawn = len(loaded.history.columns), len(history.operations)
        notes += (f"of {count:,} operations {drawn:,} are drawn, and give the latencies",)
    results = signed(merge([result, recorded.about(loaded, notes)]), loaded.history)
    return Judged(recorded.described(asked.subject, loaded), history, results, notes, counted)


@dataclass(frozen=True, slots=True)
class _Asked:
    """As what a file is judged; `model` is None where it is a workload."""

    name: str
    checker: Checker
    subject: Subject
    model: Model | None = None


def _as_workload(path: Path, workload: str, consistency_model: str, *, for_models: bool) -> _Asked:
    """
    Args:
        for_models: Whether an option was given that means something for models alone.

    Raises:
        ValueError: When there is no such workload, or no such consistency model.
        Misfit: When an option means nothing.
    """
    if for_models:
        raise Misfit(
            f"this history is judged as the workload {workload}, not as a model: keyed values, "
            "initial values and what nil means are for models"
        )
    checker = recorded.checker_of(workload, consistency_model)
    subject = recorded.subject_of_workload(path, workload, consistency_model)
    return _Asked(checker.name, checker, subject)


def _unjudged(subject: Subject, checker: str, why: str) -> Judged:
    result = Result(checker=checker, verdict=Verdict.UNKNOWN, why=why)
    return Judged(subject, History(), merge([result]))


def _malformed(subject: Subject, error: MalformedHistory, digest: str) -> Judged:
    """A run directory whose history no run can have recorded."""
    judged = _unjudged(subject, "run", f"malformed: {error}")
    return replace(judged, results=structs.replace(judged.results, history_sha256=digest))


def _drawn(history: History, results: Results) -> tuple[History, Figures | None]:
    """What a page draws, and the figures of the whole when it is a part."""
    columns = history.columns
    if len(columns) <= WHOLE_OPERATIONS_MAX and _is_light(history):
        return history, None
    part = history.chosen(_shown(columns, results))
    count = bytes(columns.type).count
    counted = replace(
        figures_of(part),
        ok=count(OK),
        fail=count(FAIL),
        info=count(INFO),
        silence_ns=None,
    )
    return part, counted


def _is_light(history: History) -> bool:
    """Whether the lists that transactions read are few enough to make objects of all of them."""
    try:
        return not history.has_transactions or is_small(history.micro, WHOLE_ELEMENTS_MAX)
    except MalformedHistory:
        return True  # Not all of it are transactions, so none was read as one.


def _shown(columns: Columns, results: Results) -> Sequence[int]:
    """Positions of what anomalies speak of, and of others at even distances."""
    count = len(columns)
    shown = set(range(0, count, -(-count // SAMPLE_MAX) or 1))
    for index in named_indices(results):
        place = bisect_left(columns.inv, index)
        if place < count and columns.inv[place] == index:
            shown.add(place)
    return sorted(shown)
