"""
Python values to what a statement is given, and what a row holds to Python values.

Times travel as ISO 8601 text. A server marks integers and text of columns that are declared
DATETIME, DATE or TIMESTAMP, and integers of those declared BOOLEAN; it does so by the declaration
of the column, so the values of expressions come as they are stored. It cannot say NULL in such
columns: NULL comes as "" from a time column, which is None here, and as 0 from a BOOLEAN column,
which is False here.

Source: PEP 249, Type Objects and Constructors; `dqlite/src/query.c`; go-dqlite `driver/driver.go`.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final, TypeAlias

from dqlite.errors import InvalidValue, Refused
from dqlite.values import Iso8601, Parameter, UnixTime, Value

Scalar: TypeAlias = int | float | str | bytes | bool | datetime | date | None
"""What a column of a fetched row holds."""

Row: TypeAlias = tuple[Scalar, ...]

_INTEGER_MIN = -(2**63)
_INTEGER_MAX = 2**63 - 1

_TIMES = frozenset({Iso8601, UnixTime})

_ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d(?P<time>[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?"
)


class TypeObject:
    """A type object of PEP 249: equal to the type codes of the columns that it describes."""

    def __init__(self, name: str, *types: type) -> None:
        self._name = name
        self._types = frozenset(types)

    def __repr__(self) -> str:
        return self._name

    def __eq__(self, other: object) -> bool:
        return other is self or other in self._types

    def __hash__(self) -> int:
        return hash(self._name)


STRING: Final = TypeObject("STRING", str)
BINARY: Final = TypeObject("BINARY", bytes)
NUMBER: Final = TypeObject("NUMBER", int, float, bool)
DATETIME: Final = TypeObject("DATETIME", datetime, date)
ROWID: Final = TypeObject("ROWID", int)

Date = date
Time = time
Timestamp = datetime
Binary = bytes


def DateFromTicks(ticks: float) -> date:  # noqa: N802 - PEP 249 names it
    """Return the local date of a number of seconds since the epoch."""
    return date.fromtimestamp(ticks)  # noqa: DTZ012 - PEP 249: of the local time


def TimeFromTicks(ticks: float) -> time:  # noqa: N802
    """Return the local time of a number of seconds since the epoch."""
    return datetime.fromtimestamp(ticks).time()  # noqa: DTZ006


def TimestampFromTicks(ticks: float) -> datetime:  # noqa: N802
    """Return the local date and time of a number of seconds since the epoch."""
    return datetime.fromtimestamp(ticks)  # noqa: DTZ006


def to_parameters(given: Sequence[Any], count: int) -> tuple[Parameter, ...]:
    """
    Return what a statement that takes `count` parameters is given.

    Raises:
        Refused: If this is no sequence of that length.
        InvalidValue: If it holds what no server takes.
    """
    is_plain = type(given) is tuple or type(given) is list  # others take long to tell
    if not is_plain and not _is_sequence(given):
        raise Refused(
            f"expected a sequence of parameters, one for each ?, got {type(given).__name__}"
        )
    if len(given) != count:
        raise Refused(f"expected {count} parameters, one for each ?, got {len(given)}")
    return tuple([_to_parameter(value) for value in given])


def _is_sequence(given: object) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str | bytes)


def from_rows(rows: Sequence[tuple[Value, ...]]) -> list[Row]:
    """Return rows as Python values; most have no time, and are left as they are."""
    return [
        row  # type: ignore[misc]  # the type checker does not see that it holds no time
        if _TIMES.isdisjoint(map(type, row))
        else tuple([_from_value(value) for value in row])
        for row in rows
    ]


def type_of(value: object) -> type | None:
    """Return the type code of a column that holds `value`; None where NULL hides it."""
    return None if value is None else type(value)


def _to_parameter(value: Any) -> Parameter:
    kind = type(value)
    if kind is int:
        return _checked_integer(value)
    if kind is str:
        return _checked_text(value)
    if value is None or kind is float or kind is bytes or kind is bool or kind is Iso8601:
        return value  # type: ignore[no-any-return]
    if isinstance(value, datetime):
        return Iso8601(value.isoformat(" "))
    if isinstance(value, date):
        return Iso8601(value.isoformat())
    if isinstance(value, time):  # servers mark no column of times of day
        return value.isoformat()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, int):  # also of an IntEnum
        return _checked_integer(int(value))
    if isinstance(value, str):
        return _checked_text(str.__str__(value))
    if isinstance(value, float):
        return float(value)
    raise InvalidValue(
        "expected int, float, str, bytes, bool, datetime, date, time or None as a parameter,"
        f" got {kind.__name__}"
    )


def _checked_integer(value: int) -> int:
    if not _INTEGER_MIN <= value <= _INTEGER_MAX:
        shown = hex(value) if value.bit_length() <= 128 else f"one of {value.bit_length()} bits"
        raise InvalidValue(f"expected an integer of 64 bits with sign, got {shown}")
    return value


def _checked_text(value: str) -> str:
    if "\0" in value:
        raise InvalidValue("expected text without NUL, which would be cut there: use bytes")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as cause:
            raise InvalidValue(f"expected text that UTF-8 can hold: {cause.reason}") from cause
    return value


def _from_value(value: Value) -> Scalar:
    """The value of a column; text of a time column that is no time comes as it is stored."""
    if not isinstance(value, Iso8601 | UnixTime):
        return value
    if isinstance(value, UnixTime):
        try:
            return datetime.fromtimestamp(value.seconds, UTC)
        except (OverflowError, OSError, ValueError):
            return value.seconds
    text = value.text
    if not text:
        return None
    found = _ISO_8601.fullmatch(text)
    if found is None:
        return text
    try:
        return datetime.fromisoformat(text) if found["time"] else date.fromisoformat(text)
    except ValueError:  # the 31st of February
        return text
