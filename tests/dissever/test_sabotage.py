"""A system broken on purpose is caught, and the same system unbroken is not accused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from dissever import cli
from dissever.systems.simulated import BUGS

SEEDS = 200
FAULTS = ("partition", "kill", "pause", "partition,kill,pause")


@pytest.mark.parametrize("bug", list(BUGS))
def test_each_bug_is_caught_and_the_guilty_operations_are_named(
    dissever: Callable, runs: Path, bug: str
) -> None:
    ran = dissever("test", "simulated", "-w", "register", "--bug", bug, "-t", "10", "--seed", "1")

    results = json.loads((runs / "latest" / "results.json").read_text())
    anomalies = [each for result in results["results"] for each in result["anomalies"]]
    assert ran.status == 1
    assert anomalies
    assert all(anomaly["indices"] and anomaly["steps"] for anomaly in anomalies)


@pytest.mark.parametrize("bug", ["lost-write", "double-write", "dirty-read"])
def test_each_bug_of_writes_is_caught_in_a_set(dissever: Callable, bug: str) -> None:
    ran = dissever("test", "simulated", "-w", "set", "--bug", bug, "-t", "10", "--seed", "1")

    assert ran.status == 1, ran.text


@pytest.mark.timeout(300)
def test_no_seed_accuses_the_system_without_a_bug(tmp_path: Path) -> None:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        statuses = list(pool.map(_status, range(SEEDS), [tmp_path] * SEEDS, chunksize=10))

    assert [seed for seed, status in enumerate(statuses) if status != 0] == []


def _status(seed: int, runs: Path) -> int:
    """The exit status of a short run; two of three are of registers."""
    arguments = ["test", "simulated", "-q", "--seed", str(seed), "--runs", str(runs)]
    arguments += ["-w", "set" if seed % 3 == 2 else "register", "-f", FAULTS[seed % 4]]
    arguments += ["-t", "8", "--rate", "60", "--fault-interval", "2"]
    arguments += ["--values", "3"] if seed % 6 == 1 else []
    try:
        cli.main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError("the command line always exits")
