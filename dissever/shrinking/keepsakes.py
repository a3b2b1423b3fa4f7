"""
What a shrunk run leaves behind: a plan that anyone can run, a test that pytest runs, its page, and
its story.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from dissever import planning
from dissever.harness import store
from dissever.harness.history import Type
from dissever.harness.plan import OK_MIN, RECOVERY_S, OnCrash, Options
from dissever.harness.results import Anomaly, Verdict
from dissever.harness.runner import INTERRUPTED
from dissever.judging import try_to_publish
from dissever.reports.insight import Size, Story
from dissever.running import Run, run
from dissever.shrinking.candidate import Candidate
from dissever.shrinking.shrink import Original, Shrunk
from dissever.shrinking.story import tell
from dissever.signature import Signature
from dissever.systems import load
from dissever.traces import lines_of
from dissever.workloads import WORKLOADS

__all__ = ["ATTEMPTS", "FOLDER", "PLAN", "Kept", "keep", "test_file"]

FOLDER: Final = "shrunk"
"""In the directory of the run that was shrunk."""

PLAN: Final = "plan.yaml"
ATTEMPTS: Final = "attempts.jsonl"


@dataclass(frozen=True, slots=True)
class Kept:
    """
    What there is now. `run` is None when the plan could not be shown to fail in `attempts` runs.

    `sentences` is the story in order.
    """

    plan: Path
    test: Path
    command: str
    sentences: tuple[str, ...]
    run: Run | None
    attempts: int


def keep(
    original: Original, shrunk: Shrunk, *, runs: Path, attempts: int, facts: tuple[str, ...]
) -> Kept:
    """
    Write everything, and make the run once more to have its page.

    Args:
        runs: Where runs are kept.
        attempts: How often the plan is run at most, until it fails.
        facts: Sentences for the end of the story.

    Raises:
        OSError: When something cannot be written.
        CannotRun: When the run cannot be made.
    """
    folder = original.run / FOLDER
    folder.mkdir(exist_ok=True)
    plan = folder / PLAN
    header = f"# {original.signature}: shrunk from {original.run.name}"
    options = _with_plan(shrunk.candidate, plan)
    command = planning.repeat_command(options, load(options.system))
    text = f"{header}\n# {command}\n{shrunk.candidate.yaml()}"
    store.write_text(plan, text)
    options = msgspec.structs.replace(options, script=text)
    test = folder / f"test_{Signature.parsed(original.signature).digest}.py"
    ended, anomaly = _run_until_it_fails(options, original.signature, runs, attempts)
    store.write_text(test, test_file(options, original.signature, ended))
    if ended is None or anomaly is None:
        return Kept(plan, test, command, (), None, attempts)
    sentences = tell(ended.judged.history.events, anomaly, lines_of(ended.directory))
    story = Story(
        text=(*(each.text for each in sentences), *facts),
        wrong=next((n for n, each in enumerate(sentences) if each.is_wrong), None),
        before=_size(original.candidate),
        after=_size(shrunk.candidate),
        origin=str(original.run),
        command=command,
    )
    store.write_text(ended.directory / store.STORY, msgspec.json.encode(story).decode() + "\n")
    try_to_publish(ended.directory, ended.judged)
    return Kept(plan, test, command, story.text, ended, attempts)


def _run_until_it_fails(
    options: Options, signature: str, runs: Path, attempts: int
) -> tuple[Run, Anomaly] | tuple[None, None]:
    for _ in range(attempts):
        ended = run(options, runs=runs)
        if ended.interruption == INTERRUPTED:
            break
        if (anomaly := _shown(ended, signature)) is not None:
            return ended, anomaly
    return None, None


def _with_plan(candidate: Candidate, plan: Path) -> Options:
    asked = candidate.asked
    return msgspec.structs.replace(
        asked, script=candidate.yaml(), script_path=str(plan), trace=True
    )


def _shown(ended: Run, signature: str) -> Anomaly | None:
    """The first anomaly of that kind."""
    wanted = Signature.parsed(signature)
    for each in ended.anomalies:
        if each.signature and wanted.covers(Signature.parsed(each.signature)):
            return each
    return None


def _size(candidate: Candidate) -> Size:
    return msgspec.convert(msgspec.to_builtins(candidate.size), Size)


def test_file(options: Options, signature: str, failed: Run | None) -> str:
    """
    A file of tests for pytest, which stands beside the plan and fails while the bug is there.

    Args:
        failed: The run of the plan that failed. If it decided everything else, the test asks for
            the verdict valid. None: it did not fail again.
    """
    kind = Signature.parsed(signature)
    name = "".join(each if each.isalnum() else "_" for each in kind.name.lower()).strip("_")
    settings = "".join(f"    {name}={_literal(value)},\n" for name, value in _settings(options))
    passes, asserts = _asked_of(failed)
    return f'''"""
{signature}: a run that failed, shrunk by dissever.

