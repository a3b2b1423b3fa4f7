"""What containers have of their own: images, volumes, ports, labels, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import docker
import pytest

from dissever.harness.cluster import ClusterLost, Hosts, Program, backends, engine
from dissever.harness.cluster.containers import ContainersCluster
from dissever.harness.cluster.keeper.agent import RELAY_PORT

pytestmark = [
    pytest.mark.docker,
    pytest.mark.parametrize("backend", ["containers"], indirect=True),
    pytest.mark.usefixtures("backend"),
]

Open: TypeAlias = Callable[[int], Awaitable[ContainersCluster]]
Python: TypeAlias = Callable[..., Program]
Until: TypeAlias = Callable[[Callable[[], bool]], Awaitable[None]]

WAIT_S = 30.0
SLEEPER = Program(["sleep", "600"], {})

HARNESS = """
import asyncio, os, sys
from pathlib import Path
from dissever.harness.cluster import Program
from dissever.harness.cluster.containers import ContainersCluster

async def run(folder, fault):
    async with await ContainersCluster.open(["n1", "n2"], Path(folder), ports=[7000]) as cluster:
        print(cluster.run, flush=True)
        for node in cluster.nodes:
            await cluster.start(node, Program(["sleep", "600"], {}))
        await cluster.drop({"n1": frozenset({"n2"})})
        await cluster.pause("n2")
        if fault == "raise":
            raise RuntimeError("on purpose")
        print("ready", flush=True)
        await asyncio.sleep(600)

