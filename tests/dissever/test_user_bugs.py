"""Whoever writes a system, a workload, a fault or a checker is shown the line of their mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.checkers import EVERY_RUN
from dissever.harness.cluster.simulated import SimulatedCluster
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
