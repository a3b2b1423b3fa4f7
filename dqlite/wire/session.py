"""
The client's side of a connection without its socket: requests to bytes, bytes to responses.

One request is in flight at a time. The session knows whether the first byte of it was handed out:
what is lost before is not applied, what is lost after is indeterminate.

A server is not trusted: a header that announces too much ends the session before its body comes,
the parts of a result are counted in bytes, and a call works for a few milliseconds at most.

Source: `dqlite/src/gateway.h`; h11 for the shape.
"""

from collections.abc import Generator
from enum import Enum, auto

from dqlite.errors import ConnectionLost, DqliteError, NotSent, ProtocolError, Refused, TimedOut
from dqlite.values import Value
from dqlite.wire import codec
from dqlite.wire.schema import Failure, Request, Response, Rows
from dqlite.wire.tuples import ROWS_MAX

FRAMES_A_STEP = 64
"""How many small frames one call decodes."""


class State(Enum):
    """Where the conversation stands."""

    IDLE = auto()
    WAITING = auto()  # for an answer, or for more of it
    CLOSED = auto()


class Session:
    """The state of one connection; after any exception but Refused and NotSent it is closed."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self._prefix = codec.HANDSHAKE  # goes out with the first request
        self._buffer = bytearray()
        self._answer: type[Response] | None = None
        self._decoding: Generator[None, None, Response] | None = None
        self._columns: tuple[str, ...] | None = None  # of the parts so far
        self._rows: list[tuple[Value, ...]] = []
        self._rows_bytes = 0
        self._has_work = False

    @property
    def has_work(self) -> bool:
        """Whether `proceed` would do something without more bytes."""
        return self._has_work

    def send(self, request: Request) -> bytes:
        """
        Return the bytes of a request; the caller is taken to send them at once.

        Raises:
            NotSent: If the connection is closed.
            Refused: If the request does not fit the protocol, or one is in flight.
        """
        if self.state is State.CLOSED:
            raise NotSent("the connection is closed")
        if self.state is State.WAITING:
            raise Refused("a request is in flight on this connection")
        frame = self._prefix + codec.encode(request)
        self._prefix = b""
        self._answer = codec.REQUESTS[type(request)].answer
        self.state = State.WAITING
        return frame

    def receive(self, data: bytes) -> Response | None:
        """
        Take bytes and `proceed`.

        Raises:
            ProtocolError: If the bytes are no answer to the request in flight.
        """
        if self.state is State.CLOSED:
            return None
        if self.state is State.IDLE:
            self.close()
            raise ProtocolError(f"got {len(data)} bytes without a request")
        self._buffer += data
        return self.proceed()

    def proceed(self) -> Response | None:
        """
        Work for some milliseconds on what has come.

        Returns:
            The complete answer, parts of a result put together. None: call again if `has_work`,
            else more bytes are due.

        Raises:
            ProtocolError: If the bytes are no answer to the request in flight.
        """
        try:
            return self._proceed() if self.state is State.WAITING else None
        except ProtocolError:
            self.close()
            raise

    def lost(self, reason: str, *, timed_out: bool = False) -> DqliteError:
        """Close, and return what the end of the connection means for the request in flight."""
        is_sent = self.state is State.WAITING
        self.close()
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
        for _ in range(FRAMES_A_STEP):
            if self._decoding is None and not self._begin_frame():
                return None
            assert self._decoding is not None
            try:
                next(self._decoding)
            except StopIteration as end:
                self._decoding = None
                if (answer := self._accept(end.value)) is not None:
                    if self._buffer:
                        raise ProtocolError(
                            f"got {len(self._buffer)} bytes after the answer"
                        ) from None
                    return answer
            else:
                break
        self._has_work = True
        return None

    def _begin_frame(self) -> bool:
        """Take the next frame out of the buffer, if it is whole; its header is checked at once."""
        buffer = self._buffer
        if len(buffer) < codec.HEADER_BYTES:
            return False
        header = codec.decode_header(buffer)
        kind = codec.kind_of_response(header)
        if kind is not self._answer and kind is not Failure:
            expected = getattr(self._answer, "__name__", None)
            raise ProtocolError(f"expected {expected}, got {kind.__name__}")
        end = codec.HEADER_BYTES + header.body_bytes
        if kind is Rows and self._rows_bytes + header.body_bytes > codec.ROWS_BYTES_MAX:
            raise ProtocolError(f"more than {codec.ROWS_BYTES_MAX} bytes of Rows, in parts")
        if len(buffer) < end:
            return False
        if kind is Rows:
            self._rows_bytes += end
        self._decoding = codec.response_in_steps(header, bytes(buffer[codec.HEADER_BYTES : end]))
        del buffer[:end]
        return True

    def _accept(self, response: Response) -> Response | None:
        """Move on by one response; None for a part of a result that is not the last."""
        answer = self._accept_rows(response) if isinstance(response, Rows) else response
        if answer is not None:
            self._forget_parts()
            self.state = State.IDLE
        return answer

    def _accept_rows(self, part: Rows) -> Rows | None:
        if self._columns is not None and part.columns != self._columns:
            raise ProtocolError(f"expected columns {self._columns}, got {part.columns}")
        if len(self._rows) + len(part.rows) > ROWS_MAX:
            raise ProtocolError(f"more than {ROWS_MAX} rows")
        self._columns = part.columns
        self._rows += part.rows
        return Rows(part.columns, tuple(self._rows)) if part.is_last else None
