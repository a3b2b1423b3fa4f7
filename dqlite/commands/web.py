"""
A small HTTP/1.1 server for services that answer from a database: one thread a connection.

Clients are not trusted: the number of connections, the size of a request and the time for sending
it are limited, and each limit has its status code.

Source: RFC 9110, RFC 9112; `http.server` does the parsing.
"""

import contextlib
import io
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

from dqlite.client import addresses

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = logging.getLogger(__name__)

BODY_BYTES_MAX = 1 << 20
CONNECTIONS_MAX = 128
REQUEST_S = 30.0
"""For a whole request to come, counted from when the connection is free for it."""
ANSWER_S = 10.0
"""For each part of an answer to be taken."""

_DRAIN_S = 1.0
_DRAIN_READS = 32

METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE", "PATCH", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks; `path` is decoded and has no query."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What it is answered."""

    body: str
    status: int = HTTPStatus.OK
    content_type: str = "text/plain; charset=utf-8"


Service: TypeAlias = Callable[[Request], Answer]
Observer: TypeAlias = Callable[[str, int, float], None]
"""Method, status code and seconds of a request."""


class Server(ThreadingHTTPServer):
    """Serves from its creation until `close`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: str, service: Service, observe: Observer) -> None:
        """
        Listen.

        Args:
            address: `host:port`; an empty host stands for all interfaces.

        Raises:
            OSError: If the address cannot be listened at; ValueError: if it is none.
        """
        host, port = addresses.split(address)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.service = service
        self.observe = observe
        self._free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__((host, port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept no more connections; requests in progress go on."""
        self.shutdown()
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
        try:
            request.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            log.debug("cannot refuse a connection")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what ended a connection: it is the client's matter, or a bug that must not hide."""
        log.warning("%s: connection ended", client_address, exc_info=True)


class _Deadline(io.RawIOBase):
    """Reads a socket until a deadline, however slowly its peer writes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.at = 0.0  # on the monotonic clock, in seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        remaining = self.at - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the request did not come in time")
        self._connection.settimeout(remaining)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # what is no request gets a status line, too
    server_version = "dqlite"
    sys_version = ""
    error_message_format = "%(message)s\n"
    error_content_type = "text/plain; charset=utf-8"

    def setup(self) -> None:
        super().setup()
        self._deadline = _Deadline(self.connection)
        self.rfile = io.BufferedReader(self._deadline)
        self._is_refused = False

    def finish(self) -> None:
        super().finish()
        if self._is_refused:
            self._drain()

    def handle_one_request(self) -> None:
        self._begun = time.monotonic()
        self._deadline.at = self._begun + REQUEST_S
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError) as error:
            log.debug("%s: %s", self.client_address, error)
            self.close_connection = True

    def parse_request(self) -> bool:
        self._begun = time.monotonic()
        return super().parse_request()

    def serve(self) -> None:
        """Answer the request whose head was parsed."""
        body = self._body()
        if body is None:
            return
        try:
            path = unquote(self.path.partition("?")[0], errors="strict")
        except UnicodeDecodeError:
            self._refuse(HTTPStatus.BAD_REQUEST, "expected a path in UTF-8")
            return
        self._send(self.server.service(Request(self.command, path, body)))

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = do_PATCH = do_OPTIONS = serve  # noqa: N815

    def _body(self) -> bytes | None:
        """The body of the request; None when the client was told why there is none."""
        if self.headers.get("Transfer-Encoding"):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
            return None
        lengths = self.headers.get_all("Content-Length") or ["0"]
        length = lengths[0]
        if len(lengths) > 1 or not length.isascii() or not length.isdigit() or len(length) > 18:
            self._refuse(HTTPStatus.BAD_REQUEST, "expected one number as Content-Length")
            return None
        if int(length) > BODY_BYTES_MAX:
            reason = f"expected at most {BODY_BYTES_MAX} bytes"
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Answer without a look at the body, and close: what follows cannot be told from it."""
        self.close_connection = True
        self.send_error(status, reason)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._is_refused = True
        super().send_error(code, message, explain)

    def _drain(self) -> None:
        """Take a little of what is still coming: closing at once could destroy the answer."""
        deadline = time.monotonic() + _DRAIN_S
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            for _ in range(_DRAIN_READS):
                self.connection.settimeout(max(deadline - time.monotonic(), 0.001))
                if not self.connection.recv(65536):
                    break

    def _send(self, answer: Answer) -> None:
        content = answer.body.encode("utf-8", "replace")
        self.connection.settimeout(ANSWER_S)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Called for each answer, also for one that refuses a request."""
        method = self.command if self.command in METHODS else "other"
        self.server.observe(method, int(code), time.monotonic() - self._begun)
        super().log_request(code, size)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - of the parent
        log.debug("%s: " + format, self.client_address[0], *args)
