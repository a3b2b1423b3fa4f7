"""
Messages to frames and back: pure functions over bytes, driven by one table of all messages.

Requests and responses are described alike, so the same codec serves a client and a fake server.

A FAILURE may follow the rows encoded before the query failed. Read from its start, it would show a
column count as the code and a column name as the message; so both are found from the end.

Any stands where a table cannot tie the type of a value to the key that selects its format.

Source: `dqlite/src/message.h`, `request.h`, `response.h`; `dqlite/src/gateway.c`, `failure`, which
does not clear the buffer.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from struct import Struct, error
from typing import Any, NamedTuple, TypeAlias

from dqlite.errors import ProtocolError, Refused
from dqlite.wire import schema
from dqlite.wire.schema import (
    Failure,
    File,
    LeaderNode,
    Member,
    Message,
    Request,
    Response,
    Role,
    Rows,
)
from dqlite.wire.tuples import PARAMETERS, ROWS, read_rows
from dqlite.wire.words import BLOB, I64, TEXT, U32, U64, WORD, Format, converted, counted

HANDSHAKE = schema.VERSION.to_bytes(WORD, "little")

LEGACY_HANDSHAKE = schema.LEGACY_VERSION.to_bytes(WORD, "little")
"""Of servers before 1.0; newer ones still take it. LEADER is then answered without an id."""

FRAME_BYTES_MAX = 64 * 1024 * 1024
"""Of a body, in both directions."""

ROWS_BYTES_MAX = 16 * 1024 * 1024
"""Of a result over all its parts: a million rows of one number fit, and take some 100 MB here."""

FAILURE_BYTES_MAX = 64 * 1024
"""Of the message of a failure, which is looked for from the end of the body."""

PLAIN_BYTES_MAX = 1024 * 1024
"""Of any other response: the longest lists `MEMBERS_MAX` members."""

HEADER_BYTES = 8

MEMBERS_MAX = 10_000
FILES_MAX = 100

_header = Struct("<IBBH")

_Field: TypeAlias = tuple[str, Format[Any]]
"""The name of an attribute, empty for a constant, and how it is written."""


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Type code and body of a message.

    Attributes:
        by_schema: The fields that follow, for each schema that the message knows.
        answer: To expect of a request; None: no client sends it, because nothing answers.
        whole: Instead of fields: the format of the whole body.
    """

    code: int
    fields: tuple[_Field, ...] = ()
    answer: type[Response] | None = None
    by_schema: tuple[tuple[_Field, ...], ...] = ((),)
    whole: Format[Any] | None = None


class Header(NamedTuple):
    """What precedes a body: its length, message type and schema."""

    body_bytes: int
    type: int
    schema: int


