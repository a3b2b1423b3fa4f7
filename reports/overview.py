"""
What runs came to, in one value: what `--json` prints, and what a CI server is shown.

Anomalies of one kind are one finding with a count, so the value stays small however many there are.
Two findings are of one kind if their signatures are equal: system, workload, and the signature of
the anomaly, which has its checker, its name and its shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from dissever.harness.episodes import episodes_of
from dissever.harness.history import History, Key
from dissever.harness.results import Anomaly, Result, Results, Verdict, by_cause
from dissever.harness.values import shorten
from dissever.reports.figures import Figures, figures_of
from dissever.reports.subject import Subject

EXIT_STATUS: Final = {Verdict.VALID: 0, Verdict.INVALID: 1, Verdict.UNKNOWN: 2}
EXIT_FAILED: Final = 3
"""The harness or its environment failed."""

TEXT_CHARACTERS_MAX: Final = 2_000
STEPS_MAX: Final = 12


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a checker found: `count` anomalies of one kind, of which it describes the first, or a
    reason for unknown.

    `name` is the anomaly's, or the verdict where the checker named none. `signature` is
    `system/workload/checker/name`, with the shape and the role of the anomaly where they are known.
    `summary` and `steps` are sentences, shortened.
    """

    signature: str
    checker: str
    verdict: Verdict
    name: str
    summary: str
    steps: tuple[str, ...] = ()
    key: Key | None = None
    count: int = 1


class Operations(msgspec.Struct, frozen=True):
    """How many operations clients invoked, and how they ended."""

    total: int
    ok: int
    fail: int
    info: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """
    One run. `seed` is None and `started` (ISO 8601) is empty where nobody knows them.

    `faults` are those that were asked for, `faults_injected` counts the strikes. `repeat` is the
    command that repeats the run. `page` is the path of its report, None when none was written.
    """

    verdict: Verdict
    exit_status: int
    why: str
    system: str
    workload: str
    faults: tuple[str, ...]
    nodes: tuple[str, ...]
    seed: int | None
    started: str
    operations: Operations
    faults_injected: int
    findings: tuple[Finding, ...]
    repeat: str
    directory: str
    page: str | None

    @property
    def found(self) -> str:
        """The names of its findings, each once, with commas between them."""
        return ", ".join(dict.fromkeys(finding.name for finding in self.findings))


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """
    Several runs, in the order in which they were made, with the greatest of their verdicts.

    `failed` says why a further run could not be made, and is empty otherwise.
    """

    verdict: Verdict
    exit_status: int
    failed: str = ""
    runs: tuple[Entry, ...]


def by_signature(runs: Overview) -> list[tuple[Finding, list[Entry]]]:
    """Each kind of finding with the runs that have it: invalid before unknown, else in order."""
    found: dict[str, tuple[Finding, list[Entry]]] = {}
    for run in runs.runs:
        for finding in run.findings:
            found.setdefault(finding.signature, (finding, []))[1].append(run)
    return sorted(found.values(), key=lambda each: each[0].verdict, reverse=True)


def overview(entries: Sequence[Entry], failed: str = "") -> Overview:
    """All of them together: unknown at best if there is none, or one could not be made."""
    verdicts = [entry.verdict for entry in entries]
    if failed or not verdicts:
        verdicts.append(Verdict.UNKNOWN)
    verdict = max(verdicts)
    is_failed = bool(failed) and verdict is not Verdict.INVALID
    status = EXIT_FAILED if is_failed else EXIT_STATUS[verdict]
    return Overview(verdict=verdict, exit_status=status, failed=failed, runs=tuple(entries))


def entry(
    subject: Subject,
    history: History,
    results: Results,
    counted: Figures | None = None,
    *,
    directory: str,
    page: str | None,
    program: str = "dissever",
) -> Entry:
    """
    One run, judged.

    Args:
        counted: Of the whole history, where `history` is a part of it.
        program: What the reader types to start dissever.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    found = counted or figures_of(history)
    return Entry(
        verdict=results.verdict,
        exit_status=EXIT_STATUS[results.verdict],
        why=shorten(results.why, TEXT_CHARACTERS_MAX),
        system=subject.system,
        workload=subject.workload,
        faults=subject.faults,
        nodes=subject.nodes,
        seed=subject.seed,
        started=subject.started,
        operations=Operations(found.total, found.ok, found.fail, found.info),
        faults_injected=len(episodes_of(history, subject.actions).strikes),
        findings=tuple(
            finding
            for result in by_cause(results.results)
            if result.verdict is not Verdict.VALID
            for finding in _findings(subject, result)
        ),
        repeat=subject.repeat(program),
        directory=directory,
        page=page,
    )


def _findings(subject: Subject, result: Result) -> Iterator[Finding]:
    """One for each kind of anomaly; one of the verdict where there is none."""
    place = f"{subject.system}/{subject.workload}"
    kinds: dict[str, list[Anomaly]] = {}
    for anomaly in result.anomalies:
        kind = anomaly.signature or f"{result.checker}/{anomaly.name}"
        kinds.setdefault(kind, []).append(anomaly)
    for kind, anomalies in kinds.items():
        first = anomalies[0]
        yield Finding(
            signature=f"{place}/{kind}",
            checker=result.checker,
            verdict=result.verdict,
            name=first.name,
            summary=shorten(first.summary, TEXT_CHARACTERS_MAX),
            steps=tuple(
                shorten(step.text, TEXT_CHARACTERS_MAX) for step in first.steps[:STEPS_MAX]
            ),
            key=first.key,
            count=len(anomalies),
        )
    if not kinds:
        name = result.verdict.word
        yield Finding(
            signature=f"{place}/{result.checker}/{name}",
            checker=result.checker,
            verdict=result.verdict,
            name=name,
            summary=shorten(result.why, TEXT_CHARACTERS_MAX),
        )
