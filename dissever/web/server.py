"""
The HTTP server of `dissever serve`: loopback only, GET only, everything limited.

A page of another site must not read runs by way of a name that it lets lead to this machine, so a
request must name this server as its host. A connection carries one request. Its time, its size and
the number of connections are limited, so that a client that is slow, or many of them, only hurt
themselves.

Source: RFC 9110, RFC 9112; `http.server` does the parsing.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from dissever.harness.values import printable
from dissever.web.answers import Answer, Part, Request, refusal

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"
CONNECTIONS_MAX: Final = 64
REQUEST_S: Final = 10.0
"""For a whole request to come."""

ANSWER_S: Final = 10.0
"""For each part of an answer to be taken."""

PART_BYTES: Final = 256 << 10
DRAIN_S: Final = 0.5
DRAIN_PARTS: Final = 16

SAFE: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
"""Of every answer."""


class Server(ThreadingHTTPServer):
    """Listens from its creation, serves from `start` until `close`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        answer: Callable[[Request], Answer],
        *,
        connections_max: int = CONNECTIONS_MAX,
        request_s: float = REQUEST_S,
    ) -> None:
        """
        Listen at a port of the loopback address; 0 is any that is free.

        Raises:
            OSError: When it is taken, or may not be used.
        """
        self.answer = answer
        self.request_s = request_s
        self._free = threading.BoundedSemaphore(connections_max)
        super().__init__((LOOPBACK, port), _Handler)
        self.hosts = _hosts(self.server_address[1])
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/"

    def start(self) -> None:
        """Serve in a thread."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept no more connections; answers under way end with the process."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()

    def server_bind(self) -> None:
        """Bind, without the look-up of a name for the host that `HTTPServer` does."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or refuse it when there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        request.settimeout(0.0)
        with contextlib.suppress(OSError):
            request.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A bug of ours must not hide."""
        log.warning("a request could not be answered", exc_info=True)


def _hosts(port: int) -> frozenset[str]:
    """What a request may name as its host."""
    names = (LOOPBACK, "localhost")
    bare = names if port == 80 else ()
    return frozenset((*(f"{name}:{port}" for name in names), *bare))


class _Deadline(io.RawIOBase):
    """Reads a socket until a deadline, however slowly its peer writes."""

    def __init__(self, connection: socket.socket, limit_s: float) -> None:
        self._connection = connection
        self._at = time.monotonic() + limit_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        remaining = self._at - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the request did not come in time")
        self._connection.settimeout(remaining)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """One connection, which carries one request."""

    server: Server
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"
    server_version = "dissever"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Deadline(self.connection, self.server.request_s))

    def handle(self) -> None:
        try:
            self.handle_one_request()
        except (ConnectionError, TimeoutError) as error:
            log.debug("%s: %s", self.client_address, error)

    def finish(self) -> None:
        """Take a little of what is still coming: closing at once could destroy the answer."""
        super().finish()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(DRAIN_S)
            for _ in range(DRAIN_PARTS):
                if not self.connection.recv(65536):
                    break

    def serve(self) -> None:
        """Answer the request whose head was parsed."""
        self._send(self._answer())

    do_GET = do_HEAD = serve  # noqa: N815 - names of `http.server`.

    def _answer(self) -> Answer:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            why = "this server answers requests to its own address only"
            return refusal(HTTPStatus.MISDIRECTED_REQUEST, why)
        if not self.path.startswith("/"):
            return refusal(HTTPStatus.BAD_REQUEST, "expected a path that begins with /")
        path, _, query = self.path.partition("?")
        ranges = self.headers.get_all("Range") or []
        return self.server.answer(Request(path, query, ranges[0] if len(ranges) == 1 else ""))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What `http.server` refuses: other methods, and what is no request."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED and getattr(self, "command", None):
            status = HTTPStatus.METHOD_NOT_ALLOWED
        answer = refusal(status, printable(message or status.description)[:200])
        with contextlib.suppress(OSError):
            self._send(answer, (("Allow", "GET, HEAD"),) if status.value == 405 else ())

    def _send(self, answer: Answer, more: tuple[tuple[str, str], ...] = ()) -> None:
        part = answer.content if isinstance(answer.content, Part) else None
        try:
            length = part.length if part else len(answer.content)  # type: ignore[arg-type]
            self.close_connection = True
            self.connection.settimeout(ANSWER_S)
            self.send_response(answer.status)
            for name, value in (
                ("Content-Type", answer.content_type),
                ("Content-Length", str(length)),
                ("Content-Security-Policy", answer.policy),
                ("Connection", "close"),
                *(SAFE + answer.headers + more),
            ):
                self.send_header(name, value)
            self.end_headers()
            if getattr(self, "command", None) == "HEAD":
                return
            if part:
                self._send_part(part)
            elif isinstance(answer.content, bytes):
                self.wfile.write(answer.content)
        finally:
            if part:
                os.close(part.descriptor)

    def _send_part(self, part: Part) -> None:
        """What is cut meanwhile ends the connection early, so that the client sees it."""
        at, end = part.start, part.start + part.length
        while at < end:
            content = os.pread(part.descriptor, min(PART_BYTES, end - at), at)
            if not content:
                return
            self.wfile.write(content)
            at += len(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - of the parent
        log.debug("%s: " + format, self.client_address[0], *args)
