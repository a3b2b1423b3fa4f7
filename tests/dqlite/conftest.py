"""Peers over socket pairs for what needs no server, and real nodes for what does."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TypeAlias

import pytest

from dqlite import errors
from dqlite.wire import codec
from dqlite.wire.schema import Request, Response

Behaviour: TypeAlias = Callable[[Request], Response | bytes | None]


class Peers:
    """
    Scripted servers, one behaviour each: a response, raw bytes (none: silence), or None to close.

    An address without a behaviour refuses connections.
    """

    def __init__(self, behaviours: Mapping[str, Behaviour]) -> None:
        self.received: list[tuple[str, Request]] = []
        self._behaviours = behaviours
        self._tasks: list[asyncio.Task[None]] = []

    async def dial(self, address: str) -> socket.socket:
        if address not in self._behaviours:
            raise ConnectionRefusedError(111, "Connection refused")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._tasks.append(asyncio.create_task(self._serve(address, theirs)))
        return ours

    async def _serve(self, address: str, end: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with closing(end), suppress(ConnectionError):
            assert await loop.sock_recv(end, len(codec.HANDSHAKE)) in (codec.HANDSHAKE, b"")
            while frame := await loop.sock_recv(end, 65536):
                header = codec.decode_header(frame)
                request = codec.decode_request(header, frame[codec.HEADER_BYTES :])
                self.received.append((address, request))
                answer = self._behaviours[address](request)
                if answer is None:
                    return
                frame = answer if isinstance(answer, bytes) else codec.encode(answer)
                await loop.sock_sendall(end, frame)


@pytest.fixture
def peers() -> type[Peers]:
    return Peers


@pytest.fixture
def address() -> str:
    return _free_address()


@pytest.fixture
def ports() -> Callable[[], str]:
    """Gives a free address at each call."""
    return _free_address


@pytest.fixture
def addresses() -> list[str]:
    """Five free ones that differ."""
    with ExitStack() as held:
        servers = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(5)]
        return [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]


@pytest.fixture(scope="session")
def library() -> None:
    """Skip unless a real libdqlite can be loaded."""
    bindings = pytest.importorskip("dqlite.node.bindings")
    try:
        bindings.load()
    except errors.LibraryNotFound as missing:
        pytest.skip(missing.message)


class Program:
    """Nodes run by `python -m dqlite.node`, by id."""

    def __init__(self, directory: Path) -> None:
        self.addresses: dict[int, str] = {}
        self._directory = directory
        self._processes: dict[int, subprocess.Popen[str]] = {}

    def start(self, node_id: int, *options: str) -> str:
        """Start a node; return the line it printed."""
        address = self.addresses.setdefault(node_id, _free_address())
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "dqlite.node", "--id", str(node_id)),
                *("--address", address, "--data-dir", str(self._directory / str(node_id))),
                *("--network-latency-ms", "20", *options),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes[node_id] = process
        assert process.stdout is not None
        with process.stdout:
            return process.stdout.readline()

    def kill(self, node_id: int) -> None:
        process = self._processes[node_id]
        process.kill()
        process.wait()

    def terminate(self, node_id: int) -> int:
        """Return the exit status."""
        process = self._processes[node_id]
        process.terminate()
        return process.wait(timeout=10)

    def close(self) -> None:
        for node_id in self._processes:
            self.kill(node_id)


@pytest.fixture
def program(library: None, tmp_path: Path) -> Iterator[Program]:
    with closing(Program(tmp_path)) as running:
        yield running


@pytest.fixture(scope="session")
def node(library: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a node that leads, one for all tests that need no more."""
    with closing(Program(tmp_path_factory.mktemp("node"))) as running:
        running.start(1)
        yield running.addresses[1]


def _free_address() -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"