def encode(message: Message) -> bytes:
    """
    Return the frame of a message.

    Raises:
        Refused: If a value does not fit its field.
    """
    code, formats = _FORMATS[type(message)]
    version: int = getattr(message, "schema", 0)
    out = bytearray(HEADER_BYTES)
    if version >= len(formats):
        raise Refused(f"{type(message).__name__} has no schema {version}")
    try:
        formats[version].write(out, message)
    except (error, ValueError) as cause:
        raise Refused(f"{type(message).__name__}: {cause}") from cause
    body_bytes = len(out) - HEADER_BYTES
    if body_bytes > FRAME_BYTES_MAX:
        raise Refused(f"{type(message).__name__}: {body_bytes} bytes")
    _header.pack_into(out, 0, body_bytes // WORD, code, version, 0)
    return bytes(out)


def decode_header(data: bytes | bytearray, bytes_max: int = FRAME_BYTES_MAX) -> Header:
    """
    Return the header in the first 8 bytes of a frame, whose body is not longer than `bytes_max`.

    Raises:
        ProtocolError: If the body would be empty or too long, or data is too short.
    """
    if len(data) < HEADER_BYTES:
        raise ProtocolError(f"expected a header of {HEADER_BYTES} bytes, got {len(data)}")
    length, type_, version, extra = _header.unpack_from(data)
    if not 0 < length * WORD <= bytes_max or extra:
        raise ProtocolError(f"expected a frame, got the header {data[:HEADER_BYTES].hex()}")
    return Header(length * WORD, type_, version)


def answer_to(request: Request, *, is_legacy: bool = False) -> type[Response] | None:
    """Return what answers a request, after the handshake of before 1.0 or ours; None: nothing."""
    if is_legacy and isinstance(request, schema.Leader):
        return schema.LeaderAddress
    answer = REQUESTS[type(request)].answer
    if answer is schema.Members and isinstance(request, schema.Cluster) and request.format == 0:
        return schema.Addresses
    return answer


def kind_of_response(
    header: Header,
    expected: type[Response] | None = None,
    files_bytes_max: int = FRAME_BYTES_MAX,
) -> type[Response]:
    """
    Return what a header announces, so that a body need not be awaited in vain.

    Args:
        expected: The answer to the request, which tells two kinds of one type code apart.
        files_bytes_max: How long a dump may be.

    Raises:
        ProtocolError: If there is no such response, or if it would be longer than any may be.
    """
    if expected is not None and header.type == _FORMATS[expected][0]:
        kind = expected
    else:
        kind = _kind("a response", _RESPONSES_BY_CODE, header)
    is_dump = kind is schema.Files
    bytes_max = files_bytes_max if is_dump else _BYTES_MAX.get(kind, PLAIN_BYTES_MAX)
    if header.body_bytes > bytes_max:
        raise ProtocolError(
            f"expected at most {bytes_max} bytes of {kind.__name__}, got {header.body_bytes}"
        )
    return kind


def decode_response(header: Header, body: bytes, kind: type[Response] | None = None) -> Response:
    """
    Return the response in a complete body; `kind` is what `kind_of_response` found.

    Raises:
        ProtocolError: If the bytes are not exactly one response.
    """
    response: Response = _decode(kind or kind_of_response(header), header, body)
    return response


def rows_in_steps(header: Header, body: bytes) -> Generator[None, None, Rows]:
    """As `decode_response` of Rows, giving way after each few milliseconds of work."""
    try:
        rows, offset = yield from read_rows(body, 0)
        _check_end(header, body, offset)
    except (error, ValueError) as cause:
        raise _malformed(Rows, body, cause) from cause
    return rows


def decode_request(header: Header, body: bytes) -> Request:
    """Return the request in a complete body, as a server would; raises like `decode_response`."""
    request: Request = _decode(_kind("a request", _REQUESTS_BY_CODE, header), header, body)
    return request


def _kind(expected: str, kinds: Mapping[int, Any], header: Header) -> Any:
    if (kind := kinds.get(header.type)) is None:
        raise ProtocolError(f"expected {expected}, got message type {header.type}")
    return kind


def _decode(kind: type[Message], header: Header, body: bytes) -> Any:
    _, formats = _FORMATS[kind]
    if header.schema >= len(formats):
        raise ProtocolError(f"{kind.__name__}: no schema {header.schema}")
    try:
        message, offset = formats[header.schema].read(body, 0)
        _check_end(header, body, offset)
    except (error, ValueError) as cause:
        raise _malformed(kind, body, cause) from cause
    return message


def _check_end(header: Header, body: bytes, offset: int) -> None:
    if not offset == len(body) == header.body_bytes:
        raise ValueError(f"it ends at {offset} of {header.body_bytes}")


def _malformed(kind: type[Message], body: bytes, cause: Exception) -> ProtocolError:
    return ProtocolError(f"{kind.__name__}, {len(body)} bytes: {cause}")


def _record(kind: Callable[..., Any], *fields: _Field, **constants: int) -> Format[Any]:
    """The fields of an object one after the other, in the order of its attributes."""
    if all(format_.code for _, format_ in fields):
        return _numbers(kind, *fields, **constants)

    def read(data: bytes, offset: int) -> tuple[Any, int]:
        found = []
        for name, format_ in fields:
            value, offset = format_.read(data, offset)
            if name:
                found.append(value)
        return kind(*found, **constants), offset

    writes = [(name, format_.write) for name, format_ in fields]

    def write(out: bytearray, value: Any) -> None:
        for name, write_field in writes:
            write_field(out, getattr(value, name) if name else None)

    return Format(read, write)


def _numbers(kind: Callable[..., Any], *fields: _Field, **constants: int) -> Format[Any]:
    """As `_record`, where all fields are numbers: read and written at once."""
    struct = Struct("<" + "".join(format_.code for _, format_ in fields))
    names = [name for name, _ in fields]

    def read(data: bytes, offset: int) -> tuple[Any, int]:
        return kind(*struct.unpack_from(data, offset), **constants), offset + struct.size

    def write(out: bytearray, value: Any) -> None:
        out += struct.pack(*[getattr(value, name) for name in names])

    return Format(read, write)


def _constant(format_: Format[Any], value: int | str) -> _Field:
    return "", converted(format_, lambda _: None, lambda _: value)


def _read_failure(body: bytes, _offset: int) -> tuple[Failure, int]:
    try:
        message, end = TEXT.read(body, WORD)
        if end == len(body):
            return Failure(U64.read(body, 0)[0], message), end
    except (error, ValueError):
        pass  # not a clean failure
    start = len(body) - 2 * WORD
    first = max(0, start - FAILURE_BYTES_MAX)
    while start > first and 0 not in body[start : start + WORD]:
        start -= WORD
    if start < first or 0 not in body[start : start + WORD]:
        raise ValueError("neither a code and a message nor rows before them")
    code, start = U64.read(body, start)
    return Failure(code, body[start:].partition(b"\0")[0].decode(errors="replace")), len(body)


def _write_failure(out: bytearray, failure: Failure) -> None:
    U64.write(out, failure.code)
    TEXT.write(out, failure.message)


_PAD = _constant(U64, 0)
_ID = ("id", U64)
_DATABASE = ("database", U64)
_HANDLES = (("database", U32), ("statement", U32))
_SQL = ("sql", TEXT)
_PARAMETERS = tuple((("parameters", format_),) for format_ in PARAMETERS)
_NAME = ("name", TEXT)
_ADDRESS = ("address", TEXT)
_ROLE = ("role", converted(U64, Role, Role))
_MEMBERS = counted(_record(Member, _ID, _ADDRESS, _ROLE), MEMBERS_MAX)
_NODES = counted(_record(LeaderNode, _ID, _ADDRESS), MEMBERS_MAX)
_FILES = counted(_record(File, _NAME, ("content", BLOB)), FILES_MAX)

REQUESTS: Mapping[type[Request], Layout] = {
    schema.Leader: Layout(0, (_PAD,), LeaderNode),
    schema.Register: Layout(1, (_ID,), schema.Welcome),
    schema.Heartbeat: Layout(2, (("timestamp", U64),)),
    schema.Open: Layout(3, (_NAME, _PAD, _constant(TEXT, "volatile")), schema.Database),
    schema.Prepare: Layout(4, (_DATABASE, _SQL), schema.Statement, ((), ())),
    schema.Exec: Layout(5, _HANDLES, schema.Result, _PARAMETERS),
    schema.Query: Layout(6, _HANDLES, Rows, _PARAMETERS),
    schema.Finalize: Layout(7, _HANDLES, schema.Empty),
    schema.ExecSql: Layout(8, (_DATABASE, _SQL), schema.Result, _PARAMETERS),
    schema.QuerySql: Layout(9, (_DATABASE, _SQL), Rows, _PARAMETERS),
    schema.Interrupt: Layout(10, (_DATABASE,), schema.Empty),
    schema.Connect: Layout(11, (_ID, _ADDRESS)),
    schema.Add: Layout(12, (_ID, _ADDRESS), schema.Empty),
    schema.Assign: Layout(13, (_ID, _ROLE), schema.Empty),
    schema.Remove: Layout(14, (_ID,), schema.Empty),
    schema.Dump: Layout(15, (_NAME,), schema.Files),
    schema.Cluster: Layout(16, (("format", U64),), schema.Members),
    schema.Transfer: Layout(17, (_ID,), schema.Empty),
    schema.Describe: Layout(18, (_PAD,), schema.Metadata),
    schema.Weight: Layout(19, (("weight", U64),), schema.Empty),
}

_STATEMENT = (("database", U32), ("id", U32), ("parameter_count", U64))

RESPONSES: Mapping[type[Response], Layout] = {
    Failure: Layout(0, whole=Format(_read_failure, _write_failure)),
    LeaderNode: Layout(1, (_ID, _ADDRESS)),
    schema.LeaderAddress: Layout(1, (_ADDRESS,)),
    schema.Welcome: Layout(2, (("heartbeat_timeout_ms", U64),)),
    schema.Members: Layout(3, (("members", _MEMBERS),)),
    schema.Addresses: Layout(3, (("nodes", _NODES),)),
    schema.Database: Layout(4, (("id", U32), _constant(U32, 0))),
    schema.Statement: Layout(5, _STATEMENT, by_schema=((), (("tail_offset", U64),))),
    schema.Result: Layout(6, (("last_insert_id", I64), ("rows_affected", U64))),
    Rows: Layout(7, whole=ROWS),
    schema.Empty: Layout(8, (_PAD,)),
    schema.Files: Layout(9, (("files", _FILES),)),
    schema.Metadata: Layout(10, (("failure_domain", U64), ("weight", U64))),
}


_BYTES_MAX: Mapping[type[Response], int] = {
    Rows: ROWS_BYTES_MAX,
    Failure: ROWS_BYTES_MAX,  # It may follow rows.
}


def _formats(kind: type[Message], layout: Layout) -> tuple[Format[Any], ...]:
    """The body of a message, by schema."""
    if layout.whole is not None:
        return (layout.whole,)
    if len(layout.by_schema) == 1:
        return (_record(kind, *layout.fields),)
    return tuple(
        _record(kind, *layout.fields, *more, schema=version)
        for version, more in enumerate(layout.by_schema)
    )


_FORMATS: Mapping[type[Message], tuple[int, tuple[Format[Any], ...]]] = {
    kind: (layout.code, _formats(kind, layout))
    for kind, layout in (*REQUESTS.items(), *RESPONSES.items())
}


def _by_code(layouts: Mapping[Any, Layout]) -> dict[int, Any]:
    """The first kind of each type code."""
    return {layout.code: kind for kind, layout in reversed([*layouts.items()])}


_REQUESTS_BY_CODE = _by_code(REQUESTS)
_RESPONSES_BY_CODE = _by_code(RESPONSES)
