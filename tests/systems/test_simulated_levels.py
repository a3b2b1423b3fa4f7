"""Runs of the simulated system at each level: its anomalies are seen, and never more."""

from __future__ import annotations

import pytest

from dissever import running
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.plan import Options
from dissever.harness.results import Result, Verdict
from dissever.systems.simulated import SimulatedSystem

LEVELS = {
    "snapshot": ("snapshot-isolation", {"G2-item"}),
    "prefix": ("causal-cerone", {"lost-update"}),
    "read-committed": ("read-committed", {"lost-update", "G-single", "G2-item"}),
    "read-uncommitted": ("read-uncommitted", {"G1c"}),
}
"""Level -> the strongest model that it keeps, and what a run of lists shows of it."""


@pytest.fixture
def judged(tmp_path):
    """A run: what the checker of its workload says, asked for a model."""

    def run(model: str, *, workload: str = "append", faults=(), seconds=1.5, **own: str) -> Result:
        options = Options(
            system="simulated",
            workload=workload,
            faults=tuple(faults),
            backend=SIMULATED,
            rate=150.0,
            time_limit_s=seconds,
            operation_limit_s=1,
            fault_interval_s=1,
            seed=1,
            system_options=own,
            workload_options={"consistency-model": model},
        )
        results = running.run(options, runs=tmp_path).judged.results
        return next(each for each in results.results if each.checker in ("transactions", "rows"))

    return run


def test_bug_of_transactions_needs_a_workload_of_transactions() -> None:
    options = Options(
        system="simulated", workload="register", system_options={"bug": "dirty-write"}
    )

    with pytest.raises(ValueError, match="expected a workload of transactions for the bug dirty-w"):
        SimulatedSystem().check(options)


@pytest.mark.parametrize("level", LEVELS)
def test_level_shows_what_it_permits_and_no_more(judged, level) -> None:
    model, shown = LEVELS[level]
    result = judged(model, isolation=level)

    assert result.verdict is not Verdict.INVALID
    assert set(result.details["counts"]) >= shown


@pytest.mark.parametrize(
    ("level", "model", "shown"),
    [
        ("repeatable-read", "repeatable-read", "G-single-predicate"),
        ("snapshot", "snapshot-isolation", "G2"),
    ],
)
def test_rows_tell_levels_apart_by_predicates(judged, level, model, shown) -> None:
    result = judged(model, workload="rows", isolation=level)

    assert result.verdict is not Verdict.INVALID
    assert shown in result.details["counts"]


@pytest.mark.parametrize("workload", ["append", "rows"])
def test_serializable_level_stays_so_under_faults(judged, workload) -> None:
    faults = ("partition", "kill", "pause")

    result = judged("strict-serializable", workload=workload, faults=faults, seconds=3.5)

    assert result.verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("bug", "shown"),
    [
        ("lost-update", "lost-update"),
        ("fractured-read", "G-single"),
        ("stale-read", "G-single-realtime"),
    ],
)
def test_bug_shows_its_anomaly(judged, bug, shown) -> None:
    assert shown in judged("read-uncommitted", bug=bug).details["counts"]
