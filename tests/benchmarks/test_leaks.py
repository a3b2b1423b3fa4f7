"""What watches for leaks sees each kind of leak; a few interrupted runs leave none."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dissever.harness.cluster import ClusterLost, engine, namespaces, trial
from dissever.systems import load

ROOT = Path(__file__).resolve().parents[2]
LEAKS = ROOT / "benchmarks" / "leaks.py"
SLEEP = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")


def _benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, LEAKS.with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


inventory = _benchmark("inventory")
interruptions = _benchmark("interruptions")


class Watched:
    """A program that starts what it is told, in the background, and what is known of it."""

    def __init__(self, folder: Path, engine: Any = None) -> None:
        (folder / "tmp").mkdir()
        self.folder = folder
        mark = uuid.uuid4().hex  # Another of these tests may run at the same time.
        self.process = subprocess.Popen(
            ["sh"], stdin=subprocess.PIPE, env={**os.environ, inventory.MARK: mark}, cwd=folder
        )
        self.inventory = inventory.Inventory(self.process.pid, mark, folder, engine)

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def left(self) -> set[str]:
        return {thing.kind for thing in self.inventory.remains()}

    def await_process(self) -> None:
        while len(self.inventory.remains()) < 2:  # The shell, and what it started.
            pass


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    it = Watched(tmp_path)
    try:
        yield it
    finally:
        it.end()
        it.inventory.remove()


def test_the_seed_settles_a_run_and_every_way_has_its_turn() -> None:
    def drawn(seed: int) -> list[Any]:
        faults = ("kill", "clock-jump", "monotonic-jump")
        return [
            interruptions.draw(number, faults, seed=seed, backend="namespaces")
            for number in range(100)
        ]

    assert drawn(1) == drawn(1) != drawn(2)
    ways = [each.way for each in drawn(1)]
    assert all(sum(map(ways.count, own)) == 25 for own in interruptions.WAYS.values())
    assert not any({"clock-jump", "monotonic-jump"} <= {*each.faults} for each in drawn(1))


def test_a_program_that_left_nothing_left_nothing(watched: Watched) -> None:
    with subprocess.Popen(SLEEP) as other:  # Of somebody else, at the same time.
        watched.inventory.observe()
        watched.end()

        assert watched.left() == set()
        other.kill()


def test_an_orphan_is_known_by_its_environment(watched: Watched) -> None:
    watched.say("setsid sleep 60 &")
    watched.await_process()
    watched.end()

    assert watched.left() == {"process"}
    watched.inventory.remove()
    while watched.left():
        pass


def test_an_orphan_without_its_environment_is_known_by_its_descent(watched: Watched) -> None:
    watched.say("env -i setsid sleep 60 &")
    watched.await_process()
    watched.inventory.observe()
    watched.end()

    assert watched.left() == {"process"}


def test_who_lives_in_a_namespace_of_the_program_is_its_own(watched: Watched) -> None:
    if namespaces.probe() is not None:
        pytest.skip("no namespaces can be made here")
    watched.say("unshare -Urn sleep 60 &")
    while "namespace" not in watched.left():
        pass
    watched.end()

    assert watched.left() == {"process", "namespace"}


def test_folders_and_sockets_are_seen(watched: Watched) -> None:
    (watched.folder / "tmp" / "draft").mkdir()
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(watched.folder):
        listening.bind("control")
    watched.end()

    assert watched.left() == {"folder", "socket"}


@needs_root
def test_a_mount_is_seen(watched: Watched) -> None:
    place = watched.folder / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", place], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    watched.end()
    left = watched.left()
    subprocess.run(["umount", place], check=True)

    assert left == {"mount"}


@needs_root
def test_a_control_group_is_seen_and_removed(watched: Watched) -> None:
    if trial.missing_limits() is not None:
        pytest.skip("no control groups can be made here")
    at = Path("/sys/fs/cgroup")
    parent = at if (at / "cgroup.controllers").exists() else at / "memory"
    (parent / f"dissever-{watched.process.pid}").mkdir()
    watched.end()

    assert watched.left() == {"control group"}
    watched.inventory.remove()
    assert watched.left() == set()


@pytest.mark.docker
def test_what_an_engine_keeps_is_seen_and_removed(tmp_path: Path, docker_client: Any) -> None:
    watched = Watched(tmp_path, docker_client)
    start = Path(f"/proc/{watched.process.pid}/stat").read_text().split()[21]
    labels = {inventory.OWNER: f"boot space {watched.process.pid} {start}"}
    others = {inventory.OWNER: f"boot space {watched.process.pid} 1"}
    ours = docker_client.networks.create("dissever-test-ours", labels=labels)
    theirs = docker_client.networks.create("dissever-test-theirs", labels=others)
    try:
        watched.inventory.observe_engine()
        watched.end()

        left = watched.inventory.remains()
        assert {"interface", "network"} <= {thing.kind for thing in left}
        assert {t.name for t in left if t.kind == "network"} == {"dissever-test-ours"}
        watched.inventory.remove()
        assert watched.left() == set()
    finally:
        watched.inventory.remove()
        theirs.remove()
    assert ours.id


@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_interrupted_runs_leave_nothing(run_leaks: Callable[..., Any], tmp_path: Path) -> None:
    told = tmp_path / "runs.json"
    which = ("--runs", "6", "--within", "2", "--seed", "4", "--faults", "kill,pause,partition,stop")
    ran = run_leaks(*which, "--json", str(told))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    runs = json.loads(told.read_text())
    assert sum(run["is_interrupted"] for run in runs) == 6
    assert max(run["made"] for run in runs) > 3, "nodes ran"


@pytest.mark.cluster
def test_a_leak_is_told_with_the_line_that_repeats_it(
    run_leaks: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import tempfile; tempfile.mkdtemp()")
    ran = run_leaks("--only", "1", "--within", "0.5", "--faults", "kill", PYTHONPATH=str(tmp_path))

    assert ran.returncode == 1
    assert "folder: " in ran.stdout
    assert "again: " in ran.stdout
    assert "--only 1" in ran.stdout


@pytest.fixture
def run_leaks(tmp_path: Path) -> Callable[..., Any]:
    if load("dqlite").probe() is not None:
        pytest.skip("dqlite cannot run here")

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(LEAKS), *arguments],
            env={**os.environ, "TMPDIR": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def docker_client() -> Iterator[Any]:
    try:
        client = engine.connect()
    except ClusterLost as error:
        pytest.skip(str(error))
    with contextlib.closing(client):
        yield client
