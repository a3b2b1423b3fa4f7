"""Nodes' processes: started, ended, paused, and their status."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from dissever.harness.cluster import Cluster, Exit, NodeState, NodeStatus, Program

pytestmark = pytest.mark.cluster

on_namespaces = pytest.mark.parametrize("backend", ["namespaces"], indirect=True)

Open: TypeAlias = Callable[[int], Awaitable[Any]]
Python: TypeAlias = Callable[..., Program]
Until: TypeAlias = Callable[[Callable[[], bool]], Awaitable[None]]
Hello: TypeAlias = Callable[[Cluster, str], Awaitable[bytes]]

SLEEPER = Program(["sleep", "600"], {})

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
print(open("/proc/self/stat").read().split()[0], flush=True)
time.sleep(600)
"""
PERSISTENT = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
ORPHANING = """
import os, time
if os.fork() == 0:
    time.sleep(600)
os._exit(3)
"""
OBEDIENT = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
time.sleep(600)
"""


def said(cluster: Cluster, node: str, incarnation: int = 1) -> str:
    """What a node's process wrote to its stdout."""
    return (cluster.directory(node) / f"stdout-{incarnation}.log").read_text()


def is_there(pid: int | None) -> bool:
    """Whether there is a process with this PID, as the harness sees it."""
    assert pid is not None
    return Path(f"/proc/{pid}").exists()


def state_letter(pid: int) -> str:
    """What the harness's own /proc says of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_node_that_never_ran_says_so(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            nothing = NodeStatus(NodeState.NEVER_STARTED, 0, None, None)

            assert await cluster.status("n1") == nothing
            assert await cluster.kill("n1") == nothing
            assert await cluster.stop("n1", timeout_s=1) == nothing
            assert await cluster.pause("n1") == nothing
            with pytest.raises(ValueError, match="no program"):
                await cluster.start("n1")

    asyncio.run(run())


def test_process_runs_in_its_folder_and_its_output_is_kept(
    open_cluster: Open, listener: Program, hello: Hello
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            status = await cluster.start("n1", listener)
            folder = cluster.directory("n1")
            seen = str(folder) if cluster.backend == "namespaces" else "/node"

            assert status.state is NodeState.RUNNING
            assert is_there(status.pid)
            assert await hello(cluster, "n1") == b"hello"
            assert said(cluster, "n1") == f"listening {seen}\n"
            assert (folder / "stderr-1.log").read_text() == "complaining\n"
            assert (folder / "data").is_dir()

    asyncio.run(run())


def test_killed_node_comes_back_as_another_process(
    open_cluster: Open, listener: Program, hello: Hello
) -> None:
    async def run() -> None:
        async with await open_cluster(2) as cluster:
            first = await cluster.start("n1", listener)
            await hello(cluster, "n1")
            killed = await cluster.kill("n1")

            assert killed == NodeStatus(NodeState.GONE, 1, None, -signal.SIGKILL)
            assert not is_there(first.pid)
            with pytest.raises(ConnectionRefusedError):
                await cluster.dial("n1", 7000, timeout_s=10)

            second = await cluster.start("n1")

            assert second == NodeStatus(NodeState.RUNNING, 2, second.pid, -signal.SIGKILL)
            assert second.pid != first.pid
            assert await hello(cluster, "n1") == b"hello"
            assert said(cluster, "n1", 2).startswith("listening")
            assert cluster.exits == (Exit("n1", 1, -signal.SIGKILL, is_asked=True),)

    asyncio.run(run())


def test_start_of_a_node_that_runs_is_nothing(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            first = await cluster.start("n1", SLEEPER)

            assert await cluster.start("n1", SLEEPER) == first
            assert await cluster.start("n1") == first

    asyncio.run(run())


def test_stop_lets_a_process_end_by_itself(
    open_cluster: Open, python: Python, until: Until
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", python(OBEDIENT))
            await until(lambda: said(cluster, "n1") == "ready\n")

            assert (await cluster.stop("n1", timeout_s=5)).exit_status == 7

    asyncio.run(run())


def test_stop_kills_what_does_not_end_in_time(
    open_cluster: Open, python: Python, until: Until
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", python(PERSISTENT))
            await until(lambda: said(cluster, "n1") == "ready\n")

            assert (await cluster.stop("n1", timeout_s=0.05)).exit_status == -signal.SIGKILL

    asyncio.run(run())


def test_paused_node_is_silent_until_resumed(
    open_cluster: Open, listener: Program, hello: Hello
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            running = await cluster.start("n1", listener)
            await hello(cluster, "n1")
            paused = await cluster.pause("n1")

            assert paused.state is NodeState.PAUSED
            assert paused.pid == running.pid
            assert await cluster.pause("n1") == paused
            assert await cluster.status("n1") == paused
            with await cluster.dial("n1", 7000, timeout_s=1) as connection:
                answer = asyncio.get_running_loop().sock_recv(connection, 16)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(answer, 0.05)

                assert await cluster.resume("n1") == running
                answer = asyncio.get_running_loop().sock_recv(connection, 16)
                assert await asyncio.wait_for(answer, 5) == b"hello"

    asyncio.run(run())


def test_paused_node_can_be_killed(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", SLEEPER)
            await cluster.pause("n1")

            assert (await cluster.kill("n1")).exit_status == -signal.SIGKILL

    asyncio.run(run())


def test_faults_reach_a_child_in_a_session_of_its_own(
    open_cluster: Open, python: Python, until: Until
) -> None:
    async def run() -> None:
        async with await open_cluster(2) as cluster:
            main = await cluster.start("n1", python(DAEMON))
            other = await cluster.start("n2", SLEEPER)
            assert main.pid is not None
            assert other.pid is not None
            # Two lines: the main process and the daemon, whose parent is PID 1 by then.
            await until(lambda: said(cluster, "n1").count("\n") == 2)
            (daemon,) = set(same_network(main.pid)) - {main.pid}

            await cluster.pause("n1")
            assert (state_letter(main.pid), state_letter(daemon)) == ("T", "T")
            assert state_letter(other.pid) == "S"

            await cluster.resume("n1")
            assert "T" not in (state_letter(main.pid), state_letter(daemon))

            await cluster.kill("n1")
            assert not is_there(main.pid)
            await until(lambda: not is_there(daemon))  # PID 1 has yet to reap it.
            assert is_there(other.pid)

    asyncio.run(run())


def same_network(pid: int) -> list[int]:
    """The PIDs of the node's processes: those in the network of this one, but for the agent."""
    network = os.readlink(f"/proc/{pid}/ns/net")  # noqa: PTH115 - What it says is no path.
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                is_agent = b"agent.main()" in (each / "cmdline").read_bytes()
                if os.readlink(each / "ns/net") == network and not is_agent:  # noqa: PTH115
                    found.append(int(each.name))
            except OSError:
                continue
    return found


