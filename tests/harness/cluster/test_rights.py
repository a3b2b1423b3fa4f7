"""What a node has of the harness's environment and rights, as the kernel shows it; real nodes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from dissever.harness.cluster import Cluster, Hosts, Program
from dissever.harness.cluster.namespaces import NamespacesCluster

pytestmark = pytest.mark.cluster

Open: TypeAlias = Callable[[int], Awaitable[Any]]
Python: TypeAlias = Callable[..., Program]
Until: TypeAlias = Callable[[Callable[[], bool]], Awaitable[None]]
Hello: TypeAlias = Callable[[Cluster, str], Awaitable[bytes]]

on_namespaces = pytest.mark.parametrize("backend", ["namespaces"], indirect=True)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")

SECRET = "DISSEVER_TEST_TOKEN"
SLEEP = "import time; time.sleep(600)"
NOBODY = 65534
DAC_READ_SEARCH = 1 << 2
KINDS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")

ORDINARY = """
import asyncio, os, sys
from pathlib import Path
if not os.access(sys.executable, os.X_OK):  # It may be in root's home.
    sys.executable = "/usr/bin/python3"
from dissever.harness.cluster import Program
from dissever.harness.cluster.namespaces import NamespacesCluster

async def run():
    async with await NamespacesCluster.open(["n1"], directory=Path(sys.argv[1])) as cluster:
        status = await cluster.start("n1", Program(["sleep", "600"], {"COLOUR": "red"}))
        print(status.pid, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(run())
"""

LOW_PORT = """
import socket
server = socket.create_server(("0.0.0.0", 80))
print("listening", flush=True)
server.accept()
"""


def environment(pid: int) -> Mapping[str, str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(word.split("=", 1) for word in words if word)


def status(pid: int) -> Mapping[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def rights(pid: int) -> Mapping[str, int]:
    return {kind: int(status(pid)[kind], 16) for kind in KINDS}


def inside(pid: int) -> list[int]:
    """Every process in the PID namespace of this one."""
    space = os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115 - What it says is no path.
    found = []
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if each.name.isdigit() and os.readlink(each / "ns" / "pid") == space:  # noqa: PTH115
                found.append(int(each.name))
    return found


def test_node_has_no_right_and_gains_none(open_cluster: Open, python: Python) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            for _ in range(2):  # A restart gives no more than the start did.
                pid = (await cluster.start("n1", python(SLEEP))).pid

                assert rights(pid) == dict.fromkeys(KINDS, 0)
                assert status(pid)["NoNewPrivs"] == "1"
                await cluster.kill("n1")

    asyncio.run(run())


@on_namespaces
def test_node_that_refuses_root_sees_itself_as_nobody(open_cluster: Open, python: Python) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            program = replace(python(SLEEP), as_nobody=True)
            for _ in range(2):
                pid = (await cluster.start("n1", program)).pid

                assert Path(f"/proc/{pid}/uid_map").read_text().split()[0] == str(NOBODY)
                assert Path(f"/proc/{pid}/gid_map").read_text().split()[0] == str(NOBODY)
                assert rights(pid) == dict.fromkeys(KINDS, 0)
                assert status(pid)["NoNewPrivs"] == "1"
                await cluster.kill("n1")
                assert not Path(f"/proc/{pid}").exists()

    asyncio.run(run())


def test_secret_of_the_harness_is_in_no_process_of_a_cluster(
    open_cluster: Open, python: Python, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor in the helpers of faults: a node's namespace of processes shows all of them."""
    monkeypatch.setenv(SECRET, "hunter2")

    async def run() -> None:
        async with await open_cluster(1) as cluster:
            program = python(SLEEP)
            said = Program(program.argv, {"COLOUR": "red"})
            pid = (await cluster.start("n1", said)).pid
            await cluster.spawn("n1", "helper", ["sleep", "600"])

            assert environment(pid)["COLOUR"] == "red"
            assert "PATH" in environment(pid)
            for each in inside(pid):
                assert SECRET not in environment(each)
            asked = await cluster.command("n1", ["sh", "-c", "env"])
            assert SECRET not in asked.stdout

    asyncio.run(run())


@on_namespaces
def test_node_has_a_few_named_variables_alone(
    open_cluster: Open, python: Python, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "SSH_AUTH_SOCK", "DOCKER_HOST", "HOME"):
        monkeypatch.setenv(name, "secret")

    async def run() -> None:
        async with await open_cluster(1) as cluster:
            has = environment((await cluster.start("n1", python(SLEEP))).pid)

            assert set(has) <= {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH"}
            assert (has["TZ"], has["LANG"]) == ("Europe/Berlin", "C.UTF-8")
            assert has["PATH"] == os.environ["PATH"]

    asyncio.run(run())


@pytest.fixture
def ordinary() -> Iterator[Path]:
    """A folder that belongs to an ordinary user."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@as_root
@pytest.mark.usefixtures("namespaces_work")
def test_node_of_an_ordinary_user_has_as_little(ordinary: Path) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv (util-linux) is not installed")
    user = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
    with subprocess.Popen(
        [*user, sys.executable, "-c", ORDINARY, str(ordinary)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, SECRET: "hunter2"},
        text=True,
    ) as harness:
        assert harness.stdout is not None
        assert harness.stderr is not None
        line = harness.stdout.readline()
        if not line:
            pytest.skip(f"an ordinary user has no namespaces here: {harness.stderr.read()[-500:]}")
        pid = int(line)

        assert status(pid)["Uid"].split() == [str(NOBODY)] * 4
        assert rights(pid) == dict.fromkeys(KINDS, 0)
        assert status(pid)["NoNewPrivs"] == "1"
        assert SECRET not in environment(pid)
        assert environment(pid)["COLOUR"] == "red"
        harness.communicate()
    assert harness.returncode == 0


@as_root
@on_namespaces
@pytest.mark.usefixtures("backend")
def test_node_in_the_home_of_another_user_may_search_folders_and_no_more(ordinary: Path) -> None:
    home = ordinary / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)

    async def run() -> None:
        async with await NamespacesCluster.open(["n1"], directory=home / "nodes") as cluster:
            pid = (await cluster.start("n1", Program(["sleep", "600"], {}))).pid
            assert pid is not None

            assert rights(pid)["CapEff"] == DAC_READ_SEARCH
            assert rights(pid)["CapBnd"] == DAC_READ_SEARCH
            assert status(pid)["NoNewPrivs"] == "1"

    asyncio.run(run())


def test_node_without_rights_listens_on_any_port(
    open_cluster: Open, python: Python, until: Until
) -> None:
    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", python(LOW_PORT))
            log = cluster.directory("n1") / "stdout-1.log"
            await until(lambda: log.exists() and log.read_text() == "listening\n")

            (await cluster.dial("n1", 80, timeout_s=5.0)).close()

    asyncio.run(run())


def test_node_cannot_look_into_the_process_above_it(
    open_cluster: Open, python: Python, until: Until
) -> None:
    """PID 1 of its namespace has rights, and descriptors that lead to the harness."""
    names = ("environ", "maps", "mem", "fd/0", "root/", "cwd/")
    look = f"""
import os
for name in {names}:
    try:
        os.stat("/proc/1/" + name) if "/" in name else open("/proc/1/" + name, "rb").read(1)
        print(name, "open", flush=True)
    except PermissionError as error:
        print(name, "closed", flush=True)
"""

    async def run() -> None:
        async with await open_cluster(1) as cluster:
            await cluster.start("n1", python(look))
            await until(lambda: bool(cluster.exits))
            seen = (cluster.directory("n1") / "stdout-1.log").read_text()

            assert seen.splitlines() == [f"{name} closed" for name in names]

    asyncio.run(run())


@pytest.mark.parametrize("trap", ["link", "pipe"])
def test_log_is_not_written_where_a_node_points(
    open_cluster: Open, python: Python, tmp_path: Path, trap: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")

    async def run() -> None:
        async with await open_cluster(1) as cluster:
            log = cluster.directory("n1") / "stdout-1.log"
            log.parent.mkdir(exist_ok=True)
            if trap == "link":
                log.symlink_to(victim)
            else:
                os.mkfifo(log)
            with pytest.raises(OSError, match=r"stdout-1|symbolic|plain|device"):
                await cluster.start("n1", python("print('written')"))

            log.unlink()
            assert (await cluster.start("n1", python(SLEEP))).incarnation == 1

    asyncio.run(run())
    assert victim.read_text() == "untouched"


@on_namespaces
def test_faults_of_clocks_still_take_hold_of_a_node_without_rights(
    tmp_path: Path, backend: str, python: Python, until: Until
) -> None:
    hosts = Hosts(own_clocks=True)

    async def run() -> None:
        async with await NamespacesCluster.open(["n1"], tmp_path, hosts) as cluster:
            own_clock = cluster.clock("n1")
            assert own_clock is not None
            Path(own_clock.file).write_text("+1000000000\n")
            pid = (await cluster.start("n1", python("import time; print(time.time())"))).pid
            await until(lambda: bool(cluster.exits))
            said = float((cluster.directory("n1") / "stdout-1.log").read_text())

            assert said > Path("/proc/self").stat().st_mtime + 500_000_000
            assert pid is not None

    try:
        asyncio.run(run())
    except FileNotFoundError as error:
        pytest.skip(str(error))
