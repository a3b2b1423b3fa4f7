"""
Tuples of SQL values: the parameters of a statement and the rows of a result.

The first word says whether a row or the end comes: no type has the code 15 (done) or 14 (more).

Source: `dqlite/src/tuple.h`, `dqlite/src/query.c`.
"""

from collections.abc import Callable
from typing import Any

from dqlite import values, words
from dqlite.schema import Rows
from dqlite.values import Iso8601, Parameter, UnixTime, Value
from dqlite.words import WORD

COLUMNS_MAX = 2000
"""SQLite's own default limit."""

ROWS_MAX = 1_000_000
"""Of one result, over all its parts."""

PARAMETERS_MAX = 32_766
"""SQLite's own default limit."""

_DONE = b"\xff" * WORD
_MORE = b"\xee" * WORD


def write_parameters(out: bytearray, parameters: tuple[Parameter, ...], schema: int) -> None:
    """Append count, type codes and values; nothing at all for no parameters."""
    if not parameters:
        return
    if len(parameters) > (PARAMETERS_MAX if schema else 255):
        raise ValueError(f"{len(parameters)} parameters are too many for schema {schema}")
    count = len(parameters).to_bytes(4 if schema else 1, "little")
    types = bytes(map(_type, parameters))
    if values.UNIXTIME in types:
        raise ValueError("servers do not take UnixTime: give the integer")
    out += count + types
    out += bytes(-len(count + types) % WORD)
    for code, value in zip(types, parameters, strict=True):
        _WRITERS[code](out, value)


def read_parameters(data: bytes, offset: int, schema: int) -> tuple[tuple[Parameter, ...], int]:
    """Read the tuple that ends a body; its absence means no parameters."""
    if offset == len(data):
        return (), offset
    start = offset + (4 if schema else 1)
    count = int.from_bytes(data[offset:start], "little")
    types = data[start : start + count]
    if len(types) != count or count > PARAMETERS_MAX or values.UNIXTIME in types:
        raise ValueError(f"{count} parameters at {offset} are malformed")
    offset = start + count
    offset += -(offset) % WORD
    parameters = []
    for code in types:
        value, offset = _reader(code)(data, offset)
        parameters.append(value)
    return tuple(parameters), offset


def write_rows(out: bytearray, result: Rows) -> None:
    """Append column names, rows and the end word."""
    out += words.u64.pack(len(result.columns))
    for column in result.columns:
        words.write_text(out, column)
    for row in result.rows:
        if len(row) != len(result.columns) or not row:
            raise ValueError(f"a row has {len(row)} values for {len(result.columns)} columns")
        _write_row(out, row)
    out += _DONE if result.is_last else _MORE


def read_rows(data: bytes, offset: int) -> tuple[Rows, int]:
    """Read one part of a result up to and with its end word."""
    width, offset = words.read_u64(data, offset)
    if width > COLUMNS_MAX:
        raise ValueError(f"{width} columns exceed {COLUMNS_MAX}")
    columns = []
    for _ in range(width):
        column, offset = words.read_text(data, offset)
        columns.append(column)
    rows: list[tuple[Value, ...]] = []
    while (end := data[offset : offset + WORD]) != _DONE and end != _MORE:
        if not width:
            raise ValueError(f"a row without columns at {offset}")
        row, offset = _read_row(data, offset, width)
        rows.append(row)
        if len(rows) > ROWS_MAX:
            raise ValueError(f"more than {ROWS_MAX} rows")
    return Rows(tuple(columns), tuple(rows), end == _DONE), offset + WORD


def _write_row(out: bytearray, row: tuple[Value, ...]) -> None:
    types = [_type(value) for value in row]
    packed = sum(code << 4 * i for i, code in enumerate(types))
    out += packed.to_bytes(_header_bytes(len(row)), "little")
    for code, value in zip(types, row, strict=True):
        _WRITERS[code](out, value)


def _read_row(data: bytes, offset: int, width: int) -> tuple[tuple[Value, ...], int]:
    start = offset
    offset += _header_bytes(width)
    types = int.from_bytes(data[start:offset], "little")
    row = []
    for _ in range(width):
        value, offset = _reader(types & 15)(data, offset)
        row.append(value)
        types >>= 4
    return tuple(row), offset


def _header_bytes(width: int) -> int:
    """Four bits a column, in full words."""
    return (width + 15) // 16 * WORD


def _type(value: Value) -> int:
    code = _TYPES.get(type(value))
    if code is None:
        raise ValueError(f"no SQL type for a value of {type(value).__name__}")
    return code


def _reader(code: int) -> Callable[[bytes, int], tuple[Any, int]]:
    reader = _READERS.get(code)
    if reader is None:
        raise ValueError(f"no SQL type has the code {code}")
    return reader


def _read_null(data: bytes, offset: int) -> tuple[None, int]:
    words.read_u64(data, offset)
    return None, offset + WORD


def _read_boolean(data: bytes, offset: int) -> tuple[bool, int]:
    number, offset = words.read_u64(data, offset)
    return number != 0, offset


def _read_unixtime(data: bytes, offset: int) -> tuple[UnixTime, int]:
    seconds, offset = words.read_i64(data, offset)
    return UnixTime(seconds), offset


def _read_iso8601(data: bytes, offset: int) -> tuple[Iso8601, int]:
    text, offset = words.read_text(data, offset)
    return Iso8601(text), offset


_TYPES = {
    int: values.INTEGER,
    float: values.FLOAT,
    str: values.TEXT,
    bytes: values.BLOB,
    type(None): values.NULL,
    UnixTime: values.UNIXTIME,
    Iso8601: values.ISO8601,
    bool: values.BOOLEAN,
}

# Any: a table cannot tie the type of each value to the key that selects its writer.
_WRITERS: dict[int, Callable[[bytearray, Any], None]] = {
    values.INTEGER: lambda out, value: out.extend(words.i64.pack(value)),
    values.FLOAT: lambda out, value: out.extend(words.f64.pack(value)),
    values.TEXT: words.write_text,
    values.BLOB: words.write_blob,
    values.NULL: lambda out, _: out.extend(bytes(WORD)),
    values.UNIXTIME: lambda out, value: out.extend(words.i64.pack(value.seconds)),
    values.ISO8601: lambda out, value: words.write_text(out, value.text),
    values.BOOLEAN: lambda out, value: out.extend(words.u64.pack(value)),
}

_READERS: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    values.INTEGER: words.read_i64,
    values.FLOAT: words.read_f64,
    values.TEXT: words.read_text,
    values.BLOB: words.read_blob,
    values.NULL: _read_null,
    values.UNIXTIME: _read_unixtime,
    values.ISO8601: _read_iso8601,
    values.BOOLEAN: _read_boolean,
}
