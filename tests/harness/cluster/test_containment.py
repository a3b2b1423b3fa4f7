"""Nothing gets out of a cluster, and nothing outlives it, however the harness ends."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from dissever.harness.cluster import ClusterLost, Program
from dissever.harness.cluster.namespaces import NamespacesCluster

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize("backend", ["namespaces"], indirect=True),
    pytest.mark.usefixtures("backend"),
]

Open: TypeAlias = Callable[[int], Awaitable[NamespacesCluster]]
Python: TypeAlias = Callable[..., Program]
Until: TypeAlias = Callable[[Callable[[], bool]], Awaitable[None]]

GONE_S = 2.0
WAIT_S = 10.0

HARNESS = """
import asyncio, os, sys, time
from pathlib import Path
from dissever.harness.cluster import Program
from dissever.harness.cluster.namespaces import NamespacesCluster

async def run(folder, marker, fault):
    async with await NamespacesCluster.open(["n1", "n2", "n3"], directory=Path(folder)) as cluster:
        for node in cluster.nodes:
            await cluster.start(node, Program(["sleep", marker], {}))
        await cluster.drop({"n1": frozenset({"n2"})})
        await cluster.pause("n2")
        if fault == "raise":
            raise RuntimeError("on purpose")
        if fault.startswith("fork") and os.fork() == 0:
            os.closerange(0, 3)
            time.sleep(600)
        if fault == "fork and close":
            return
        print("ready", flush=True)
        if fault == "exit":
            sys.stdin.readline()
            os._exit(3)
        await asyncio.sleep(600)

asyncio.run(run(*sys.argv[1:]))
"""

OPEN_DESCRIPTORS = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
MOUNTS = """
import asyncio, sys
from pathlib import Path
from dissever.harness.cluster.namespaces import NamespacesCluster

def on_proc():
    return [line for line in open("/proc/self/mountinfo") if line.split()[4] == "/proc"]

async def run():
    before = on_proc()
    async with await NamespacesCluster.open(["n1"], directory=Path(sys.argv[1])):
        assert on_proc() == before, on_proc()
    assert on_proc() == before, on_proc()

asyncio.run(run())
"""
VISIBLE_PIDS = "import os; print(sum(name.isdigit() for name in os.listdir('/proc')))"


@pytest.fixture
def marker() -> str:
    """An argument of sleep that no other process has."""
    return f"600.{random.SystemRandom().randrange(10**12):012d}"


@pytest.fixture
def nothing_outside() -> Iterator[None]:
    """Fail when a test leaves an interface, a named namespace or a mount with the machine."""
    named = set(Path("/run/netns").glob("*"))
    mounts = proc_mounts()
    yield
    links = {each.name for each in Path("/sys/class/net").iterdir()}
    assert not links & {"bridge0", "node1", "node2", "node3"}
    assert set(Path("/run/netns").glob("*")) == named
    assert proc_mounts() == mounts


def proc_mounts() -> list[str]:
    """What is mounted on /proc, as this process sees it."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split()[4] == "/proc"]