The test fails while the system fails in this way. {passes}
"""

import pytest


@pytest.mark.dissever(
{settings})
def test_no_{name}(run_plan):
    ended = run_plan()

{asserts}'''


def _asked_of(failed: Run | None) -> tuple[str, str]:
    """What the test asks of a run without the failure: in words, and as code."""
    undecided = _undecided(failed)
    if not undecided:
        one = "    assert ended.is_valid, ended.explanation\n"
        return "It passes when the verdict is valid.", one
    asked = ["not ended.interruption", "not ended.anomalies"]
    passes = "It passes when the run went\nto its end"
    if failed is not None and any(each.type is Type.OK for each in failed.judged.history):
        asked.append('any(event.type == "ok" for event in ended.judged.history)')
        passes += ", an operation succeeded"
    passes += (
        ", and no checker found an anomaly. It does not ask for the\nverdict valid, because"
        " something is unknown in a run as small as this, with or without the failure:\n\n"
    )
    passes += (
        "\n".join(
            textwrap.fill(each, 100, initial_indent="  - ", subsequent_indent="    ")
            for each in undecided
        )
        .replace("\\", "/")
        .replace('"', "'")
    )
    return passes, "".join(f"    assert {each}, ended.explanation\n" for each in asked)


def _undecided(failed: Run | None) -> tuple[str, ...]:
    """What other checkers could not decide in the run that failed; empty if there is nothing."""
    if failed is None:
        return ("The plan did not fail when it was run again.",)
    return tuple(
        f"{each.checker}: {each.why}"
        for each in failed.results.results
        if each.verdict is Verdict.UNKNOWN
    )


test_file.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test.


def _settings(options: Options) -> Iterator[tuple[str, Any]]:
    """What the marker says."""
    yield "system", options.system
    yield "workload", options.workload
    if options.script:
        yield "plan", PLAN
    yield "backend", str(options.backend)
    yield "nodes", list(options.nodes)
    yield "rate", options.rate
    yield "concurrency", options.concurrency
    yield "time_limit", options.time_limit_s
    yield "operation_limit", options.operation_limit_s
    if options.ok_min != OK_MIN:
        yield "ok_min", options.ok_min
    if options.recovery_limit_s != RECOVERY_S:
        yield "recovery_limit", options.recovery_limit_s
    if options.on_crash is not OnCrash.LEAVE:
        yield "on_crash", str(options.on_crash)
    if options.checkers:
        yield "checker", list(options.checkers)
    yield "seed", options.seed
    if own := dict(_own(options)):
        yield "options", own


def _own(options: Options) -> Iterator[tuple[str, Any]]:
    """The options of the system and of the workload that are not as by default."""
    declared = {**load(options.system).options, **WORKLOADS[options.workload].options}
    for name, value in {**options.system_options, **options.workload_options}.items():
        if value is not None and (name not in declared or value != declared[name].default):
            yield name, value


def _literal(value: Any) -> str:
    """A value in Python, with double quotes."""
    if isinstance(value, dict):
        pairs = (f"{_literal(name)}: {_literal(each)}" for name, each in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return json.dumps(value) if isinstance(value, str) else repr(value)
