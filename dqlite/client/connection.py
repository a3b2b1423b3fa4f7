"""
A session over a stream: one request at a time, each with a deadline, none ever repeated.

A connection that raised anything but a failure the server answered is closed. Closing is abrupt,
also when a request is cancelled: the answer would otherwise meet the next request.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from dqlite.client import addresses
from dqlite.client.requests import LEAVE_BYTES_MAX, part, refused
from dqlite.client.trust import is_distrust, unreachable
from dqlite.errors import DqliteError, NotTrusted, ProtocolError, Scope
from dqlite.wire.codec import FRAME_BYTES_MAX
from dqlite.wire.schema import Failure, Interrupt, Request, Response, Rows
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


_TURNS_TO_HEAR = 4
"""Of the loop: one asks the system what has come, one reads it, one ends TLS, one tells us."""


class Connection:
    """Use `connect` to make one; one task uses it at a time."""

    def __init__(self, address: str, link: "_Link") -> None:
        self.address = address
        self._link = link

    @property
    def is_open(self) -> bool:
        """False once anything went wrong, even between requests."""
        return self._link.session.state is not State.CLOSED

    @property
    def is_idle(self) -> bool:
        """Whether it is open, and no request is in flight."""
        return self._link.session.state is State.IDLE

    async def request(
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
        answer = await self._link.exchange(request, timeout_s, answer_bytes_max=answer_bytes_max)
        if isinstance(answer, Failure):
            raise refused(request, answer, scope)
        return answer

    async def request_parts(self, request: Request, *, timeout_s: float) -> Rows:
        """Send a request and return the first part of its result; raises like `request`."""
        return part(request, await self._link.exchange(request, timeout_s, in_parts=True))

    async def next_part(self, request: Request, *, timeout_s: float) -> Rows:
        """
        Return the next part of the result; no part but the last has `is_last`.

        Raises:
            NotApplied, Indeterminate, ProtocolError: As `request`; the result has ended.
        """
        return part(request, await self._link.next_part(request, timeout_s))

    async def leave(self, database: int, *, timeout_s: float) -> None:
        """
        End the result in flight early: ask for no more, and pass over what comes.

        The connection is closed instead if more than `LEAVE_BYTES_MAX` come, or not all in time.
        """
        try:
            await self._link.leave(database, timeout_s)
        except DqliteError as error:
            self._link.drop(error.message)

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
        NotTrusted: If TLS is in the way.
    """
    try:
        async with asyncio.timeout(timeout_s):
            opened = await (dial or dial_address)(address)
            return Connection(address, await _link(opened))
    except (OSError, ValueError) as cause:  # TimeoutError is an OSError
        raise unreachable(address, cause) from cause


async def dial_address(address: str) -> socket.socket:
    """
    Connect to an address in this process' own network namespace; of a name, to each in turn.

    Raises:
        OSError: If no peer accepts; ValueError: if this is no address.
    """
    if address.startswith("@"):
        return await _connected(socket.AF_UNIX, "\0" + address[1:])
    host, port = addresses.split(address)
    loop = asyncio.get_running_loop()
    *others, last = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, _, _, _, target in others:
        with suppress(OSError):
            return await _connected(family, target)
    return await _connected(last[0], last[4])


async def _connected(family: int, target: str | tuple[str | int | bytes, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, target)
    except BaseException:
        opened.close()
        raise
    return opened


async def _link(opened: socket.socket | Attach) -> "_Link":
    """Take over a connected socket, or attach to what the dial gave."""
    if not isinstance(opened, socket.socket):
        link = _Link()
        try:
            await opened(lambda: link)
        except BaseException:
            link.drop("not connected")  # its transport may be there already, as TLS's at its end
            raise
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
        self._is_held = False  # a part of a result was given, and the next one is not wanted yet
        self._refusal: NotTrusted | None = None  # of our TLS, although the handshake is over

    async def exchange(
        self,
        request: Request,
        timeout_s: float,
        *,
        in_parts: bool = False,
        answer_bytes_max: int = FRAME_BYTES_MAX,
    ) -> Response:
        if not self.session.has_heard:
            await self._hear_refusal()
        frame = self.session.send(request, in_parts=in_parts, answer_bytes_max=answer_bytes_max)
        assert self._transport is not None  # an open session has a transport
        self._answer = self._loop.create_future()
        self._transport.write(frame)
        return await self._settled(request, timeout_s, self._answer)

    async def _hear_refusal(self) -> None:
        """
        Read what a peer said that refuses our TLS, before a write at its closed end hides it.

        Raises:
            NotTrusted: If that is here already.
        """
        if self._transport is not None and self._transport.get_extra_info("sslcontext"):
            for _ in range(_TURNS_TO_HEAR):
                await asyncio.sleep(0)
        if self._refusal is not None:
            raise self._refusal

    async def next_part(self, request: Request, timeout_s: float) -> Response:
        if self._transport is None:
            raise self.session.lost("the connection is closed")
        self._answer = answer = self._loop.create_future()
        self._work(self.session.proceed)
        return await self._settled(request, timeout_s, answer)

    async def leave(self, database: int, timeout_s: float) -> None:
        frame = self.session.leave(database)
        assert self._transport is not None  # an open session has a transport
        self._answer = answer = self._loop.create_future()
        self._transport.write(frame)
        self._work(self.session.proceed)
        await self._settled(Interrupt(database), timeout_s, answer)

    async def _settled(
        self, request: Request, timeout_s: float, answer: asyncio.Future[Response]
    ) -> Response:
        timer = self._loop.call_later(timeout_s, self._expire, request, timeout_s)
        try:
            return await answer
        except asyncio.CancelledError:
            self.drop("cancelled")
            raise
        finally:
            timer.cancel()
            self._answer = None

    def drop(self, reason: str, *, timed_out: bool = False, is_distrust: bool = False) -> None:
        error = self.session.lost(reason, timed_out=timed_out, is_distrust=is_distrust)
        if isinstance(error, NotTrusted):
            self._refusal = error
        self._settle(error)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._is_held:
            self.session.feed(data)
        else:
            self._work(lambda: self.session.receive(data))

    def _work(self, step: Callable[[], Response | None]) -> None:
        """Decode a little. While more is left, nothing is read, and timers have their turn."""
        try:
            response = step()
        except ProtocolError as broken:
            self._settle(broken)
            self.drop(broken.message)
            return
        if self.session.passed_bytes > LEAVE_BYTES_MAX:
            self.drop("the rest of a result is too long to pass over")
        if response is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(response)
        self._is_held = response is not None and self.session.state is State.WAITING
        if self._is_held and self._transport is not None:
            self._transport.pause_reading()  # until the caller wants the next part
            return
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
        reason = f"connection lost: {cause or 'end of stream'}"
        self.drop(reason, is_distrust=is_distrust(cause))

    def _expire(self, request: Request, timeout_s: float) -> None:
        if self._answer is None or self._answer.done():
            return  # it came in this very turn of the loop
        self.drop(f"no answer to {type(request).__name__} in {timeout_s} s", timed_out=True)

    def _settle(self, error: DqliteError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
