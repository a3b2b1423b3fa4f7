"""
The client's side of a connection without its socket: requests to bytes, bytes to responses.

One request is in flight at a time. The session knows whether the first byte of it was handed out:
what is lost before is not applied, what is lost after is indeterminate.

Source: `dqlite/src/gateway.h`; h11 for the shape.
"""

from enum import Enum, auto

from dqlite import codec
from dqlite.errors import ConnectionLost, DqliteError, NotSent, ProtocolError, Refused, TimedOut
from dqlite.schema import Failure, Request, Response, Rows
from dqlite.tuples import ROWS_MAX


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
        self._parts: list[Rows] = []
        self._row_count = 0

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
        Take bytes; return the complete answer, parts of a result put together, None if more is due.

        Raises:
            ProtocolError: If the bytes are no answer to the request in flight.
        """
        try:
            return self._receive(data)
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
        self._parts.clear()

    def _receive(self, data: bytes) -> Response | None:
        if self.state is State.CLOSED:
            return None
        if self.state is State.IDLE:
            raise ProtocolError(f"got {len(data)} bytes without a request")
        self._buffer += data
        while (response := self._take_frame()) is not None:
            if (answer := self._accept(response)) is not None:
                if self._buffer:
                    raise ProtocolError(f"got {len(self._buffer)} bytes after the answer")
                return answer
        return None

    def _take_frame(self) -> Response | None:
        buffer = self._buffer
        if len(buffer) < codec.HEADER_BYTES:
            return None
        header = codec.decode_header(buffer)
        end = codec.HEADER_BYTES + header.body_bytes
        if len(buffer) < end:
            return None
        body = bytes(buffer[codec.HEADER_BYTES : end])
        del buffer[:end]
        return codec.decode_response(header, body)

    def _accept(self, response: Response) -> Response | None:
        """Move on by one response; None for a part of a result that is not the last."""
        if type(response) is not self._answer and type(response) is not Failure:
            expected = getattr(self._answer, "__name__", None)
            raise ProtocolError(f"expected {expected}, got {type(response).__name__}")
        if isinstance(response, Rows):
            return self._accept_rows(response)
        self._parts.clear()
        self.state = State.IDLE
        return response

    def _accept_rows(self, part: Rows) -> Rows | None:
        if self._parts and part.columns != self._parts[0].columns:
            raise ProtocolError(f"expected columns {self._parts[0].columns}, got {part.columns}")
        self._row_count = len(part.rows) + (self._row_count if self._parts else 0)
        if self._row_count > ROWS_MAX:
            raise ProtocolError(f"more than {ROWS_MAX} rows")
        if not part.is_last:
            self._parts.append(part)
            return None
        self.state = State.IDLE
        if not self._parts:
            return part
        rows = tuple(row for piece in (*self._parts, part) for row in piece.rows)
        self._parts.clear()
        return Rows(part.columns, rows)
