"""
What a shrunk run leaves behind: a plan that anyone can run, a test that pytest runs, its page, and
its story.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from dissever import planning
from dissever.harness import store
from dissever.harness.plan import OK_MIN, OnCrash, Options
from dissever.harness.results import Anomaly
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
    store.write_text(test, test_file(options, original.signature))
    ended, anomaly = _run_until_it_fails(options, original.signature, runs, attempts)
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
        if each.signature and Signature.parsed(each.signature).matches(wanted):
            return each
    return None


def _size(candidate: Candidate) -> Size:
    return msgspec.convert(msgspec.to_builtins(candidate.size), Size)


def test_file(options: Options, signature: str) -> str:
    """A file of tests for pytest, which stands beside the plan and fails while the bug is there."""
    kind = Signature.parsed(signature)
    name = "".join(each if each.isalnum() else "_" for each in kind.name.lower()).strip("_")
    settings = "".join(f"    {name}={_literal(value)},\n" for name, value in _settings(options))
    return f'''"""
{signature}: a run that failed, shrunk by dissever.

The test fails while the system fails in this way. It passes when the run went to its end and no
checker found an anomaly.
"""

import pytest


@pytest.mark.dissever(
{settings})
def test_no_{name}(run_plan):
    ended = run_plan()

    assert not ended.interruption, ended.explanation
    assert not ended.anomalies, ended.explanation
'''


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
