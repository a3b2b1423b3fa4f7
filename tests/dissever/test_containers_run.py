"""Real runs of dqlite in containers from the command line; they need a Docker engine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dissever.harness.cluster import engine
from dissever.harness.plan import Options
from dissever.systems import load

pytestmark = pytest.mark.docker

OPTIONS = Options(
    system="dqlite",
    workload="register",
    backend="containers",
    system_options={"version": "debian12,debian13"},
)


def left_of_ours() -> list[str]:
    """What the engine still has of runs of this process; other runs may go on meanwhile."""
    owner = engine.labels("")["dissever.owner"]
    wanted = {"label": f"dissever.owner={owner}"}
    with contextlib.closing(engine.connect()) as client:
        containers = client.containers.list(all=True, filters=wanted, ignore_removed=True)
        networks, volumes = (
            client.networks.list(filters=wanted),
            client.volumes.list(filters=wanted),
        )
        return [str(each.name) for each in (*containers, *networks, *volumes)]


@pytest.fixture(autouse=True)
def _can_run() -> None:
    missing = load("dqlite").probe(OPTIONS)
    if missing is not None:
        pytest.skip(f"dqlite cannot run in containers: {missing.reason}; {missing.remedy}")


def test_mixed_versions_under_every_fault_are_judged_and_nothing_is_left(
    dissever: Callable, runs: Path
) -> None:
    words = [
        "test",
        "dqlite",
        "--backend",
        "containers",
        "-w",
        "register",
        "-n",
        "3",
        "-t",
        "10",
        "--seed",
        "11",
    ]
    ran = dissever(*words, "-f", "partition,kill,pause", "--version", "debian12,debian13")

    run = runs / "latest"
    results = json.loads((run / "results.json").read_text())
    plan = json.loads((run / "plan.json").read_text())
    verdicts = {result["checker"]: result["verdict"] for result in results["results"]}
    ready = [
        json.loads((run / "nodes" / node / "stdout-1.log").read_text().splitlines()[0])
        for node in ("n1", "n2", "n3")
    ]
    assert ran.status == 0, ran.text
    assert verdicts == dict.fromkeys(verdicts, "valid")
    assert "--backend containers" in plan["command"]
    assert "libdqlite0 1.18.1" in plan["versions"]["dissever/dqlite:debian13"]
    assert [each["library"]["version_number"] for each in ready] == [11000, 11800, 11000]
    assert not (run / "nodes" / "n1" / "data").exists(), "a valid run drops the nodes' data"
    assert left_of_ours() == []


def test_engine_of_another_machine_runs_all_the_same(
    dissever: Callable, runs: Path, far_engine: Callable[[str], None]
) -> None:
    far_engine("127.0.0.1")
    words = ["test", "dqlite", "--backend", "containers", "-n", "3", "-t", "8", "--seed", "4"]
    ran = dissever(*words, "-f", "replace-member", "--fault-interval", "3", "--rate", "20")

    faults = [
        json.loads(line)
        for line in (runs / "latest" / "history.jsonl").read_text().splitlines()
        if '"replace-member"' in line
    ]
    assert ran.status == 0, ran.text
    assert any(each["f"] == "stop-replace-member" for each in faults)
    assert (runs / "latest" / "nodes" / "n1" / "stdout-1.log").read_text()
    assert left_of_ours() == []


def test_doctor_names_the_engine_and_its_images(dissever: Callable) -> None:
    found = {
        each["what"]: each for each in json.loads(dissever("doctor", "--json").text)["machine"]
    }

    assert found["containers"]["available"]
    assert "dissever/dqlite:debian13 (libdqlite0 1.18.1-1)" in found["images"]["detail"]


def test_heal_finds_nothing_after_runs_that_ended(dissever: Callable) -> None:
    dissever("heal")  # What others left behind, who were killed.
    healed = dissever("heal")

    assert healed.status == 0
    assert healed.text.strip() == "nothing was left behind"


def test_rolling_upgrade_under_writes_is_seen_in_each_process_and_loses_nothing(
    dissever: Callable, runs: Path
) -> None:
    ran = dissever(
        *("test", "dqlite", "-w", "set", "-n", "3", "-t", "9", "--seed", "5", "-f", "upgrade"),
        *("--backend", "containers", "--fault-interval", "9", "--rate", "100"),
        *("--version", "debian12", "--upgrade-to", "debian13"),
    )

    lines = (runs / "latest" / "history.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    (upgraded,) = [e["value"] for e in events if e["f"] == "start-upgrade" and e["type"] == "info"]
    seen = upgraded["evidence"]["nodes"]
    assert ran.status == 0, ran.text
    assert upgraded["to"] == "debian13"
    assert {each["library_before"]["sha256"] for each in seen.values()}.isdisjoint(
        each["library"]["sha256"] for each in seen.values()
    )
