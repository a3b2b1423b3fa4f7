"""
A session over a plain blocking socket: `dqlite.client.connection` without an event loop.

One call writes the request and reads until its answer is whole, in the thread of the caller. The
deadline of a call is the timeout of its socket, which shrinks while an answer drips.
"""

import os
import select
import socket
import time
from collections.abc import Callable
from typing import TypeAlias

from dqlite.client import addresses
from dqlite.client.requests import LEAVE_BYTES_MAX, part, refused, require_time
from dqlite.client.trust import is_distrust, unreachable
from dqlite.errors import DqliteError, NotSent, Scope
from dqlite.wire.codec import FRAME_BYTES_MAX
from dqlite.wire.schema import Failure, Interrupt, Request, Response, Rows
from dqlite.wire.session import Session, State

BlockingDial: TypeAlias = Callable[[str, float], socket.socket]
"""
Address and time limit in seconds to a connected socket, which the caller then owns.

It raises an OSError when there is no connection. A socket of TLS, `ssl.SSLSocket`, will do.
"""

_RECEIVE_BYTES = 65_536

_TIMEOUT_S_MAX = 86_400.0
"""Sockets do not take an infinite one; a day without a byte is as good."""


_ENDED = getattr(select, "POLLRDHUP", 0)  # Linux; the end of TCP, whatever is left to read


