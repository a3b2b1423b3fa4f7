"""What the tests of real clusters share: opening one, and waiting for what is not yet so."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from dissever.harness.cluster import Program
from dissever.harness.cluster.namespaces import NamespacesCluster, probe

Open: TypeAlias = Callable[[int], Awaitable[NamespacesCluster]]
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


@pytest.fixture
def open_cluster(tmp_path: Path) -> Open:
    """Open a cluster of so many nodes, n1 and on. The test closes it."""

    async def opened(count: int) -> NamespacesCluster:
        nodes = [f"n{number}" for number in range(1, count + 1)]
        return await NamespacesCluster.open(nodes, directory=tmp_path / "nodes")

    return opened


@pytest.fixture
def python() -> Callable[..., Program]:
    """A node that runs a Python script, with arguments."""

    def program(script: str, *arguments: str) -> Program:
        return Program([sys.executable, "-I", "-S", "-c", script, *arguments], {})

    return program


@pytest.fixture
def listener(python: Callable[..., Program]) -> Program:
    """A node that says hello to whoever connects to port 7000."""
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
def hello() -> Callable[[NamespacesCluster, str], Awaitable[bytes]]:
    """Dial a listener until it listens, and return what it says."""

    async def ask(cluster: NamespacesCluster, node: str) -> bytes:
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
