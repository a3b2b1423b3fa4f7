"""Over real sockets: who is answered, and by whom nothing else is kept waiting."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissever.web import Server

Get = Callable[..., Any]
Keep = Callable[..., Path]


@pytest.fixture
def run(runs: Path, keep_run: Keep) -> Path:
    return keep_run(runs, 1)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:{port}", "127.0.0.1", "localhost", "127.0.0.1:1"),
        *("0.0.0.0:{port}", "127.0.0.1:{port}.evil.example", "localhost.evil.example:{port}"),
        *("[::1]:{port}", "user@127.0.0.1:{port}", "127.1:{port}", "2130706433:{port}"),
    ],
)
def test_other_hosts_are_refused(host: str, get: Get, server: Server, run: Path) -> None:
    """As a name would be that its owner lets lead to this machine."""
    answer = get("/", host=host.format(port=server.server_address[1]))

    assert answer.status == 421
    assert b"dqlite" not in answer.body


def test_host_is_asked_for_and_must_be_one(
    send: Callable[[bytes], Any], server: Server, run: Path
) -> None:
    port = server.server_address[1]
    own = f"Host: 127.0.0.1:{port}\r\n".encode()
    for head in (b"", own + b"Host: evil.example\r\n", b"Host: evil.example\r\n" + own):
        assert send(b"GET / HTTP/1.1\r\n" + head + b"\r\n").status == 421
    assert send(b"GET / HTTP/1.0\r\n\r\n").status == 421
    assert send(b"GET http://evil.example/ HTTP/1.1\r\n" + own + b"\r\n").status == 400
    assert send(b"GET / HTTP/1.1\r\nhost: LOCALHOST:%d\r\n\r\n" % port).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_nothing_but_get(method: str, get: Get, run: Path) -> None:
    answer = get("/", method=method)

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_head_has_no_body(get: Get, run: Path) -> None:
    answer = get("/", method="HEAD")

    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 1000


@pytest.mark.parametrize(
    "nonsense",
    [
        *(b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\r\n"),
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"b" * 100_000 + b"\r\n\r\n",
    ],
)
def test_nonsense_does_not_end_the_server(nonsense: bytes, server: Server, get: Get) -> None:
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(nonsense)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert b" 200 " not in answer
    assert get("/").status == 200


def test_slow_client_is_let_go_and_others_are_answered(server: Server, get: Get) -> None:
    with socket.create_connection(server.server_address[:2], timeout=20) as slow:
        slow.sendall(b"GET / HT")

        assert get("/").status == 200
        assert slow.recv(100) == b""


def test_too_many_connections_are_refused_until_some_are_free(server: Server, get: Get) -> None:
    address = server.server_address[:2]
    waiting = [socket.create_connection(address, timeout=20) for _ in range(8)]
    with socket.create_connection(address, timeout=20) as one_more:
        assert b" 503 " in one_more.recv(200)
    for each in waiting:
        each.close()
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\n\r\n".encode()
    answer = b""
    while b" 200 " not in answer:  # Until they are let go: the limit of the test ends it.
        with socket.create_connection(address, timeout=20) as again:
            again.sendall(request)
            answer = again.recv(200)


def test_client_that_reads_nothing_holds_nobody_else(
    server: Server, get: Get, run: Path, runs: Path
) -> None:
    with (run / "nodes" / "n1" / "large.log").open("wb") as file:
        file.truncate(64 << 20)
    path = f"/file/{run.relative_to(runs)}/nodes/n1/large.log"
    with socket.create_connection(server.server_address[:2], timeout=20) as lazy:
        host = f"Host: 127.0.0.1:{server.server_address[1]}"
        lazy.sendall(f"GET {path} HTTP/1.1\r\n{host}\r\n\r\n".encode())

        assert b" 200 " in lazy.recv(100)
        assert get("/").status == 200


def test_it_listens_on_loopback_alone(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_address[1]}/"


def test_port_that_is_taken_is_an_error(server: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(server.server_address[1], lambda _: pytest.fail("nobody asks"))