def processes_with(marker: str) -> list[int]:
    """The PIDs of all processes that have this argument."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                if marker.encode() in (each / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(each.name))
            except OSError:
                continue
    return found


def start_harness(folder: Path, marker: str, fault: str) -> subprocess.Popen[str]:
    """A harness in a process of its own, with three nodes that run."""
    argv = [sys.executable, "-c", HARNESS, str(folder), marker, fault]
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def nodes_of(harness: subprocess.Popen[str], marker: str) -> list[int]:
    """The PIDs of its nodes, once it says that they run."""
    assert harness.stdout is not None
    assert harness.stdout.readline() == "ready\n"
    return [
        pid for pid in processes_with(marker) if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    ]


def wait_until_gone(pids: Collection[int]) -> None:
    """Fail when one of these processes is still there after `GONE_S`."""
    deadline = time.monotonic() + GONE_S
    while left := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.01)


@pytest.mark.usefixtures("nothing_outside")
def test_close_ends_everything_and_may_be_called_again(open_cluster: Open, marker: str) -> None:
    async def run() -> None:
        cluster = await open_cluster(3)
        for node in cluster.nodes:
            await cluster.start(node, Program(["sleep", marker], {}))
        await cluster.pause("n2")
        assert len(processes_with(marker)) == 3
        await cluster.close()

        assert processes_with(marker) == []
        await cluster.close()
        with pytest.raises(ClusterLost, match="closed"):
            await cluster.status("n1")

    asyncio.run(run())


@pytest.mark.usefixtures("nothing_outside")
def test_exception_leaves_nothing_behind(tmp_path: Path, marker: str) -> None:
    with start_harness(tmp_path, marker, "raise") as harness:
        _, errors = harness.communicate(timeout=WAIT_S)

    assert "RuntimeError: on purpose" in errors
    assert "ResourceWarning" not in errors
    assert processes_with(marker) == []


@pytest.mark.usefixtures("nothing_outside")
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, marker: str) -> None:
    with start_harness(tmp_path, marker, "none") as harness:
        assert len(nodes_of(harness, marker)) == 3
        os.killpg(harness.pid, signal.SIGINT)  # As a terminal does.
        _, errors = harness.communicate(timeout=WAIT_S)

    assert "KeyboardInterrupt" in errors
    assert processes_with(marker) == []


@pytest.mark.usefixtures("nothing_outside")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_killed_harness_leaves_nothing_behind(
    tmp_path: Path, marker: str, number: signal.Signals
) -> None:
    with start_harness(tmp_path, marker, "none") as harness:
        nodes = nodes_of(harness, marker)
        everyone = descendants(harness.pid)
        assert len(nodes) == 3
        assert len(everyone - set(nodes)) == 2, "the keeper's two processes"
        networks = {os.readlink(f"/proc/{pid}/ns/net") for pid in everyone}  # noqa: PTH115
        # The watchdog and PID 1 share one. A namespace that no process is in is no more.
        assert len(networks) == 4
        harness.send_signal(number)
        harness.communicate(timeout=WAIT_S)

    wait_until_gone(everyone)


def descendants(pid: int) -> set[int]:
    """The PIDs of a process's children, of theirs, and so on."""
    parents = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                stat = (each / "stat").read_text()
            except OSError:
                continue
            parents[int(each.name)] = int(stat.rpartition(")")[2].split()[1])
    found, seen = set(), {pid}
    while seen:
        seen = {child for child, parent in parents.items() if parent in seen}
        found |= seen
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.usefixtures("nothing_outside")
def test_harness_that_ends_without_a_word_leaves_nothing_behind(
    tmp_path: Path, marker: str
) -> None:
    with start_harness(tmp_path, marker, "exit") as harness:
        nodes = nodes_of(harness, marker)
        assert len(nodes) == 3
        harness.communicate("exit now\n", timeout=WAIT_S)

    assert harness.returncode == 3
    wait_until_gone(nodes)


@pytest.mark.usefixtures("nothing_outside")
def test_nothing_is_left_though_a_child_of_the_harness_still_holds_the_socket(
    tmp_path: Path, marker: str
) -> None:
    with start_harness(tmp_path, marker, "fork") as harness:
        nodes = nodes_of(harness, marker)
        harness.kill()
        harness.wait(WAIT_S)
        try:
            wait_until_gone(nodes)
        finally:
            (child,) = set(processes_with(marker)) - set(nodes)
            os.kill(child, signal.SIGKILL)


@pytest.mark.usefixtures("nothing_outside")
def test_close_does_not_wait_for_a_child_that_still_holds_the_socket(
    tmp_path: Path, marker: str
) -> None:
    with start_harness(tmp_path, marker, "fork and close") as harness:
        harness.communicate(timeout=WAIT_S / 2)

    assert harness.returncode == 0
    (child,) = processes_with(marker)
    os.kill(child, signal.SIGKILL)