def test_process_that_ends_by_itself_is_known(
    open_cluster: Open, python: Python, until: Until
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", python("import os; os.abort()"))
            await until(lambda: bool(cluster.exits))

            assert cluster.exits == (Exit("n1", 1, -signal.SIGABRT, is_asked=False),)
            assert (await cluster.status("n1")).exit_status == -signal.SIGABRT

    asyncio.run(run())


def test_start_after_a_crash_ends_what_was_left_behind(
    open_cluster: Open, python: Python, until: Until
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", python(ORPHANING))
            await until(lambda: bool(cluster.exits))
            assert cluster.exits[0].exit_status == 3
            second = await cluster.start("n1", SLEEPER)

            assert second.incarnation == 2
            assert cluster.exits[0].time_ns < cluster.exits[0].next_ns
            assert second.pid is not None
            assert same_network(second.pid) == [second.pid]

    asyncio.run(run())


def test_program_that_cannot_be_executed_is_an_error(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            with pytest.raises(FileNotFoundError, match="/no/such/program"):
                await cluster.start("n1", Program(["/no/such/program"], {}))

            assert (await cluster.start("n1", SLEEPER)).incarnation == 1

    asyncio.run(run())


@on_namespaces
def test_environment_is_added_to_what_a_node_inherits(open_cluster: Open, until: Until) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start(
                "n1", Program(["sh", "-c", 'echo "$COLOUR $PATH"'], {"COLOUR": "red"})
            )
            await until(lambda: bool(cluster.exits))

            assert said(cluster, "n1") == f"red {os.environ['PATH']}\n"

    asyncio.run(run())


def test_cancelled_fault_is_finished_before_the_next(
    open_cluster: Open, python: Python, until: Until
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", python(PERSISTENT))
            await until(lambda: said(cluster, "n1") == "ready\n")
            stopping = asyncio.create_task(cluster.stop("n1", timeout_s=0.2))
            await asyncio.sleep(0)  # Once it has begun.
            stopping.cancel()

            assert (await cluster.start("n1")).incarnation == 2

    asyncio.run(run())


def test_many_faults_at_once_end_as_the_last_says(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(5) as cluster:
            for _ in range(5):
                await asyncio.gather(*(cluster.start(node, SLEEPER) for node in cluster.nodes))
                await asyncio.gather(*(cluster.pause(node) for node in cluster.nodes))
                await asyncio.gather(*(cluster.kill(node) for node in cluster.nodes))
            states = [await cluster.status(node) for node in cluster.nodes]

            assert {(each.state, each.incarnation) for each in states} == {(NodeState.GONE, 5)}
            assert len(cluster.exits) == 25

    asyncio.run(run())


def test_a_helper_outlives_the_node_that_it_helps(
    open_cluster: Open, interpreter: str, until: Until, tmp_path: Path
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", SLEEPER)
            script = "import time; print('helper', flush=True); time.sleep(600)"
            pid = await cluster.spawn("n1", "helper", [interpreter, "-I", "-S", "-c", script])
            log = tmp_path / "nodes" / "n1" / "helper.log"
            await until(lambda: log.read_text() == "helper\n")
            await cluster.pause("n1")
            await cluster.resume("n1")
            await cluster.kill("n1")

            assert Path(f"/proc/{pid}").exists()
            assert cluster.exits[-1].exit_status == -9
            with pytest.raises(FileNotFoundError):
                await cluster.spawn("n1", "none", ["/no/such/program"])

        assert not Path(f"/proc/{pid}").exists()

    asyncio.run(run())
