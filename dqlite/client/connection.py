"""
A session over a stream: one request at a time, each with a deadline, none ever repeated.

A connection that raised anything but a failure the server answered is closed. Closing is abrupt,
also when a request is cancelled: the answer would otherwise meet the next request.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from dqlite import errors
from dqlite.client import addresses
from dqlite.errors import DqliteError, NotSent, ProtocolError, Scope
from dqlite.wire.schema import Failure, Request, Response
from dqlite.wire.session import Session, State

Attach: TypeAlias = Callable[
    [Callable[[], asyncio.Protocol]], Awaitable[tuple[asyncio.BaseTransport, asyncio.BaseProtocol]]
]
"""
Gives a new protocol a transport, as the loop's `create_connection` does with one of its own.

It raises an OSError when there is no connection.
"""

Dial: TypeAlias = Callable[[str], Awaitable[socket.socket | Attach]]
"""
Address to a connected, non-blocking stream socket, which the caller then owns.

Where there are no sockets, as in a simulation, it is what attaches a protocol.
"""


class Connection:
    """Use `connect` to make one; one task uses it at a time."""

    def __init__(self, address: str, link: "_Link") -> None:
        self.address = address
        self._link = link

    @property
    def is_open(self) -> bool:
        """False once anything went wrong, even between requests."""
        return self._link.session.state is not State.CLOSED

    async def request(
        self, request: Request, *, timeout_s: float, scope: Scope = Scope.STATEMENT
    ) -> Response:
        """
        Send a request and return its answer, which is of the type that `codec.REQUESTS` names.

        Raises:
            NotApplied, Indeterminate: By the code of a failure, or by whether a byte was sent.
            ProtocolError: If the answer is malformed.
        """
        answer = await self._link.exchange(request, timeout_s)
        if isinstance(answer, Failure):
            raise errors.failure(answer.code, answer.message, scope)
        return answer

    def close(self) -> None:
        """Drop the connection at once, and with it any open transaction; idempotent."""
        self._link.drop("closed by this side")


async def connect(address: str, *, dial: Dial | None = None, timeout_s: float) -> Connection:
    """
    Connect to a node; nothing is sent before the first request.

    Args:
        address: `host:port`, `[ipv6]:port`, or `@name` for an abstract unix socket.
        dial: Makes the socket, or what attaches a protocol; None for `dial_address`.

    Raises:
        NotSent: If there is no connection within `timeout_s`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            opened = await (dial or dial_address)(address)
            return Connection(address, await _link(opened))
    except (OSError, ValueError) as cause:  # TimeoutError is an OSError
        raise NotSent(f"cannot connect to {address}: {cause!r}") from cause


async def dial_address(address: str) -> socket.socket:
    """
    Connect to an address in this process' own network namespace.

    Raises:
        OSError: If the peer refuses; ValueError: if this is no address.
    """
    family, target = await _resolve(address)
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, target)
    except BaseException:
        opened.close()
        raise
    return opened


async def _resolve(address: str) -> tuple[int, str | tuple[str | int | bytes, ...]]:
    if address.startswith("@"):
        return socket.AF_UNIX, "\0" + address[1:]
    host, port = addresses.split(address)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return found[0][0], found[0][4]


async def _link(opened: socket.socket | Attach) -> "_Link":
    """Take over a connected socket, or attach to what the dial gave."""
    if not isinstance(opened, socket.socket):
        link = _Link()
        await opened(lambda: link)
        return link
    try:
        opened.setblocking(False)
        if opened.family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(_Link, sock=opened)
    except BaseException:
        opened.close()
        raise
    return link


class _Link(asyncio.Protocol):
    """The asyncio end: feeds the session, and settles the future of the request in flight."""

    def __init__(self) -> None:
        self.session = Session()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None

    async def exchange(self, request: Request, timeout_s: float) -> Response:
        frame = self.session.send(request)
        assert self._transport is not None  # an open session has a transport
        self._answer = self._loop.create_future()
        self._transport.write(frame)
        timer = self._loop.call_later(timeout_s, self._expire, request, timeout_s)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.drop("cancelled")
            raise
        finally:
            timer.cancel()
            self._answer = None

    def drop(self, reason: str, *, timed_out: bool = False) -> None:
        self._settle(self.session.lost(reason, timed_out=timed_out))
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._work(lambda: self.session.receive(data))

    def _work(self, step: Callable[[], Response | None]) -> None:
        """Decode a little. While more is left, nothing is read, and timers have their turn."""
        try:
            response = step()
        except ProtocolError as broken:
            self._settle(broken)
            self.drop(broken.message)
            return
        if response is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(response)
        self._give_way(is_busy=self.session.has_work)

    def _give_way(self, *, is_busy: bool) -> None:
        if self._transport is None:
            return
        if is_busy:
            self._transport.pause_reading()
            self._loop.call_soon(self._work, self.session.proceed)
        else:
            self._transport.resume_reading()

    def connection_lost(self, cause: Exception | None) -> None:
        self.drop(f"connection lost: {cause or 'end of stream'}")

    def _expire(self, request: Request, timeout_s: float) -> None:
        if self._answer is None or self._answer.done():
            return  # it came in this very turn of the loop
        self.drop(f"no answer to {type(request).__name__} in {timeout_s} s", timed_out=True)

    def _settle(self, error: DqliteError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
