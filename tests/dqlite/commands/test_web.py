"""The HTTP server against clients that do not behave."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from dqlite.commands import web
from dqlite.commands.web import Answer, Request, Server


class Recorder:
    """A service that echoes, and what was observed of it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.observed: list[tuple[str, int]] = []

    def serve(self, request: Request) -> Answer:
        self.requests.append(request)
        return Answer(f"{request.method} {request.path} {request.body!r}")

    def observe(self, method: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.observed.append((method, status))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def port(recorder: Recorder) -> Iterator[int]:
    with closing(Server("127.0.0.1:0", recorder.serve, recorder.observe)) as server:
        yield server.server_address[1]


def exchange(port: int, sent: bytes) -> bytes:
    """Send bytes, and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_requests_of_one_connection_are_answered_in_turn(port: int, recorder: Recorder) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        for method, path, body in (("PUT", "/a%2Fb?x=1", b"v"), ("GET", "/c", b"")):
            client.request(method, path, body)
            answer = client.getresponse()

            assert answer.status == 200
            assert answer.read().startswith(method.encode())
    assert recorder.requests == [Request("PUT", "/a/b", b"v"), Request("GET", "/c", b"")]
    assert recorder.observed == [("PUT", 200), ("GET", 200)]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"PUT /k HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413),
        (b"PUT /k HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"PUT /k HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", 400),
        (b"PUT /k HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (b"PUT /k HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET /%ff HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"k" * 70000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 70000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\n\r\n", 501),
    ],
)
def test_request_that_breaks_a_limit_or_a_rule_is_refused(
    port: int, recorder: Recorder, sent: bytes, expected: int
) -> None:
    assert status(exchange(port, sent)) == expected
    assert recorder.requests == []


def test_body_that_ends_early_is_not_served(port: int, recorder: Recorder) -> None:
    assert exchange(port, b"PUT /k HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf") == b""
    assert recorder.requests == []


def test_methods_that_clients_make_up_are_one_label(port: int, recorder: Recorder) -> None:
    exchange(port, b"BREW / HTTP/1.1\r\n\r\n")

    assert recorder.observed == [("other", 501)]


def test_request_that_drips_is_cut_off(
    port: int, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "REQUEST_S", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    client.sendall(b"G")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            answer = client.recv(65536)
        except ConnectionResetError:
            answer = b""
        finally:
            stop.set()
            thread.join()

    assert answer == b""
    assert recorder.requests == []


def test_too_many_connections_are_refused_and_then_served_again(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "CONNECTIONS_MAX", 2)
    with closing(Server("127.0.0.1:0", recorder.serve, recorder.observe)) as server:
        port = server.server_address[1]
        with ExitStack() as idle:
            for _ in range(2):
                idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))

            assert status(exchange(port, b"GET / HTTP/1.0\r\n\r\n")) == 503
        deadline = time.monotonic() + 10
        while (answer := exchange(port, b"GET / HTTP/1.0\r\n\r\n")) and status(answer) == 503:
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert status(answer) == 200
