"""A server on a folder of runs, and requests that are written byte by byte."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dissever.web import Server, Site


@dataclass(frozen=True)
class Got:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture
def server(runs: Path) -> Iterator[Server]:
    runs.mkdir(exist_ok=True)
    made = Server(0, Site(runs).answer, connections_max=8, request_s=1.0)
    made.start()
    yield made
    made.close()


@pytest.fixture
def send(server: Server) -> Callable[[bytes], Got]:
    """Send bytes, and read the answer to its end."""

    def ask(request: bytes) -> Got:
        with socket.create_connection(server.server_address[:2], timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return Got(int(first.split(" ")[1]), headers, body)

    return ask


@pytest.fixture
def get(server: Server, send: Callable[[bytes], Got]) -> Callable[..., Got]:
    """GET a path that is sent as it is."""

    def ask(path: str | bytes, *headers: str, method: str = "GET", host: str = "") -> Got:
        raw = path if isinstance(path, bytes) else path.encode()
        name = host or f"127.0.0.1:{server.server_address[1]}"
        lines = [f"Host: {name}", *headers, "", ""]
        return send(method.encode() + b" " + raw + b" HTTP/1.1\r\n" + "\r\n".join(lines).encode())

    return ask
