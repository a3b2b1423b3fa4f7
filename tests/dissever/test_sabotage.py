"""A system broken on purpose is caught, and the same system unbroken is not accused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dissever.attempts import attempt
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.names import numbered
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.harness.system import Digest
from dissever.systems.simulated import BUGS, SimulatedDeployment

SEEDS = 200
SHORT = ("-t", "4", "--rate", "20", "--seed", "1", "-q")
FAULTS = ("partition", "kill", "pause", "partition,kill,pause")


@pytest.mark.parametrize("bug", [name for name, bug in BUGS.items() if not bug.faults])
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


@pytest.mark.parametrize(
    ("fault", "verb", "told"),
    [
        ("partition", "drop", "start-partition"),
        ("swizzle", "drop", "start-swizzle"),
        ("kill", "kill", "kill (kill)"),
        ("stop", "stop", "terminate (stop)"),
        ("crash-loop", "kill", "start-crash-loop"),
        ("pause", "pause", "pause (pause)"),
    ],
)
def test_a_fault_that_does_nothing_makes_the_run_unknown_and_is_named(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch, fault: str, verb: str, told: str
) -> None:
    async def do_nothing(cluster: SimulatedCluster, node: Any, *_: Any) -> Any:
        return None if verb == "drop" else await cluster.status(node)

    monkeypatch.setattr(SimulatedCluster, verb, do_nothing)
    ran = dissever("test", "simulated", "-f", fault, *SHORT)

    assert ran.status == 2, ran.text
    assert told in ran.text
    assert "has no evidence that it took hold" in ran.text


def _replicas_differ(*_: Any) -> Any:
    return {"n1": Digest("this"), "n2": Digest("that")}


def _no_progress(*_: Any) -> Any:
    raise TimeoutError("no write was acknowledged")


@pytest.mark.parametrize(
    ("verb", "answer", "told"),
    [
        ("await_progress", _no_progress, "no write was acknowledged"),
        ("await_ready", _no_progress, "no write was acknowledged"),
        ("replicas", _replicas_differ, "replicas differ"),
    ],
)
def test_a_system_that_does_not_come_back_is_invalid(
    dissever: Callable, monkeypatch: pytest.MonkeyPatch, verb: str, answer: Any, told: str
) -> None:
    sound = getattr(SimulatedDeployment, verb)
    asked: list[str] = []

    async def answered(self: SimulatedDeployment, *arguments: Any) -> Any:
        asked.append(verb)
        if verb == "await_ready" and len(asked) == 1:
            return await sound(self, *arguments)
        return answer()

    monkeypatch.setattr(SimulatedDeployment, verb, answered)
    ran = dissever("test", "simulated", "-f", "partition", *SHORT)

    assert ran.status == 1, ran.text
    assert told in ran.text


@pytest.mark.timeout(900)
def test_no_seed_accuses_the_system_without_a_bug() -> None:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(_verdict, range(SEEDS), chunksize=10))

    assert [seed for seed, verdict in enumerate(verdicts) if verdict is not Verdict.VALID] == []


def _verdict(seed: int) -> Verdict:
    """Of a short run; two of three are of registers."""
    is_few = seed % 6 == 1
    return attempt(
        Options(
            system="simulated",
            workload="set" if seed % 3 == 2 else "register",
            backend=SIMULATED,
            faults=tuple(FAULTS[seed % 4].split(",")),
            nodes=numbered(5),
            concurrency=10,
            rate=50,
            time_limit_s=6,
            operation_limit_s=1,
            fault_interval_s=2,
            seed=seed,
            trace=False,
            workload_options={"values": 3} if is_few else {},
        )
    ).verdict
