"""Limits are believed when the kernel reads them back; one that was never reached is idle."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.cluster import trial
from dissever.harness.cluster.keeper import cgroups, kernel
from dissever.harness.cluster.keeper.cgroups import Groups, readings_in

CPU = ("limit-cpu", "start-limit-cpu", {"targets": ["n2"], "cpus": 0.1})
LIFT_CPU = ("limit-cpu", "stop-limit-cpu")
MEMORY = ("limit-memory", "start-limit-memory", {"targets": ["n2"], "memory_bytes": 1 << 24})
LIFT_MEMORY = ("limit-memory", "stop-limit-memory")


def test_a_share_of_a_processor_is_read_back_and_lifted(
    cluster: Any, nemeses_of: Any, play: Any
) -> None:
    struck, healed = play(nemeses_of(cluster, "limit-cpu"), CPU, LIFT_CPU)

    assert struck.value["evidence"]["held"] is True
    assert struck.value["evidence"]["nodes"]["n2"]["limit"] == 0.1
    assert healed.value["evidence"]["healed"] is True
    assert cluster.limits == {}


def test_a_limit_that_is_not_there_did_not_hold(
    make_cluster: Any, nemeses_of: Any, play: Any
) -> None:
    cluster = make_cluster(5, lies={"limit"})
    (struck,) = play(nemeses_of(cluster, "limit-cpu"), CPU)

    assert struck.value["evidence"]["held"] is False


def test_a_limit_that_stays_did_not_heal(make_cluster: Any, nemeses_of: Any, play: Any) -> None:
    cluster = make_cluster(5, lies={"lift"})
    _, healed = play(nemeses_of(cluster, "limit-cpu"), CPU, LIFT_CPU)

    assert healed.value["evidence"]["healed"] is False


@pytest.mark.parametrize(("reached", "is_idle"), [(7, False), (0, True)])
def test_a_limit_of_memory_that_was_never_reached_was_idle(
    cluster: Any, nemeses_of: Any, play: Any, reached: int, is_idle: bool
) -> None:
    cluster.effects = {"reached": reached, "oom_kills": 0}
    struck, healed = play(nemeses_of(cluster, "limit-memory"), MEMORY, LIFT_MEMORY)

    assert struck.value["evidence"]["held"] is True
    assert struck.value["evidence"]["nodes"]["n2"]["incarnation"] == 2
    assert bool(healed.value["evidence"].get("idle")) is is_idle
    assert healed.value["evidence"]["healed"] is True


def test_a_node_that_the_kernel_ended_is_started_again(
    cluster: Any, nemeses_of: Any, play: Any, run: Any
) -> None:
    cluster.effects = {"reached": 1, "oom_kills": 1}
    nemeses = nemeses_of(cluster, "limit-memory")
    play(nemeses, MEMORY)
    run(cluster.kill("n2"))
    (healed,) = play(nemeses, LIFT_MEMORY)

    assert healed.value["evidence"]["nodes"]["n2"]["state"] == "running"


@pytest.mark.skipif(
    trial.missing_limits() is not None, reason="no control groups for us on this machine"
)
def test_real_groups_hold_a_process_and_leave_nothing_behind() -> None:
    groups = Groups(os.getpid())
    child = os.fork()
    if child == 0:
        signal.pause()
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        groups.limit("n1", [child], 0.5, None)
        assert groups.readings("n1")["cpu"] == {"limit": 0.5, "pids": 1, "throttled": 0}
        groups.lift("n1")
        assert groups.readings("n1") == {}
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        groups.clear(proc)
        os.close(proc)


FILES_V1 = {
    "cpu/docker/c0/cgroup.procs": "7\n",
    "cpu/docker/c0/cpu.cfs_quota_us": "20000\n",
    "cpu/docker/c0/cpu.stat": "nr_periods 9\nnr_throttled 4\nthrottled_time 5\n",
    "memory/docker/c0/cgroup.procs": "7\n8\n",
    "memory/docker/c0/memory.limit_in_bytes": "9223372036854771712\n",
    "memory/docker/c0/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
    "memory/docker/c0/memory.failcnt": "0\n",
}
FILES_V2 = {
    "cgroup.controllers": "cpu memory\n",
    "docker/c0/cgroup.procs": "7\n8\n",
    "docker/c0/cpu.max": "20000 100000\n",
    "docker/c0/cpu.stat": "usage_usec 1\nnr_periods 9\nnr_throttled 4\n",
    "docker/c0/memory.max": "1048576\n",
    "docker/c0/memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n",
}


def made(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


def test_groups_of_a_container_are_read_in_version_1(tmp_path: Path) -> None:
    groups = "4:memory:/docker/c0\n1:cpu,cpuacct:/docker/c0\n0::/\n"
    read = readings_in(made(tmp_path, FILES_V1), groups)

    assert read["cpu"] == {"limit": 0.2, "pids": 1, "throttled": 4}
    assert read["memory"] == {"limit": None, "pids": 2, "reached": 0, "oom_kills": 0}


def test_groups_of_a_container_are_read_in_version_2(tmp_path: Path) -> None:
    read = readings_in(made(tmp_path, FILES_V2), "0::/docker/c0\n")

    assert read["cpu"] == {"limit": 0.2, "pids": 2, "throttled": 4}
    assert read["memory"] == {"limit": 1 << 20, "pids": 2, "reached": 3, "oom_kills": 1}


@pytest.mark.parametrize("files", [FILES_V1, FILES_V2])
def test_process_that_has_ended_has_no_groups(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(ProcessLookupError):
        readings_in(made(tmp_path, files), "4:memory:/\n1:cpu:/\n0::/\n")


def test_both_limits_of_a_node_are_lifted_where_they_share_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In version 2 a group that was removed for one controller is gone for the other."""
    monkeypatch.setattr(cgroups, "_ROOT", str(tmp_path))
    monkeypatch.setattr(kernel, "write", lambda path, text: Path(path).write_text(text))
    monkeypatch.setattr(cgroups, "_remove", shutil.rmtree)  # As the kernel removes its files too.
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    groups = Groups(7)
    groups.limit("n1", [12], 0.5, 1 << 26)
    group = tmp_path / "dissever-7" / "n1"

    assert (group / "cpu.max").read_text() == "50000 100000"
    assert (group / "memory.max").read_text() == str(1 << 26)
    groups.lift("n1")
    assert not group.exists()
    assert (tmp_path / "cgroup.procs").read_text() == "12"
    groups.lift("n1")
