"""A run can end once its cluster is dead; it is judged with what there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.systems.simulated import STORES

SHORT = ("test", "simulated", "-w", "register", "-t", "40", "--rate", "20", "--seed", "1", "-q")


@pytest.fixture
def dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a hundred operations nothing succeeds."""
    store, left = STORES["registers"], [100]
    for verb in ("read", "write", "compare_and_set"):
        real = getattr(store, verb)

        async def dead(self: Any, *arguments: Any, real: Any = real) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise ConnectionError("nobody answers")
            return await real(self, *arguments)

        monkeypatch.setattr(store, verb, dead)


def _last_s(runs: Path) -> float:
    lines = (runs / "latest" / "history.jsonl").read_text().splitlines()
    return float(json.loads(lines[-1])["time"]) / 1e9


def test_a_dead_cluster_ends_the_run_early_and_the_reason_is_said(
    dissever: Callable, runs: Path, dies: None
) -> None:
    ran = dissever(*SHORT, "--stop-when-dead", "8")

    assert ran.status == 2, ran.text
    assert "nothing has succeeded for 8 s: the cluster looks dead" in ran.text
    outcome = json.loads((runs / "latest" / "outcome.json").read_text())
    assert outcome["interruption"] == "nothing has succeeded for 8 s: the cluster looks dead"
    assert 8 < _last_s(runs) < 25
    assert (
        "--stop-when-dead 8" in json.loads((runs / "latest" / "plan.json").read_text())["command"]
    )


def test_an_anomaly_before_the_end_is_still_found(dissever: Callable, dies: None) -> None:
    ran = dissever(*SHORT, "--stop-when-dead", "8", "--bug", "stale-read")

    assert ran.status in (1, 2), ran.text


def test_without_the_option_the_run_goes_on(dissever: Callable, runs: Path, dies: None) -> None:
    """Also past the minute after which it is said that the cluster looks dead."""
    dissever(*SHORT, "-t", "90")

    assert _last_s(runs) > 89


def test_a_cluster_that_lives_is_not_stopped(dissever: Callable, runs: Path) -> None:
    ran = dissever(*SHORT, "--stop-when-dead", "--on-crash", "restart")

    assert ran.status == 0, ran.text
    assert _last_s(runs) > 39
    command = json.loads((runs / "latest" / "plan.json").read_text())["command"]
    assert "--stop-when-dead 60 --on-crash restart" in command
