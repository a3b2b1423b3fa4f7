"""Limits are believed when the kernel reads them back; one of memory, when it was reached."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from dissever.harness.cluster import cgroups
from dissever.harness.cluster.keeper.cgroups import Groups

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


@pytest.mark.parametrize(("reached", "held"), [(7, True), (0, False)])
def test_a_limit_of_memory_holds_once_it_was_reached(
    cluster: Any, nemeses_of: Any, play: Any, reached: int, held: bool
) -> None:
    cluster.effects = {"reached": reached, "oom_kills": 0}
    struck, healed = play(nemeses_of(cluster, "limit-memory"), MEMORY, LIFT_MEMORY)

    assert struck.value["evidence"]["held"] is held
    assert struck.value["evidence"]["nodes"]["n2"]["incarnation"] == 2
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


@pytest.mark.skipif(cgroups.probe() is not None, reason="no control groups for us on this machine")
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
