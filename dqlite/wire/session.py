"""
The client's side of a connection without its socket: requests to bytes, bytes to responses.

One request is in flight at a time. The session knows whether the first byte of it was handed out:
what is lost before is not applied, what is lost after is indeterminate.

A result arrives whole, or part by part where the caller asked for that. To leave a result early, an
INTERRUPT is sent; servers finish the result before they read it, so its rest is passed over unread.

A server is not trusted: a header that announces too much ends the session before its body comes,
the parts of a result are counted in bytes, and a call works for a few milliseconds at most.

Source: `dqlite/src/gateway.h`; h11 for the shape.
"""

from collections.abc import Generator
from enum import Enum, auto
from typing import TypeVar

from dqlite.errors import (
    ConnectionLost,
    DqliteError,
    NotSent,
    NotTrusted,
    ProtocolError,
    Refused,
    TimedOut,
)
from dqlite.values import Value
from dqlite.wire import codec, schema
from dqlite.wire.codec import Header
from dqlite.wire.schema import Empty, Failure, Request, Response, Rows
from dqlite.wire.tuples import ROWS_MAX

_Answer = TypeVar("_Answer", bound=Response)

FRAMES_A_STEP = 64
"""How many small frames one call decodes."""

SMALL_BYTES = 32_768
"""A body up to this length is decoded at once: a few milliseconds of work."""


class State(Enum):
    """Where the conversation stands."""

    IDLE = auto()
    WAITING = auto()  # for an answer, or for more of it
    LEAVING = auto()  # a result: what comes before the answer to INTERRUPT is passed over
    CLOSED = auto()