asyncio.run(run(*sys.argv[1:]))
"""

CAPABILITIES = """
words = [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")]
print(words[0], flush=True)
"""
WRITE = "open('data/mark', 'w').write('kept')"


@pytest.fixture
def client(backend: str) -> Iterator[Any]:
    """A client of the engine."""
    with contextlib.closing(engine.connect()) as opened:
        yield opened


def made_by(client: Any, run: str) -> list[str]:
    """The names of the containers, networks and volumes of a run."""
    wanted = {"label": f"{engine.RUN}={run}"}
    containers = client.containers.list(all=True, filters=wanted, ignore_removed=True)
    networks, volumes = client.networks.list(filters=wanted), client.volumes.list(filters=wanted)
    return [each.name for each in (*containers, *networks, *volumes)]


def wait_until_gone(client: Any, run: str) -> None:
    """Fail when something of a run is still there in the end."""
    deadline = time.monotonic() + WAIT_S
    while left := made_by(client, run):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


def start_harness(folder: Path, fault: str = "none") -> tuple[subprocess.Popen[str], str]:
    """A harness in a process of its own, and its run; two nodes are about to be started."""
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(folder), fault],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert harness.stdout is not None
    return harness, harness.stdout.readline().strip()


def test_close_removes_everything(open_cluster: Open, client: Any) -> None:
    async def run() -> str:
        cluster = await open_cluster(2)
        await cluster.start("n1", SLEEPER)
        assert len(made_by(client, cluster.run)) == 4  # Two hosts, a node, a network.
        await cluster.close()

        assert made_by(client, cluster.run) == []
        await cluster.close()
        with pytest.raises(ClusterLost, match="closed"):
            await cluster.status("n1")
        return cluster.run

    assert not reapers_of(asyncio.run(run()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_killed_harness_leaves_nothing_behind(
    tmp_path: Path, client: Any, number: signal.Signals
) -> None:
    harness, run = start_harness(tmp_path)
    with harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == "ready\n"
        assert len(made_by(client, run)) == 5
        os.killpg(harness.pid, number)  # As a terminal does; the reaper is in no such group.
        harness.communicate(timeout=WAIT_S)

    wait_until_gone(client, run)


@pytest.mark.parametrize("delay_s", [0.0, 0.3])
def test_harness_killed_while_it_starts_nodes_leaves_nothing_behind(
    tmp_path: Path, client: Any, delay_s: float
) -> None:
    harness, run = start_harness(tmp_path)
    with harness:
        time.sleep(delay_s)
        harness.kill()

    wait_until_gone(client, run)
    wait_until_reaped(run)
    assert made_by(client, run) == []


def wait_until_reaped(run: str) -> None:
    """The reaper looks again, until nothing comes any more."""
    deadline = time.monotonic() + WAIT_S
    while reapers_of(run):
        assert time.monotonic() < deadline, "the reaper does not end"
        time.sleep(0.05)


def reapers_of(run: str) -> list[int]:
    """The PIDs of the reapers of a run."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            with contextlib.suppress(OSError):
                words = (each / "cmdline").read_bytes().split(b"\0")
                if run.encode() in words and any(w.endswith(b"reaper.py") for w in words):
                    found.append(int(each.name))
    return found


def test_exception_leaves_nothing_behind(tmp_path: Path, client: Any) -> None:
    harness, run = start_harness(tmp_path, "raise")
    with harness:
        _, errors = harness.communicate(timeout=WAIT_S)

    assert "RuntimeError: on purpose" in errors
    assert made_by(client, run) == []


def test_what_a_harness_and_its_reaper_left_behind_goes_with_the_next_run(
    tmp_path: Path, client: Any, open_cluster: Open
) -> None:
    harness, left = start_harness(tmp_path)
    with harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == "ready\n"
        (reaper,) = reapers_of(left)
        os.kill(reaper, signal.SIGKILL)
        harness.kill()
        harness.communicate(timeout=WAIT_S)
    assert made_by(client, left)

    async def run() -> None:
        async with await open_cluster(1) as other:
            assert made_by(client, left) == []
            assert len(engine.reap(client)) == 0, "a run that goes on is not left behind"
            assert len(made_by(client, other.run)) == 2

    asyncio.run(run())


def test_nodes_end_with_the_harness_although_nobody_removes_them(
    tmp_path: Path, client: Any
) -> None:
    harness, left = start_harness(tmp_path)
    with harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == "ready\n"
        (reaper,) = reapers_of(left)
        os.kill(reaper, signal.SIGKILL)
        harness.kill()
        harness.communicate(timeout=WAIT_S)
    try:
        deadline = time.monotonic() + WAIT_S
        while client.containers.list(filters={"label": f"{engine.RUN}={left}"}):
            assert time.monotonic() < deadline, "still running"
            time.sleep(0.05)
    finally:
        engine.reap(client, left)


def capabilities(words: str) -> set[str]:
    """What the kernel says that a process may do."""
    names = {1: "DAC_OVERRIDE", 5: "KILL", 12: "NET_ADMIN", 19: "SYS_PTRACE", 21: "SYS_ADMIN"}
    return {names.get(bit, str(bit)) for bit in range(64) if int(words, 16) >> bit & 1}


PTRACE = {"SYS_PTRACE"} if os.getuid() else set()
"""Root's processes are root's to look at."""


@pytest.mark.parametrize(
    ("hosts", "rights"),
    [
        (Hosts(changes_network=False), {"DAC_OVERRIDE", "KILL"} | PTRACE),
        (Hosts(), {"DAC_OVERRIDE", "KILL", "NET_ADMIN"} | PTRACE),
    ],
)
def test_node_has_no_right_and_its_host_only_those_that_faults_need(
    tmp_path: Path, python: Python, until: Until, client: Any, hosts: Hosts, rights: set[str]
) -> None:
    async def run() -> None:
        async with await ContainersCluster.open(["n1"], tmp_path, hosts, ports=[7000]) as cluster:
            await cluster.start("n1", python(f"{CAPABILITIES}\nimport time; time.sleep(600)"))
            log = cluster.directory("n1") / "stdout-1.log"
            await until(lambda: log.exists() and "\n" in log.read_text())
            host = await cluster.command("n1", ["python3", "-c", CAPABILITIES])

            assert capabilities(log.read_text()) == set()
            assert capabilities(host.stdout) == rights
            wanted = {"label": f"{engine.RUN}={cluster.run}"}
            made = [each.attrs["HostConfig"] for each in client.containers.list(filters=wanted)]
            assert [each["Privileged"] for each in made] == [False, False]
            bound = [each["PortBindings"] for each in made if each["PortBindings"]]
            assert {port["HostIp"] for ports in bound for p in ports.values() for port in p} == {
                "127.0.0.1"
            }

    asyncio.run(run())


def test_disk_of_a_node_is_full_when_it_is_and_kept_at_the_end(
    tmp_path: Path, python: Python, until: Until, client: Any
) -> None:
    fill = f"{WRITE}\nopen('data/big', 'wb').write(bytes(32 << 20))"

    async def run() -> str:
        hosts = Hosts(disk_mb=16)
        async with await ContainersCluster.open(["n1"], tmp_path, hosts, ports=[]) as cluster:
            await cluster.start("n1", python(fill))
            await until(lambda: bool(cluster.exits))
            output = (cluster.directory("n1") / "stderr-1.log").read_text()
            assert "No space left on device" in output
            await cluster.start("n1", python("print(open('data/mark').read())"))
            await until(lambda: len(cluster.exits) == 2)
            assert not (cluster.directory("n1") / "data" / "mark").exists()
            return cluster.run

    left = asyncio.run(run())
    assert (tmp_path / "n1" / "stdout-2.log").read_text() == "kept\n"
    assert (tmp_path / "n1" / "data" / "mark").read_text() == "kept"
    assert made_by(client, left) == []


def test_disk_of_a_node_can_be_made_to_fail_and_nothing_stays_mounted(
    tmp_path: Path, python: Python, until: Until
) -> None:
    missing = backends.missing_faulty_disks()
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")
    data = tmp_path / "n1" / "data"

    async def run() -> None:
        hosts = Hosts(faulty_disks=True)
        async with await ContainersCluster.open(["n1"], tmp_path, hosts, ports=[]) as cluster:
            words = "rule", "r", "do=fail", "op=write", "errno=EIO"
            await cluster.start("n1", python(WRITE))
            await until(lambda: bool(cluster.exits))
            given = await cluster.command("n1", [*cluster.disk("n1").ask, *words])
            assert given.exit_status == 0, given.stderr
            await cluster.start("n1", python("open('data/other', 'wb', 0).write(b'no')"))
            await until(lambda: len(cluster.exits) == 2)
            assert data.is_mount()

    asyncio.run(run())
    assert "Input/output error" in (tmp_path / "n1" / "stderr-2.log").read_text()
    assert not data.is_mount()
    assert (data / "mark").read_text() == "kept"


def test_disks_that_are_small_and_fail_are_refused(tmp_path: Path) -> None:
    hosts = Hosts(faulty_disks=True, disk_mb=64)
    with pytest.raises(OSError, match="not both"):
        asyncio.run(ContainersCluster.open(["n1"], tmp_path, hosts, ports=[]))


def test_clock_of_a_node_is_its_own(tmp_path: Path, python: Python, until: Until) -> None:
    # Not time.sleep: libfaketime 0.9.10 refuses the clock_nanosleep of Python 3.11.
    pause = "select.select([], [], [], 0.05)"
    tell = f"import select, time\nwhile True: print(int(time.time()), flush=True); {pause}"

    async def run() -> None:
        hosts = Hosts(own_clocks=True)
        async with await ContainersCluster.open(["n1"], tmp_path, hosts, ports=[]) as cluster:
            own_clock = cluster.clock("n1")
            assert own_clock is not None
            await cluster.start("n1", python(tell))
            log = cluster.directory("n1") / "stdout-1.log"
            await until(lambda: "\n" in log.read_text())
            assert abs(int(log.read_text().split()[0]) - time.time()) < 60
            await cluster.command("n1", ["sh", "-c", f"echo +7200 > {own_clock.file}"])
            await until(lambda: int(log.read_text().split("\n")[-2]) > time.time() + 7000)

    asyncio.run(run())


def test_connections_through_proxies_do_not_wait_for_long(tmp_path: Path) -> None:
    setting = ["cat", "/proc/sys/net/ipv4/tcp_syn_retries"]

    async def run() -> None:
        hosts = Hosts(proxies=True)
        async with await ContainersCluster.open(["n1"], tmp_path, hosts, ports=[]) as cluster:
            assert (await cluster.command("n1", setting)).stdout == "1\n"

    asyncio.run(run())


def test_image_that_is_not_there_is_an_error_and_no_incarnation(open_cluster: Open) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            with pytest.raises(FileNotFoundError, match="docker/build"):
                await cluster.start("n1", Program(["true"], {}, image="dissever/none:none"))

            assert (await cluster.start("n1", SLEEPER)).incarnation == 1

    asyncio.run(run())


def test_node_comes_back_in_another_image_on_the_same_data(
    open_cluster: Open, python: Python, until: Until, client: Any
) -> None:
    other = "dissever/dqlite:debian13"
    with contextlib.suppress(docker.errors.ImageNotFound):
        client.images.get(other)
        asyncio.run(_come_back(open_cluster, python, until, other))
        return
    pytest.skip(f"the engine has no image {other} (run docker/build)")


async def _come_back(open_cluster: Open, python: Python, until: Until, image: str) -> None:
    read = "print(open('/etc/debian_version').read()[:2], open('data/mark').read())"
    async with await open_cluster(1) as cluster:
        await cluster.start("n1", python(WRITE))
        await until(lambda: len(cluster.exits) == 1)
        await cluster.start("n1", Program(["python3", "-c", read], {}, image=image))
        await until(lambda: len(cluster.exits) == 2)

        assert (cluster.directory("n1") / "stdout-2.log").read_text() == "13 kept\n"


@pytest.mark.parametrize(
    ("address", "published_on"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::1", "::1")],
)
def test_engine_of_another_machine_has_the_data_until_the_end(
    tmp_path: Path,
    python: Python,
    listener: Program,
    until: Until,
    hello: Callable[..., Awaitable[bytes]],
    far_engine: Callable[[str], None],
    client: Any,
    address: str,
    published_on: str,
) -> None:
    """By TCP: nothing of ours can be mounted, and ports are published where that engine is."""
    far_engine(address)

    async def run() -> str:
        async with await ContainersCluster.open(["n1"], tmp_path, ports=[7000]) as cluster:
            await cluster.start("n1", python(WRITE))
            await until(lambda: bool(cluster.exits))
            await cluster.start("n1", listener)
            wanted = {"label": f"{engine.RUN}={cluster.run}"}
            made = [each.attrs["HostConfig"] for each in client.containers.list(filters=wanted)]
            ports = next(each["PortBindings"] for each in made if each["PortBindings"])

            assert {each["HostIp"] for port in ports.values() for each in port} == {published_on}
            assert set(ports) == {"7000/tcp", f"{RELAY_PORT}/tcp"}
            assert await hello(cluster, "n1") == b"hello"
            assert not (cluster.directory("n1") / "data" / "mark").exists()
        return cluster.run

    left = asyncio.run(run())
    assert (tmp_path / "n1" / "data" / "mark").read_text() == "kept"
    assert made_by(client, left) == []
