"""
Tuples of SQL values: the parameters of a statement and the rows of a result.

The first word says whether a row or the end comes: no type has the code 15 (done) or 14 (more).

Source: `dqlite/src/tuple.h`, `dqlite/src/query.c`, `dqlite/src/protocol.h` (type codes).
"""

from collections.abc import Callable, Generator, Iterable
from functools import lru_cache, partial
from struct import Struct
from typing import Any, TypeAlias

from dqlite.values import Iso8601, Parameter, UnixTime, Value
from dqlite.wire.schema import Rows
from dqlite.wire.words import BLOB, F64, I64, TEXT, U64, WORD, Format, converted, counted

COLUMNS_MAX = 2000
"""SQLite's own default limit."""

ROWS_MAX = 1_000_000
"""Of one result, over all its parts."""

PARAMETERS_MAX = 32_766
"""SQLite's own default limit."""

STEP_VALUES = 4096
"""How many values are read before the reader gives way: a few milliseconds of work."""

_RowReader: TypeAlias = Callable[[bytes, int], tuple[tuple[Value, ...], int]]

_UNIXTIME = 9
_DONE = b"\xff" * WORD
_MORE = b"\xee" * WORD


def _write_parameters(count_bytes: int, out: bytearray, parameters: tuple[Parameter, ...]) -> None:
    """Append count, type codes and values; nothing at all for no parameters."""
    if not parameters:
        return
    if len(parameters) >= min(PARAMETERS_MAX + 1, 256**count_bytes):
        raise ValueError(f"{len(parameters)} parameters are too many for this schema")
    head, values = bytearray(len(parameters).to_bytes(count_bytes, "little")), bytearray()
    for value in parameters:
        code, format_ = _TYPES.get(type(value)) or _format_of(value)
        if code == _UNIXTIME:
            raise ValueError("servers do not take UnixTime: give the integer")
        head.append(code)
        format_.write(values, value)
    out += head
    out += bytes(-len(head) % WORD)
    out += values


def _read_parameters(
    count_bytes: int, data: bytes, offset: int
) -> tuple[tuple[Parameter, ...], int]:
    """Read the tuple that ends a body; its absence means no parameters."""
    if offset == len(data):
        return (), offset
    start = offset + count_bytes
    count = int.from_bytes(data[offset:start], "little")
    types = data[start : start + count]
    if len(types) != count or count > PARAMETERS_MAX or _UNIXTIME in types:
        raise ValueError(f"{count} parameters at {offset} are malformed")
    offset = start + count
    return _read_values(data, offset + -offset % WORD, types)


def _read_values(data: bytes, offset: int, types: Iterable[int]) -> tuple[tuple[Any, ...], int]:
    row = []
    for code in types:
        if code not in _FORMATS:
            raise ValueError(f"no SQL type has the code {code}")
        value, offset = _FORMATS[code].read(data, offset)
        row.append(value)
    return tuple(row), offset


def _write_rows(out: bytearray, result: Rows) -> None:
    """Append column names, rows and the end word."""
    _COLUMNS.write(out, result.columns)
    for row in result.rows:
        if len(row) != len(result.columns) or not row:
            raise ValueError(f"a row has {len(row)} values for {len(result.columns)} columns")
        formats = [_format_of(value) for value in row]
        packed = sum(code << 4 * i for i, (code, _) in enumerate(formats))
        out += packed.to_bytes(_header_bytes(len(row)), "little")
        for (_, format_), value in zip(formats, row, strict=True):
            format_.write(out, value)
    out += _DONE if result.is_last else _MORE


def read_rows(data: bytes, offset: int) -> Generator[None, None, tuple[Rows, int]]:
    """Read one part of a result up to and with its end word, `STEP_VALUES` at a time."""
    columns, offset = _COLUMNS.read(data, offset)
    width = len(columns)
    rows: list[tuple[Value, ...]] = []
    step_rows = STEP_VALUES // max(width, 1) or 1
    while True:
        end, offset = _read_some(data, offset, width, rows, len(rows) + step_rows)
        if end:
            return Rows(columns, tuple(rows), end == _DONE), offset
        if len(rows) > ROWS_MAX:
            raise ValueError(f"more than {ROWS_MAX} rows")
        yield


