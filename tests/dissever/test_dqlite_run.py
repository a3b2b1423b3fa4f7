"""Real runs of dqlite from the command line, and a harness that is killed in the middle of one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dissever.systems import load

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def _can_run() -> None:
    missing = load("dqlite").probe()
    if missing is not None:
        pytest.skip(f"dqlite cannot run here: {missing.reason}; {missing.remedy}")


@pytest.mark.parametrize("workload", ["register", "set"])
def test_dqlite_under_every_fault_is_judged_and_reported(
    dissever: Callable, runs: Path, workload: str
) -> None:
    ran = dissever(
        "test", "dqlite", "-w", workload, "-f", "partition,kill,pause", "-t", "10", "--seed", "11"
    )

    run = runs / "latest"
    results = json.loads((run / "results.json").read_text())
    verdicts = {result["checker"]: result["verdict"] for result in results["results"]}
    assert ran.status == 0, ran.text
    assert verdicts == dict.fromkeys(verdicts, "valid")
    assert (run / "index.html").exists()
    assert "ready" in (run / "nodes" / "n1" / "stdout-1.log").read_text()
    assert not (run / "nodes" / "n1" / "data").exists(), "a valid run drops the nodes' data"


def test_killed_harness_leaves_nothing_and_its_history_is_judged(
    dissever: Callable, tmp_path: Path
) -> None:
    runs = tmp_path / "killed"
    harness = _start("-f", "partition,kill,pause", "-t", "60", "--runs", str(runs))
    try:
        _wait(lambda: _events(runs) > 300, "300 events")
        nodes = _node_processes(runs)
        assert len(nodes) >= 3
    finally:
        harness.kill()
        harness.wait()
    _wait(lambda: not _node_processes(runs), "no process of a node is left")
    ran = dissever("check", str(runs / "latest"))

    assert ran.status == 2, ran.text
    assert "the harness ended before the run did" in ran.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_heals_and_is_judged(tmp_path: Path, number: signal.Signals) -> None:
    runs = tmp_path / "interrupted"
    harness = _start("-f", "pause", "-t", "60", "--runs", str(runs))
    try:
        _wait(lambda: _events(runs) > 100, "100 events")
        harness.send_signal(number)
        status = harness.wait(timeout=30)
    finally:
        harness.kill()
        harness.wait()

    results = json.loads((runs / "latest" / "results.json").read_text())
    assert status == 2
    assert "interrupted" in results["why"]
    assert not _node_processes(runs)


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dissever", "test", "dqlite", "-q", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _events(runs: Path) -> int:
    history = runs / "latest" / "history.jsonl"
    return history.read_bytes().count(b"\n") if history.exists() else 0


def _node_processes(runs: Path) -> list[int]:
    """The nodes whose working folder is among this test's runs."""
    found = []
    for pid, line in _command_lines():
        with contextlib.suppress(OSError):
            if "dqlite.node" in line and str(runs) in str(Path(f"/proc/{pid}/cwd").readlink()):
                found.append(pid)
    return found


def _command_lines() -> Iterator[tuple[int, str]]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                line = (process / "cmdline").read_bytes()
            except OSError:
                continue
            yield int(process.name), line.replace(b"\0", b" ").decode(errors="replace")


def _wait(condition: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        time.sleep(0.02)


def _struck_from_outside(runs: Path, part: str, *options: str) -> tuple[int, str]:
    """A run, one process of which is killed from outside: its exit status, and its results."""
    harness = _start("-t", "5", "-n", "3", "--runs", str(runs), *options)
    try:
        _wait(lambda: _events(runs) > 300, "300 events")
        os.kill(next(pid for pid in _descendants(harness.pid) if part in _command(pid)), 9)
        status = harness.wait(timeout=120)
    finally:
        harness.kill()
        harness.wait()
    return status, json.loads((runs / "latest" / "results.json").read_text())["why"]


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


@pytest.mark.parametrize("faults", [(), ("-f", "disk-slow:all")])
def test_node_that_is_killed_from_outside_makes_a_run_invalid(
    tmp_path: Path, faults: tuple[str, ...]
) -> None:
    status, why = _struck_from_outside(tmp_path / "runs", "--id 2 ", *faults)

    assert status == 1, why
    assert "n2: process 1 ended by SIGKILL" in why


@pytest.mark.parametrize(
    ("part", "options"),
    [("cluster/keeper", ("-f", "kill")), ("faultfs mount", ("-f", "disk-slow:all", "-t", "10"))],
)
def test_part_of_ours_that_is_killed_never_accuses_the_system(
    tmp_path: Path, part: str, options: tuple[str, ...]
) -> None:
    status, why = _struck_from_outside(tmp_path / "runs", part, *options)

    assert status == 2, why
    assert "a part of the harness was lost" in why
