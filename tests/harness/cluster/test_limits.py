"""Limits of processor and memory: the kernel's word for them, on each backend."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from dissever.harness.cluster import Cluster, NodeState, Program
from dissever.nemesis import Backend, Need
from dissever.nemesis.needs import missing

pytestmark = pytest.mark.cluster

Open: TypeAlias = Callable[[int], Awaitable[Any]]
Python: TypeAlias = Callable[..., Program]

WAIT_S = 20.0
BUSY = "while True: pass"
GREEDY = """
kept = []
while True:
    kept.append(bytearray(1 << 20))
"""


@pytest.fixture(autouse=True)
def _can_limit(backend: str) -> None:
    absent = missing(Need.CGROUPS, Backend(backend))
    if absent is not None:
        pytest.skip(f"{absent.reason}; {absent.remedy}")


async def until(ask: Callable[[], Awaitable[Any]], is_so: Callable[[Any], bool]) -> Any:
    """Ask again until the answer is as wanted, and return it."""
    deadline = time.monotonic() + WAIT_S
    while not is_so(answer := await ask()):
        assert time.monotonic() < deadline, f"still {answer}"
        await asyncio.sleep(0.02)
    return answer


async def until_read(cluster: Cluster, controller: str, name: str) -> Any:
    """The readings of n1, once a number of theirs is not 0."""
    read = await until(lambda: cluster.readings("n1"), lambda seen: bool(seen[controller][name]))
    return read[controller]


def test_share_of_a_processor_holds_over_a_restart_until_it_is_lifted(
    open_cluster: Open, python: Python
) -> None:
    async def run() -> None:
        async with await open_cluster(2) as cluster:
            for node in cluster.nodes:
                await cluster.start(node, python(BUSY))
            before = await cluster.readings("n1")
            limited = await cluster.limit("n1", cpus=0.05)  # Less than a busy machine gives.
            throttled = await until_read(cluster, "cpu", "throttled")
            await cluster.kill("n1")
            await cluster.start("n1")
            again = await until_read(cluster, "cpu", "throttled")

            assert before == {}
            assert (limited["cpu"]["limit"], limited["cpu"]["pids"]) == (0.05, 1)
            assert (throttled["limit"], again["limit"], again["pids"]) == (0.05, 0.05, 1)
            assert await cluster.readings("n2") == {}
            await cluster.lift("n1")
            assert await cluster.readings("n1") == {}
            await cluster.lift("n1")

    asyncio.run(run())


def test_node_that_wants_more_memory_than_it_may_have_is_ended(
    open_cluster: Open, python: Python
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            limited = await cluster.limit("n1", memory_bytes=32 << 20)
            await cluster.start("n1", python(GREEDY))
            read = await until_read(cluster, "memory", "oom_kills")
            await until(lambda: cluster.status("n1"), lambda seen: seen.state is NodeState.GONE)

            assert limited["memory"]["limit"] == read["limit"] == 32 << 20
            assert read["reached"] > 0
            assert [(end.exit_status, end.is_asked) for end in cluster.exits] == [(-9, False)]
            await cluster.lift("n1")
            assert await cluster.readings("n1") == {}

    asyncio.run(run())


def test_memory_that_is_enough_is_not_reached(open_cluster: Open, python: Python) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", python("import time; time.sleep(600)"))
            limited = (await cluster.limit("n1", memory_bytes=1 << 30))["memory"]

            assert limited == {"limit": 1 << 30, "pids": 1, "reached": 0, "oom_kills": 0}
            await cluster.lift("n1")
            assert await cluster.readings("n1") == {}
            assert (await cluster.status("n1")).incarnation == 1

    asyncio.run(run())


@pytest.mark.parametrize("backend", ["namespaces"], indirect=True)
def test_groups_of_version_2_are_those_of_the_kernel_where_it_has_them(
    open_cluster: Open, python: Python
) -> None:
    groups = Path("/sys/fs/cgroup")
    if not (groups / "cgroup.controllers").exists():
        pytest.skip("the control groups of this machine are version 1")

    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", python(BUSY))
            await cluster.limit("n1", cpus=0.05, memory_bytes=64 << 20)
            (group,) = groups.glob("dissever-*/n1")

            assert (group / "cpu.max").read_text().split()[0] == "5000"
            assert (group / "memory.max").read_text().strip() == str(64 << 20)
            assert len((group / "cgroup.procs").read_text().split()) == 1
            await cluster.lift("n1")
            assert not group.exists()
            assert await cluster.readings("n1") == {}

    asyncio.run(run())
