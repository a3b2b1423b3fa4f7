"""
The client operations of a history as flat arrays, one entry an operation, ordered by invocation.

The one decision that is not obvious: a column is a memoryview, whether an `array` or C memory is
behind it, which it keeps alive. Values are ids, so an engine compares integers alone.

Source: `columns.h`, `micro.h`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from dissever.native._search import ffi, lib

OK: Final[int] = lib.COLUMNS_OK
FAIL: Final[int] = lib.COLUMNS_FAIL
INFO: Final[int] = lib.COLUMNS_INFO
"""The types of operations; INFO also for one that is open at the end."""

NONE: Final = -1
"""In `value_out`, `b` and `ret`: there is none."""

TYPE_CODES: Final[dict[str, Literal["b", "H", "i", "q"]]] = {
    "type": "b",
    "process": "i",
    "f": "H",
    "key": "i",
    "value_in": "i",
    "value_out": "i",
    "a": "i",
    "b": "i",
    "inv": "i",
    "ret": "i",
    "inv_time": "q",
    "ret_time": "q",
}
"""The columns in order, each with the code of its integers."""

_C_TYPES: Final = {
    "b": "int8_t[]",
    "B": "uint8_t[]",
    "H": "uint16_t[]",
    "i": "int32_t[]",
    "q": "int64_t[]",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """
    What `columns.h` says of each column holds here; all have one length.

    `f`, `key` and the four columns of values are ids into `fs`, `keys` and `values`; `keys[0]` and
    `values[0]` are None.
    """

    type: memoryview
    process: memoryview
    f: memoryview
    key: memoryview
    value_in: memoryview
    value_out: memoryview
    a: memoryview
    b: memoryview
    inv: memoryview
    ret: memoryview
    inv_time: memoryview
    ret_time: memoryview
    fs: tuple[str, ...]
    keys: tuple[Any, ...]
    values: Sequence[Any]
    _struct: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Iterable[int]],
        *,
        fs: Sequence[str] = (),
        keys: Sequence[Any] = (None,),
        values: Sequence[Any] = (None,),
    ) -> Columns:
        """
        Args:
            columns: Each name of TYPE_CODES, with integers.

        Raises:
            ValueError: When the columns differ in length, or one is missing or unknown.
            OverflowError: When an integer is too large for its column.
        """
        if columns.keys() != TYPE_CODES.keys():
            raise ValueError(f"expected the columns {list(TYPE_CODES)}, got {list(columns)}")
        arrays = {name: array(code, columns[name]) for name, code in TYPE_CODES.items()}
        if len({len(column) for column in arrays.values()}) != 1:
            raise ValueError("expected columns of one length")
        views = {name: memoryview(column) for name, column in arrays.items()}
        return cls(**views, fs=tuple(fs), keys=tuple(keys), values=values)

    @classmethod
    def empty(cls) -> Columns:
        """Of no operation."""
        return cls.of(dict.fromkeys(TYPE_CODES, ()))

    def chosen(self, positions: Sequence[int]) -> Columns:
        """The operations at these positions, a copy; names, keys and values are shared."""
        columns = {name: map(getattr(self, name).__getitem__, positions) for name in TYPE_CODES}
        return Columns.of(columns, fs=self.fs, keys=self.keys, values=self.values)

    def __len__(self) -> int:
        return len(self.type)

    def pointer(self) -> Any:
        """A `struct columns *` for C; valid as long as these columns are. Made once."""
        if self._struct is None:
            struct = ffi.new("struct columns *", {"n": len(self)})
            for name, code in TYPE_CODES.items():
                setattr(struct, name, ffi.from_buffer(_C_TYPES[code], getattr(self, name)))
            object.__setattr__(self, "_struct", struct)
        return self._struct


READ: Final[int] = lib.MICRO_READ
APPEND: Final[int] = lib.MICRO_APPEND
WRITE: Final[int] = lib.MICRO_WRITE
"""The kinds of micro-operations."""

MICRO_TYPE_CODES: Final[dict[str, Literal["B", "i", "q"]]] = {
    "first": "q",
    "kind": "B",
    "key": "i",
    "value": "i",
    "list": "q",
    "length": "i",
    "keys": "i",
    "longest": "q",
    "longest_length": "i",
    "items": "i",
}
"""The arrays of `micro.h` in order, each with the code of its integers."""


@dataclass(frozen=True, slots=True)
class Micro:
    """
    The micro-operations of transactions; what `micro.h` says of each array holds here.

    Transaction i of `columns` made those from `first[i]` to `first[i + 1] - 1`. `value`, `keys` and
    `items` are ids into `columns.values`; NONE stands for MICRO_NONE. `columns` are those of the
    same history, and share their ids with these arrays.
    """

    first: memoryview
    kind: memoryview
    key: memoryview
    value: memoryview
    list: memoryview
    length: memoryview
    keys: memoryview
    longest: memoryview
    longest_length: memoryview
    items: memoryview
    columns: Columns
    _struct: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, arrays: Mapping[str, Iterable[int]], columns: Columns) -> Micro:
        """
        Args:
            arrays: Each name of MICRO_TYPE_CODES, with integers that micro.h allows; what they
                refer to is not looked at.

        Raises:
            ValueError: When arrays differ in length that should not, or one is missing or unknown.
            OverflowError: When an integer is too large for its array.
        """
        if arrays.keys() != MICRO_TYPE_CODES.keys():
            raise ValueError(f"expected the arrays {list(MICRO_TYPE_CODES)}, got {list(arrays)}")
        views = {
            name: memoryview(array(code, arrays[name])) for name, code in MICRO_TYPE_CODES.items()
        }
        of_micro = {len(views[name]) for name in ("kind", "key", "value", "list", "length")}
        of_keys = {len(views[name]) for name in ("keys", "longest", "longest_length")}
        if len(of_micro) != 1 or len(of_keys) != 1 or len(views["first"]) != len(columns) + 1:
            raise ValueError("expected arrays of one length")
        return cls(**views, columns=columns)

    def __len__(self) -> int:
        return len(self.kind)

    def pointer(self) -> Any:
        """A `struct micro *` for C; valid as long as these arrays are. Made once."""
        if self._struct is None:
            struct = ffi.new(
                "struct micro *",
                {
                    "operations": len(self.first) - 1,
                    "n": len(self),
                    "keys_n": len(self.keys),
                    "items_n": len(self.items),
                },
            )
            for name, code in MICRO_TYPE_CODES.items():
                setattr(struct, name, ffi.from_buffer(_C_TYPES[code], getattr(self, name)))
            object.__setattr__(self, "_struct", struct)
        return self._struct


def int32_pointer(column: array[int]) -> Any:
    """An `int32_t *` for C; it keeps the column alive."""
    if column.itemsize != 4:
        raise ValueError(f"expected integers of 4 bytes, got {column.itemsize}")
    return ffi.from_buffer("int32_t[]", column)
