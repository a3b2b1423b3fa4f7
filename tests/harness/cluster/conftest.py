"""
What the tests of real clusters share: opening one, and waiting for what is not yet so.

Tests of the contract run on each backend; a test of one alone says so, with `on_namespaces`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from dissever.harness.cluster import Cluster, Program, engine
from dissever.harness.cluster.containers import ContainersCluster
from dissever.harness.cluster.namespaces import NamespacesCluster, probe

Open: TypeAlias = Callable[[int], Awaitable[NamespacesCluster | ContainersCluster]]
Until: TypeAlias = Callable[[Callable[[], bool]], Awaitable[None]]

WAIT_S = 5.0

LISTENER = """
import os, socket, sys
server = socket.create_server(("0.0.0.0", 7000))
print("listening", os.getcwd(), flush=True)
print("complaining", file=sys.stderr, flush=True)
while True:
    connection, _ = server.accept()
    connection.sendall(b"hello")
    connection.close()
"""


@pytest.fixture(scope="session")
def namespaces_work() -> None:
    """Skip what needs namespaces where they do not work, with the reason."""
    missing = probe()
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")


@pytest.fixture(scope="session")
def containers_work() -> None:
    """Skip what needs containers where they do not work, with the reason."""
    missing = engine.probe()
    if missing is not None:
        pytest.skip(f"{missing.reason} ({missing.remedy})")


@pytest.fixture(params=["namespaces", pytest.param("containers", marks=pytest.mark.docker)])
def backend(request: pytest.FixtureRequest) -> str:
    """Where the nodes of this test run."""
    request.getfixturevalue(f"{request.param}_work")
    return str(request.param)


@pytest.fixture
def interpreter(backend: str) -> str:
    """The Python that nodes can run."""
    return sys.executable if backend == "namespaces" else "python3"


@pytest.fixture
def open_cluster(tmp_path: Path, backend: str) -> Open:
    """Open a cluster of so many nodes, n1 and on. The test closes it."""

    async def opened(count: int) -> NamespacesCluster | ContainersCluster:
        nodes = [f"n{number}" for number in range(1, count + 1)]
        if backend == "namespaces":
            return await NamespacesCluster.open(nodes, directory=tmp_path / "nodes")
        return await ContainersCluster.open(nodes, directory=tmp_path / "nodes", ports=[7000])

    return opened


@pytest.fixture
def python(interpreter: str) -> Callable[..., Program]:
    """A node that runs a Python script, with arguments."""

    def program(script: str, *arguments: str) -> Program:
        return Program([interpreter, "-I", "-S", "-c", script, *arguments], {})

    return program


@pytest.fixture
def listener(python: Callable[..., Program]) -> Program:
    """A node that says hello to any client that connects to port 7000."""
    return python(LISTENER)


@pytest.fixture
def until() -> Until:
    """Wait until something is so; fail when it is not in time."""

    async def wait(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not is_so():
            assert time.monotonic() < deadline, "did not become so in time"
            await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def hello() -> Callable[[Cluster, str], Awaitable[bytes]]:
    """Dial a listener until it listens, and return what it says."""

    async def ask(cluster: Cluster, node: str) -> bytes:
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                connection = await cluster.dial(node, 7000, timeout_s=WAIT_S)
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, f"{node} does not listen"
                await asyncio.sleep(0.005)
                continue
            with connection:
                answer = asyncio.get_running_loop().sock_recv(connection, 16)
                return await asyncio.wait_for(answer, WAIT_S)

    return ask
