"""Whoever writes a system, a workload, a fault or a checker is shown the line of their mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.checkers import EVERY_RUN
from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.results import Result, Verdict
from dissever.systems.simulated import STORES, SimulatedDeployment

SHORT = ("test", "simulated", "-w", "register", "-t", "5", "--rate", "20", "--seed", "1", "-q")


def _mistaken(*_: Any, **__: Any) -> Any:
    nothing: Any = None
    return nothing.line_of_the_mistake


async def _mistaken_later(*_: Any, **__: Any) -> Any:
    return _mistaken()


def _shows(ran: Any) -> None:
    assert ran.status == 3, ran.text
    assert "nothing.line_of_the_mistake" in ran.stderr
    assert "test_user_bugs.py" in ran.stderr
    assert "AttributeError: 'NoneType' object has no attribute" in ran.stderr


@pytest.mark.parametrize("verb", ["read", "write"])
def test_mistake_in_a_store(
    dissever: Callable, runs: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(STORES["registers"], verb, _mistaken_later)
    ran = dissever(*SHORT)

    _shows(ran)
    outcome = json.loads((runs / "latest" / "outcome.json").read_text())
    assert "AttributeError" in outcome["interruption"]


@pytest.mark.parametrize("verb", ["open_store", "await_ready"])
def test_mistake_in_a_deployment(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(SimulatedDeployment, verb, _mistaken_later)

    _shows(dissever(*SHORT))


def test_mistake_in_what_deploys(dissever: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedCluster, "start", _mistaken_later)

    _shows(dissever(*SHORT))


def test_mistake_in_a_fault(dissever: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedCluster, "kill", _mistaken_later)

    _shows(dissever(*SHORT, "-f", "kill"))


def test_mistake_in_a_generator(dissever: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dissever.planning.rate", lambda *_: _mistaken)

    _shows(dissever(*SHORT))


def test_mistake_in_a_checker_is_unknown_and_names_the_line(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    stats = EVERY_RUN["stats"]
    monkeypatch.setitem(
        EVERY_RUN, "stats", type(stats)("stats", stats.description, lambda *_: _mistaken)
    )
    ran = dissever(*SHORT)

    assert ran.status == 2, ran.text
    assert "the checker has a bug" in ran.text
    assert "test_user_bugs.py" in ran.text


def _result(verdict: Any) -> Result:
    return Result(checker="stats", verdict=verdict, why="")


def _quits(*_: Any, **__: Any) -> Any:
    raise SystemExit(0)


async def _quits_later(*_: Any, **__: Any) -> Any:
    _quits()


@pytest.mark.parametrize("verb", ["read", "write"])
def test_store_that_ends_the_program_gives_no_verdict(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(STORES["registers"], verb, _quits_later)
    ran = dissever(*SHORT)

    assert ran.status == 3, ran.text
    assert "test_user_bugs.py" in ran.stderr
    assert "SystemExit" in ran.stderr


@pytest.mark.parametrize("verb", ["open_store", "await_ready"])
def test_deployment_that_ends_the_program_gives_no_verdict(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(SimulatedDeployment, verb, _quits_later)

    assert dissever(*SHORT).status == 3


@pytest.mark.parametrize(
    "answer",
    [None, True, "valid", Verdict.VALID, _result(None), _result("valid")],
)
def test_checker_that_answers_no_result_is_unknown(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    stats = EVERY_RUN["stats"]
    record = type(stats)("stats", stats.description, lambda *_: lambda *_: answer)
    monkeypatch.setitem(EVERY_RUN, "stats", record)
    ran = dissever(*SHORT)

    assert ran.status == 2, ran.text
    assert "expected a Result with a Verdict" in ran.text


def test_checker_that_ends_the_program_is_unknown(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    stats = EVERY_RUN["stats"]
    record = type(stats)("stats", stats.description, lambda *_: _quits)
    monkeypatch.setitem(EVERY_RUN, "stats", record)

    assert dissever(*SHORT).status == 2