class BlockingConnection:
    """Use `connect_blocking` to make one; one thread uses it at a time."""

    def __init__(self, address: str, opened: socket.socket) -> None:
        self.address = address
        self._socket = opened
        self._session = Session()
        self._timeout_s = -1.0  # of the socket; not known yet
        self._process = os.getpid()
        self._idle = select.poll()
        self._is_plain = type(opened) is socket.socket  # TLS may have bytes of its own to say
        self._idle.register(opened, select.POLLIN if self._is_plain else _ENDED)

    @property
    def is_open(self) -> bool:
        """False once anything went wrong. The end of an idle one shows at the next request."""
        return self._session.state is not State.CLOSED

    @property
    def is_idle(self) -> bool:
        """Whether it is open, and no request is in flight."""
        return self._session.state is State.IDLE

    def request(
        self,
        request: Request,
        *,
        timeout_s: float,
        scope: Scope = Scope.STATEMENT,
        answer_bytes_max: int = FRAME_BYTES_MAX,
    ) -> Response:
        """
        Send a request and return its answer, which is of the type that `codec.REQUESTS` names.

        Raises:
            NotApplied, Indeterminate: By the code of a failure, or by whether a byte was sent.
            ProtocolError: If the answer is malformed.
        """
        answer = self._exchange(request, timeout_s, answer_bytes_max=answer_bytes_max)
        if isinstance(answer, Failure):
            raise refused(request, answer, scope)
        return answer

    def request_parts(self, request: Request, *, timeout_s: float) -> Rows:
        """Send a request and return the first part of its result; raises like `request`."""
        return part(request, self._exchange(request, timeout_s, in_parts=True))

    def next_part(self, request: Request, *, timeout_s: float) -> Rows:
        """
        Return the next part of the result; no part but the last has `is_last`.

        Raises:
            NotApplied, Indeterminate, ProtocolError: As `request`; the result has ended.
        """
        if not self.is_open:
            raise self._session.lost("the connection is closed")
        return part(request, self._run(b"", request, timeout_s))

    def leave(self, database: int, *, timeout_s: float) -> None:
        """
        End the result in flight early: ask for no more, and pass over what comes.

        The connection is closed instead if more than `LEAVE_BYTES_MAX` come, or not all in time.
        """
        try:
            self._run(self._session.leave(database), Interrupt(database), timeout_s)
        except DqliteError:
            self.close()

    def close(self) -> None:
        """Drop the connection at once, and with it any open transaction; idempotent."""
        self._session.close()
        self._socket.close()

    def _exchange(
        self,
        request: Request,
        timeout_s: float,
        *,
        in_parts: bool = False,
        answer_bytes_max: int = FRAME_BYTES_MAX,
    ) -> Response:
        require_time(timeout_s)
        if self._process != os.getpid():
            raise NotSent("the connection belongs to the process that opened it, not to its fork")
        if self._session.state is State.IDLE and self._idle.poll(0):
            raise self._lost("connection lost between two requests")
        frame = self._session.send(request, in_parts=in_parts, answer_bytes_max=answer_bytes_max)
        return self._run(frame, request, timeout_s)

    def _run(self, frame: bytes, request: Request, timeout_s: float) -> Response:
        """Send, and receive until the session has an answer; close if it gets none."""
        deadline = time.monotonic() + timeout_s
        try:
            self._limit(timeout_s)
            if frame:
                self._socket.sendall(frame)
                return self._receive(None, deadline)
            return self._receive(self._session.proceed(), deadline)  # the next part may be here
        except TimeoutError as cause:
            self._socket.close()
            reason = f"no answer to {type(request).__name__} in {timeout_s} s"
            raise self._session.lost(reason, timed_out=True) from cause
        except OSError as cause:
            raise self._lost(f"connection lost: {cause}", cause) from cause
        except BaseException:  # also KeyboardInterrupt: the answer would meet the next request
            self.close()
            raise

    def _lost(self, reason: str, cause: OSError | None = None) -> DqliteError:
        """Close; a peer that refuses our TLS has said so before it closed its end."""
        if not self._is_plain and not self._session.has_heard and not is_distrust(cause):
            cause = self._last_words()
            reason = f"connection lost: {cause}" if cause else reason
        self._socket.close()
        return self._session.lost(reason, is_distrust=is_distrust(cause))

    def _last_words(self) -> OSError | None:
        """Return the alert that lies there unread, if there is one."""
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except OSError as said:
            return said if is_distrust(said) else None
        return None

    def _receive(self, answer: Response | None, deadline: float) -> Response:
        """Unless the answer is here, read until it is whole, or the next part of it."""
        session = self._session
        while answer is None:
            if session.passed_bytes > LEAVE_BYTES_MAX:
                raise ConnectionAbortedError("the rest of a result is too long to pass over")
            if session.has_work:
                _remaining(deadline)
                answer = session.proceed()
                continue
            data = self._socket.recv(_RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError("end of stream")
            answer = session.receive(data)
            if answer is None:
                self._limit(_remaining(deadline))
        return answer

    def _limit(self, timeout_s: float) -> None:
        """Set the timeout of the socket, a call of the system, where it is another one."""
        if timeout_s != self._timeout_s:
            self._socket.settimeout(min(timeout_s, _TIMEOUT_S_MAX))
            self._timeout_s = timeout_s


def _remaining(deadline: float) -> float:
    """Seconds until the deadline; TimeoutError when it has passed."""
    if (remaining := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return remaining


def connect_blocking(
    address: str, *, dial: BlockingDial | None = None, timeout_s: float
) -> BlockingConnection:
    """
    Connect to a node; nothing is sent before the first request.

    Args:
        address: `host:port`, `[ipv6]:port`, or `@name` for an abstract unix socket.
        dial: Makes the socket; None for `dial_blocking`.

    Raises:
        NotSent: If there is no connection within `timeout_s`.
        NotTrusted: If TLS is in the way.
    """
    try:
        return BlockingConnection(address, (dial or dial_blocking)(address, timeout_s))
    except (OSError, ValueError) as cause:  # TimeoutError is an OSError
        raise unreachable(address, cause) from cause


def dial_blocking(address: str, timeout_s: float) -> socket.socket:
    """
    Connect to an address in this process' own network namespace; of a name, to each in turn.

    The system resolves a name without a time limit; use numeric addresses where that matters.

    Raises:
        OSError: If no peer accepts or the time is over; ValueError: if this is no address.
    """
    if not address.startswith("@"):
        opened = socket.create_connection(addresses.split(address), timeout=timeout_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.settimeout(timeout_s)
        opened.connect("\0" + address[1:])
    except BaseException:
        opened.close()
        raise
    return opened
