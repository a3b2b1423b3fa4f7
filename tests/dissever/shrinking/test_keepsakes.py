"""The test that is left of a failure: what it asks of a run without the failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from dissever.harness.cluster.backends import Backend
from dissever.harness.history import Type
from dissever.harness.plan import Options
from dissever.harness.results import Result, Verdict
from dissever.shrinking.keepsakes import test_file as file_of

OPTIONS = Options(system="simulated", workload="register", backend=Backend.SIMULATED)


def failed(unknown: str = "", *, types: tuple[Type, ...] = (Type.OK,)) -> Any:
    """A run that failed; a checker could not decide if a reason is given."""
    results = [Result(checker="linearizable", verdict=Verdict.INVALID, why="stale-read")]
    if unknown:
        results.append(Result(checker="stats", verdict=Verdict.UNKNOWN, why=unknown))
    return SimpleNamespace(
        results=SimpleNamespace(results=results),
        judged=SimpleNamespace(history=[SimpleNamespace(type=each) for each in types]),
    )


def test_valid_verdict_is_asked_for_where_all_else_was_decided() -> None:
    text = file_of(OPTIONS, "linearizable/stale-read/read", failed())

    compile(text, "test", "exec")
    assert "assert ended.is_valid" in text


def test_reason_is_given_where_a_valid_verdict_cannot_be_asked_for() -> None:
    text = file_of(OPTIONS, "linearizable/stale-read/read", failed('"cas" never succeeded'))

    compile(text, "test", "exec")
    assert "is_valid" not in text
    assert "stats: 'cas' never succeeded" in text
    assert 'event.type == "ok"' in text


def test_no_answer_is_asked_for_where_the_failing_run_had_none() -> None:
    text = file_of(OPTIONS, "invariants/vote", failed("nothing was asked", types=(Type.INFO,)))

    assert 'event.type == "ok"' not in text
    assert "an operation succeeded" not in text
