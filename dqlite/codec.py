"""
Messages to frames and back: pure functions over bytes, driven by the tables of `schema`.

A FAILURE may follow the rows encoded before the query failed. Read from its start, it would show a
column count as the code and a column name as the message; so both are found from the end.

Any stands where a table cannot tie the type of a value to the key that selects its function.

Source: `dqlite/src/message.h`; `dqlite/src/gateway.c`, `failure`, which does not clear the buffer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct, error
from typing import Any, TypeAlias

from dqlite import schema, tuples, words
from dqlite.errors import ProtocolError, Refused
from dqlite.schema import (
    WHOLE,
    Failure,
    Field,
    Kind,
    Layout,
    Member,
    Message,
    Request,
    Response,
    Role,
)
from dqlite.words import WORD

HANDSHAKE = words.u64.pack(schema.VERSION)

FRAME_BYTES_MAX = 64 * 1024 * 1024
"""Of a body, in both directions."""

HEADER_BYTES = 8

MEMBERS_MAX = 10_000
FILES_MAX = 100

_header = Struct("<IBBH")

_Files: TypeAlias = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Header:
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
    layout = _LAYOUTS[type(message)]
    version: int = getattr(message, "schema", 0)
    out = bytearray(HEADER_BYTES)
    try:
        for field in layout.fields:
            if field.schema <= version:
                _WRITERS[field.kind](out, _value(message, field), version)
    except (error, ValueError) as cause:
        raise Refused(f"{type(message).__name__}: {cause}") from cause
    body_bytes = len(out) - HEADER_BYTES
    if body_bytes > FRAME_BYTES_MAX or version > layout.schema_max:
        raise Refused(f"{type(message).__name__}: {body_bytes} bytes, schema {version}")
    _header.pack_into(out, 0, body_bytes // WORD, layout.code, version, 0)
    return bytes(out)


def decode_header(data: bytes | bytearray) -> Header:
    """
    Return the header in the first 8 bytes.

    Raises:
        ProtocolError: If the body would be empty or too long, or data is too short.
    """
    if len(data) < HEADER_BYTES:
        raise ProtocolError(f"expected a header of {HEADER_BYTES} bytes, got {len(data)}")
    length, type_, version, extra = _header.unpack_from(data)
    if not 0 < length * WORD <= FRAME_BYTES_MAX or extra:
        raise ProtocolError(f"expected a frame, got the header {data[:HEADER_BYTES].hex()}")
    return Header(length * WORD, type_, version)


def decode_response(header: Header, body: bytes) -> Response:
    """
    Return the response in a complete body.

    Raises:
        ProtocolError: If the bytes are not exactly one response.
    """
    kind = _RESPONSE_TYPES.get(header.type)
    if kind is None:
        raise ProtocolError(f"expected a response, got message type {header.type}")
    response: Response = _decode(kind, schema.RESPONSES[kind], header, body)
    return response


def decode_request(header: Header, body: bytes) -> Request:
    """Return the request in a complete body, as a server would; raises like `decode_response`."""
    kind = _REQUEST_TYPES.get(header.type)
    if kind is None:
        raise ProtocolError(f"expected a request, got message type {header.type}")
    request: Request = _decode(kind, schema.REQUESTS[kind], header, body)
    return request


def _decode(kind: Callable[..., Any], layout: Layout, header: Header, body: bytes) -> Any:
    if header.schema > layout.schema_max or len(body) != header.body_bytes:
        raise ProtocolError(f"message type {layout.code}: {len(body)} bytes for {header}")
    try:
        arguments, offset = _read_fields(layout, header.schema, body)
        if offset != len(body):
            raise ValueError(f"it ends at {offset}")
        if WHOLE in arguments:
            return arguments[WHOLE]
        if layout.schema_max:
            arguments["schema"] = header.schema
        return kind(**arguments)
    except (error, ValueError) as cause:
        raise ProtocolError(f"message type {layout.code}, {len(body)} bytes: {cause}") from cause


def _read_fields(layout: Layout, version: int, body: bytes) -> tuple[dict[str, Any], int]:
    arguments = {}
    offset = 0
    for field in layout.fields:
        if field.schema <= version:
            value, offset = _READERS[field.kind](body, offset, version)
            if field.name:
                arguments[field.name] = value
    return arguments, offset


def _value(message: Message, field: Field) -> Any:
    if field.name == WHOLE:
        return message
    return getattr(message, field.name) if field.name else field.constant


def _read_failure(body: bytes, _offset: int, _version: int) -> tuple[Failure, int]:
    try:
        message, end = words.read_text(body, WORD)
        if end == len(body):
            return Failure(words.read_u64(body, 0)[0], message), end
    except (error, ValueError):
        pass  # not a clean failure
    start = len(body) - 2 * WORD
    while start > 0 and 0 not in body[start : start + WORD]:
        start -= WORD
    if start < 0:
        raise ValueError("neither a code and a message nor rows before them")
    code, start = words.read_u64(body, start)
    return Failure(code, body[start:].partition(b"\0")[0].decode(errors="replace")), len(body)


def _write_failure(out: bytearray, failure: Failure, _version: int) -> None:
    out += words.u64.pack(failure.code)
    words.write_text(out, failure.message)


def _read_members(body: bytes, offset: int, _version: int) -> tuple[tuple[Member, ...], int]:
    count, offset = words.read_u64(body, offset)
    if count > MEMBERS_MAX:
        raise ValueError(f"{count} members exceed {MEMBERS_MAX}")
    members = []
    for _ in range(count):
        id_, offset = words.read_u64(body, offset)
        address, offset = words.read_text(body, offset)
        role, offset = words.read_u64(body, offset)
        members.append(Member(id_, address, Role(role)))
    return tuple(members), offset


def _write_members(out: bytearray, members: tuple[Member, ...], _version: int) -> None:
    out += words.u64.pack(len(members))
    for member in members:
        out += words.u64.pack(member.id)
        words.write_text(out, member.address)
        out += words.u64.pack(member.role)


def _read_files(body: bytes, offset: int, _version: int) -> tuple[_Files, int]:
    count, offset = words.read_u64(body, offset)
    if count > FILES_MAX:
        raise ValueError(f"{count} files exceed {FILES_MAX}")
    files = []
    for _ in range(count):
        name, offset = words.read_text(body, offset)
        content, offset = words.read_blob(body, offset)
        files.append((name, content))
    return tuple(files), offset


def _write_files(out: bytearray, files: _Files, _version: int) -> None:
    out += words.u64.pack(len(files))
    for name, content in files:
        words.write_text(out, name)
        words.write_blob(out, content)


def _read_role(body: bytes, offset: int, _version: int) -> tuple[Role, int]:
    role, offset = words.read_u64(body, offset)
    return Role(role), offset


_LAYOUTS: Mapping[type, Layout] = dict((*schema.REQUESTS.items(), *schema.RESPONSES.items()))
_REQUEST_TYPES = {layout.code: kind for kind, layout in schema.REQUESTS.items()}
_RESPONSE_TYPES = {layout.code: kind for kind, layout in schema.RESPONSES.items()}

_WRITERS: Mapping[Kind, Callable[[bytearray, Any, int], None]] = {
    Kind.U64: lambda out, value, _: out.extend(words.u64.pack(value)),
    Kind.I64: lambda out, value, _: out.extend(words.i64.pack(value)),
    Kind.U32: lambda out, value, _: out.extend(words.u32.pack(value)),
    Kind.TEXT: lambda out, value, _: words.write_text(out, value),
    Kind.ROLE: lambda out, value, _: out.extend(words.u64.pack(Role(value))),
    Kind.PARAMETERS: tuples.write_parameters,
    Kind.MEMBERS: _write_members,
    Kind.FILES: _write_files,
    Kind.ROWS: lambda out, value, _: tuples.write_rows(out, value),
    Kind.FAILURE: _write_failure,
}

_READERS: Mapping[Kind, Callable[[bytes, int, int], tuple[Any, int]]] = {
    Kind.U64: lambda body, offset, _: words.read_u64(body, offset),
    Kind.I64: lambda body, offset, _: words.read_i64(body, offset),
    Kind.U32: lambda body, offset, _: words.read_u32(body, offset),
    Kind.TEXT: lambda body, offset, _: words.read_text(body, offset),
    Kind.ROLE: _read_role,
    Kind.PARAMETERS: tuples.read_parameters,
    Kind.MEMBERS: _read_members,
    Kind.FILES: _read_files,
    Kind.ROWS: lambda body, offset, _: tuples.read_rows(body, offset),
    Kind.FAILURE: _read_failure,
}
