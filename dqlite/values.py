"""
The values that SQL parameters and rows carry, the two types that SQLite does not have, and `Begin`.

Source: `dqlite/src/query.c` (types by declared column).
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Iso8601:
    """Text of a column declared DATETIME, DATE or TIMESTAMP; the server turns NULL into ""."""

    text: str


@dataclass(frozen=True, slots=True)
class UnixTime:
    """Integer of such a column, in seconds. Servers send it but do not take it as a parameter."""

    seconds: int


Parameter: TypeAlias = int | float | str | bytes | bool | Iso8601 | None
"""What a statement can be given. Integers fit 64 signed bits; text holds no NUL."""

Value: TypeAlias = Parameter | UnixTime
"""What a row can hold. The server turns NULL in a BOOLEAN column into False."""


class Begin(Enum):
    """When a transaction takes the write lock of its database."""

    DEFERRED = "DEFERRED"  # at the first write, which is Busy (517) if others committed meanwhile
    IMMEDIATE = "IMMEDIATE"  # at once
    EXCLUSIVE = "EXCLUSIVE"  # at once, too: in WAL mode, as here, readers go on