class Session:
    """
    The state of one connection; after any exception but Refused and NotSent it is closed.

    Attributes:
        has_heard: Whether any byte has come.
        passed_bytes: Of the result that was left last.
    """

    def __init__(self, handshake: bytes = codec.HANDSHAKE) -> None:
        self.state = State.IDLE
        self.passed_bytes = 0
        self.has_heard = False
        self._prefix = handshake  # goes out with the first request
        self._is_legacy = handshake == codec.LEGACY_HANDSHAKE
        self._buffer = bytearray()
        self._answer: type[Response] | None = None
        self._in_parts = False
        self._bytes_max = codec.FRAME_BYTES_MAX
        self._decoding: Generator[None, None, Rows] | None = None
        self._columns: tuple[str, ...] | None = None  # of the parts so far
        self._rows: list[tuple[Value, ...]] = []
        self._rows_bytes = 0
        self._has_work = False

    @property
    def has_work(self) -> bool:
        """Whether `proceed` would do something without more bytes."""
        return self._has_work

    def send(
        self,
        request: Request,
        *,
        in_parts: bool = False,
        answer_bytes_max: int = codec.FRAME_BYTES_MAX,
    ) -> bytes:
        """
        Return the bytes of a request; the caller is taken to send them at once.

        Args:
            in_parts: Whether `proceed` gives the parts of a result one by one.
            answer_bytes_max: How long a dump may be; other answers have limits of their own.

        Raises:
            NotSent: If the connection is closed.
            Refused: If the request does not fit the protocol, if no server answers it, or if one is
                in flight.
        """
        if self.state is State.CLOSED:
            raise NotSent("the connection is closed")
        if self.state is not State.IDLE:
            raise Refused("a request is in flight on this connection")
        answer = codec.answer_to(request, is_legacy=self._is_legacy)
        if answer is None:
            raise Refused(f"no server answers {type(request).__name__}")
        frame = codec.encode(request)
        if self._prefix:
            frame = self._prefix + frame
            self._prefix = b""
        self._answer = answer
        self._in_parts = in_parts
        self._bytes_max = answer_bytes_max
        self.state = State.WAITING
        return frame

    def leave(self, database: int) -> bytes:
        """
        Return the bytes that end the result in flight; the next answer is then Empty.

        Raises:
            Refused: If no result is in flight.
        """
        if self.state is not State.WAITING or self._answer is not Rows:
            raise Refused("no result is in flight on this connection")
        frame = codec.encode(schema.Interrupt(database))
        self._forget_parts()
        self._has_work = bool(self._buffer)
        self.passed_bytes = len(self._buffer)
        self.state = State.LEAVING
        return frame

    def receive(self, data: bytes) -> Response | None:
        """
        Take bytes and `proceed`.

        Raises:
            ProtocolError: If the bytes are no answer to the request in flight.
        """
        self.feed(data)
        return self.proceed()

    def feed(self, data: bytes) -> None:
        """
        Take bytes and do nothing with them yet.

        Raises:
            ProtocolError: If no request is in flight.
        """
        if self.state is State.CLOSED:
            return
        self.has_heard = True
        if self.state is State.IDLE:
            self.close()
            raise ProtocolError(f"got {len(data)} bytes without a request")
        self._buffer += data
        if self.state is State.LEAVING:
            self.passed_bytes += len(data)

    def proceed(self) -> Response | None:
        """
        Work for some milliseconds on what has come.

        Returns:
            The complete answer, parts of a result put together; or the next part where the caller
            asked for parts, with more to come unless it is the last. None: call again if
            `has_work`, else more bytes are due.

        Raises:
            ProtocolError: If the bytes are no answer to the request in flight.
        """
        if self.state is State.WAITING:
            step = self._proceed
        elif self.state is State.LEAVING:
            step = self._pass
        else:
            return None
        try:
            return step()
        except ProtocolError:
            self.close()
            raise

    def lost(
        self, reason: str, *, timed_out: bool = False, is_distrust: bool = False
    ) -> DqliteError:
        """
        Close, and return what the end of the connection means for the request in flight.

        Args:
            is_distrust: Whether the peer refused our TLS. It does so before it reads a request, in
                TLS 1.3 after our handshake is over.
        """
        is_sent = self.state in (State.WAITING, State.LEAVING)
        self.close()
        if is_distrust and not self.has_heard:
            return NotTrusted(reason)
        if not is_sent:
            return NotSent(reason)
        return TimedOut(reason) if timed_out else ConnectionLost(reason)

    def close(self) -> None:
        """Forget everything; idempotent."""
        self.state = State.CLOSED
        self._buffer.clear()
        self._forget_parts()

    def _forget_parts(self) -> None:
        self._decoding = self._columns = None
        self._rows = []
        self._rows_bytes = 0
        self._has_work = False

    def _proceed(self) -> Response | None:
        self._has_work = False
        response: Response
        for _ in range(FRAMES_A_STEP):
            if self._decoding is not None:
                try:
                    next(self._decoding)
                    break
                except StopIteration as end:
                    self._decoding = None
                    response = end.value
            else:
                frame = self._take_frame()
                if frame is None:
                    return None
                header, kind, body = frame
                if kind is Rows and header.body_bytes > SMALL_BYTES:
                    self._decoding = codec.rows_in_steps(header, body)
                    continue
                response = codec.decode_response(header, body, kind)
            if (answer := self._accept(response)) is not None:
                return answer
        self._has_work = True
        return None

    def _pass(self) -> Response | None:
        """Pass over what is left of a result, up to the answer to INTERRUPT."""
        self._has_work = False
        for _ in range(FRAMES_A_STEP):
            frame = self._take_frame()
            if frame is None:
                return None
            header, kind, body = frame
            if kind is Empty:
                return self._accept(codec.decode_response(header, body, kind))
        self._has_work = True
        return None

    def _take_frame(self) -> tuple[Header, type[Response], bytes] | None:
        """Take the next frame out of the buffer, if it is whole; its header is checked at once."""
        buffer = self._buffer
        if len(buffer) < codec.HEADER_BYTES:
            return None
        header = codec.decode_header(buffer, self._bytes_max)
        kind = codec.kind_of_response(header, self._answer, self._bytes_max)
        is_leaving = self.state is State.LEAVING
        if kind is not self._answer and kind is not Failure and not (is_leaving and kind is Empty):
            expected = getattr(self._answer, "__name__", None)
            raise ProtocolError(f"expected {expected}, got {kind.__name__}")
        end = codec.HEADER_BYTES + header.body_bytes
        if kind is Rows and not self._in_parts:
            if self._rows_bytes + header.body_bytes > codec.ROWS_BYTES_MAX:
                raise ProtocolError(f"more than {codec.ROWS_BYTES_MAX} bytes of Rows, in parts")
            if len(buffer) >= end:
                self._rows_bytes += end
        if len(buffer) < end:
            return None
        body = bytes(buffer[codec.HEADER_BYTES : end])
        if len(buffer) == end:
            buffer.clear()
        else:
            del buffer[:end]
        return header, kind, body

    def _accept(self, response: Response) -> Response | None:
        """Move on by one response; None for a part of a result that is to be put together."""
        if isinstance(response, Rows):
            return self._accept_part(response)
        return self._accept_last(response)

    def _accept_part(self, part: Rows) -> Rows | None:
        if self._columns is not None and part.columns != self._columns:
            raise ProtocolError(f"expected columns {self._columns}, got {part.columns}")
        if not part.is_last:
            self._columns = part.columns
        if self._in_parts:
            return self._accept_last(part) if part.is_last else part
        if len(self._rows) + len(part.rows) > ROWS_MAX:
            raise ProtocolError(f"more than {ROWS_MAX} rows")
        if self._columns is None:
            return self._accept_last(part)
        self._rows += part.rows
        return self._accept_last(Rows(part.columns, tuple(self._rows))) if part.is_last else None

    def _accept_last(self, answer: _Answer) -> _Answer:
        if self._buffer:
            raise ProtocolError(f"got {len(self._buffer)} bytes after the answer")
        self._forget_parts()
        self.state = State.IDLE
        return answer