@pytest.mark.usefixtures("nothing_outside")
def test_killed_keeper_is_a_lost_cluster(open_cluster: Open, marker: str) -> None:
    async def run() -> None:
        async with await open_cluster(2) as cluster:
            for node in cluster.nodes:
                await cluster.start(node, Program(["sleep", marker], {}))
            nodes = processes_with(marker)
            assert len(nodes) == 2
            await cluster.pause("n1")  # So that it does not end on a SIGTERM that comes through.
            stopping = asyncio.create_task(cluster.stop("n1", timeout_s=30))
            os.kill(keeper(), signal.SIGKILL)

            with pytest.raises(ClusterLost, match="keeper ended"):
                await stopping
            with pytest.raises(ClusterLost, match="keeper ended"):
                await cluster.dial("n1", 7000, timeout_s=1)
            wait_until_gone(nodes)

    asyncio.run(run())


def keeper() -> int:
    """The PID of the one keeper that this process has started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    (pid,) = [each for each in children if b"keeper" in Path(f"/proc/{each}/cmdline").read_bytes()]
    return int(pid)


def test_cluster_that_cannot_be_made_is_lost_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissever.harness.cluster.channel._KEEPER", "/no/keeper")

    with pytest.raises(ClusterLost, match="/no/keeper"):
        asyncio.run(NamespacesCluster.open(["n1"], directory=tmp_path))


@pytest.mark.parametrize("nodes", [[], ["n1", "n1"], ["../n1"], ["a/b"], [""]])
def test_unfit_names_are_refused(tmp_path: Path, nodes: list[str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        asyncio.run(NamespacesCluster.open(nodes, directory=tmp_path))


@pytest.mark.usefixtures("nothing_outside")
def test_two_clusters_do_not_meet(tmp_path: Path) -> None:
    async def run() -> None:
        names, pair = ["n1", "n2"], ("n1", "n2")
        async with (
            await NamespacesCluster.open(names, directory=tmp_path / "one") as one,
            await NamespacesCluster.open(names, directory=tmp_path / "two") as two,
        ):
            await one.drop({"n2": frozenset({"n1"})})
            await one.start("n1", Program(["sleep", "600"], {}))

            assert await one.reach([pair], timeout_s=0.1) == {pair: False}
            assert await two.reach([pair], timeout_s=5) == {pair: True}
            assert (await two.status("n1")).pid is None
            await one.close()
            assert await two.reach([pair], timeout_s=5) == {pair: True}

    asyncio.run(run())


def test_harness_stays_in_its_own_namespaces(open_cluster: Open) -> None:
    async def run() -> None:
        before = own_namespaces()
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", Program(["sleep", "600"], {}))

            assert own_namespaces() == before

    asyncio.run(run())


def test_mounts_of_a_cluster_do_not_show_where_mounts_are_shared(tmp_path: Path) -> None:
    shared = ["unshare", "--map-root-user", "--mount", "--propagation", "shared"]
    argv = [*shared, sys.executable, "-c", MOUNTS, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=WAIT_S, check=False)

    assert done.returncode == 0, done.stderr


def own_namespaces() -> dict[str, str]:
    return {each.name: os.readlink(each) for each in Path("/proc/self/ns").iterdir()}  # noqa: PTH115


@pytest.mark.parametrize(("script", "seen"), [(OPEN_DESCRIPTORS, "[0, 1, 2]"), (VISIBLE_PIDS, "2")])
def test_node_sees_nothing_of_the_harness(
    open_cluster: Open, python: Python, until: Until, script: str, seen: str
) -> None:
    async def run() -> None:
        async with await open_cluster(2) as cluster:
            await cluster.start("n1", python(script))
            await until(lambda: bool(cluster.exits))

            assert (cluster.directory("n1") / "stdout-1.log").read_text() == f"{seen}\n"

    asyncio.run(run())
