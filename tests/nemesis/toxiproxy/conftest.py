"""A real Toxiproxy server, and servers for it to stand before."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dissever.nemesis.toxiproxy import Dial, Toxiproxy, server

HOST = "127.0.0.1"
UP_S = 5.0


@pytest.fixture(scope="session")
def program() -> Path:
    """The server's program; without one these tests are skipped."""
    found = server.find()
    if not isinstance(found, Path):
        pytest.skip(f"{found.reason} ({found.remedy})")
    return found


@pytest.fixture
def dial(program: Path) -> Iterator[Dial]:
    """Connects to a server that runs."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    command = [program, "-host", HOST, "-port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + UP_S
            while True:
                try:
                    socket.create_connection((HOST, port), 1.0).close()
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < end, "the server did not come up"
                    time.sleep(0.01)

            async def connected() -> socket.socket:
                return socket.create_connection((HOST, port), 1.0)

            yield connected
        finally:
            process.kill()


@pytest.fixture
def toxiproxy(dial: Dial) -> Toxiproxy:
    return Toxiproxy(dial)


@pytest.fixture
def echo() -> Iterator[str]:
    """The address of a server that sends everything back; at the end of a request it says `bye`."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with self.request as connection:
                while data := connection.recv(65536):
                    connection.sendall(data)
                connection.sendall(b"bye")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A connection that a toxic has reset is no error."""

    with Server((HOST, 0), Echo) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield f"{HOST}:{made.server_address[1]}"
        made.shutdown()


@pytest.fixture
def connect() -> Iterator[Callable[[str], socket.socket]]:
    made: list[socket.socket] = []

    def connected(address: str) -> socket.socket:
        host, _, port = address.rpartition(":")
        made.append(socket.create_connection((host, int(port)), 5.0))
        return made[-1]

    yield connected
    for each in made:
        each.close()