def _read_all_rows(data: bytes, offset: int) -> tuple[Rows, int]:
    """As `read_rows`, in one step."""
    columns, offset = _COLUMNS.read(data, offset)
    rows: list[tuple[Value, ...]] = []
    end, offset = _read_some(data, offset, len(columns), rows, ROWS_MAX + 1)
    if not end:
        raise ValueError(f"more than {ROWS_MAX} rows")
    return Rows(columns, tuple(rows), end == _DONE), offset


def _read_some(
    data: bytes, offset: int, width: int, rows: list[tuple[Value, ...]], count_max: int
) -> tuple[bytes, int]:
    """Append rows until there are `count_max` or the end word comes, which is returned."""
    header_bytes = _header_bytes(width)
    readers: dict[bytes, _RowReader] = {}  # rows of one result mostly have the same types
    while len(rows) < count_max:
        types = data[offset : offset + header_bytes]
        if (reader := readers.get(types)) is None:
            end = data[offset : offset + WORD]
            if end in (_DONE, _MORE):
                return end, offset + WORD
            if not width:
                raise ValueError(f"a row without columns at {offset}")
            reader = readers[types] = _row_reader(types, width)
        row, offset = reader(data, offset + header_bytes)
        rows.append(row)
    return b"", offset


@lru_cache(maxsize=256)
def _row_reader(types: bytes, width: int) -> "_RowReader":
    """
    Return what reads the values of a row with these types.

    Raises:
        ValueError: If there is no such type, or if the types end too early.
    """
    packed = int.from_bytes(types, "little")
    codes = [packed >> 4 * i & 15 for i in range(width)]
    if len(types) != _header_bytes(width) or not _FORMATS.keys() >= set(codes):
        raise ValueError(f"no SQL types for {width} columns: {types.hex()}")
    formats = [_FORMATS[code] for code in codes]
    if all(format_.code for format_ in formats):
        numbers = Struct("<" + "".join(format_.code for format_ in formats))
        return lambda data, offset: (numbers.unpack_from(data, offset), offset + numbers.size)
    reads = [format_.read for format_ in formats]

    def read(data: bytes, offset: int) -> tuple[tuple[Value, ...], int]:
        row = []
        for read_value in reads:
            value, offset = read_value(data, offset)
            row.append(value)
        return tuple(row), offset

    return read


def _header_bytes(width: int) -> int:
    """Four bits a column, in full words."""
    return (width + 15) // 16 * WORD


def _format_of(value: Value) -> tuple[int, Format[Any]]:
    """Type code and format of a value."""
    if (found := _TYPES.get(type(value))) is None:
        raise ValueError(f"no SQL type for a value of {type(value).__name__}")
    return found


# Any: a table cannot tie the type of each value to the key that selects its format.
_TYPES: dict[type, tuple[int, Format[Any]]] = {
    int: (1, I64),
    float: (2, F64),
    str: (3, TEXT),
    bytes: (4, BLOB),
    type(None): (5, converted(U64, lambda _: None, lambda _: 0)),
    UnixTime: (_UNIXTIME, converted(I64, UnixTime, lambda time: time.seconds)),
    Iso8601: (10, converted(TEXT, Iso8601, lambda time: time.text)),
    bool: (11, converted(U64, bool, int)),
}
"""Type code and format of the values of each Python type."""

_FORMATS = dict(_TYPES.values())

_COLUMNS = counted(TEXT, COLUMNS_MAX)

ROWS = Format(_read_all_rows, _write_rows)

PARAMETERS = tuple(
    Format(
        partial(_read_parameters, count_bytes),
        partial(_write_parameters, count_bytes),
    )
    for count_bytes in (1, 4)
)
"""By the schema of the request."""
