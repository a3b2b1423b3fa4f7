"""
Values by id, each decoded when it is asked for.

The one decision that is not obvious: what a transaction asked and was answered is no value of the
table, because a history has as many of them as operations. They are made of micro-operations.

Source: `load.h`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, overload

from dissever.native._search import ffi, lib

from dissever.native.columns import NONE, OK, READ

_INTEGER: Final[int] = lib.LOAD_INTEGER


class Values(Sequence[Any]):
    """Distinct values by id, each decoded when it is asked for."""

    __slots__ = ("_bytes", "_floats", "_tags", "_words")

    def __init__(self, values: Any, view: Callable[[Any, int], memoryview]) -> None:
        self._tags = view(values.tags, values.n)
        self._words = view(values.words, values.n * 8).cast("q")
        self._floats = self._words.cast("B").cast("d")
        self._bytes = view(values.bytes, values.bytes_n)

    def __len__(self) -> int:
        return len(self._tags)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        tag = self._tags[index]
        return self._words[index] if tag == _INTEGER else _DECODERS[tag](self, index)

    def __iter__(self) -> Iterator[Any]:
        for index, tag in enumerate(self._tags):
            yield _DECODERS[tag](self, index)

    def pointer(self) -> Any:
        """A `struct load_values *` for C; valid as long as these values are."""
        struct = ffi.new("struct load_values *", {"n": len(self), "bytes_n": len(self._bytes)})
        struct.tags = ffi.from_buffer("uint8_t[]", self._tags)
        struct.words = ffi.from_buffer("int64_t[]", self._words)
        struct.bytes = ffi.from_buffer("uint8_t[]", self._bytes)
        return struct

    def integer(self, index: int) -> int:
        """The word of an integer."""
        return self._words[index]

    def double(self, index: int) -> float:
        """The word of a float."""
        return float(self._floats[index])

    def data(self, index: int) -> memoryview:
        """What stands in `bytes` after the length."""
        start = self._words[index] + 4
        length = self._bytes[start - 4 : start].cast("I")[0]
        return self._bytes[start : start + length]

    def text(self, index: int) -> str:
        """A text, or the digits of a large integer."""
        return str(self.data(index), "utf-8")

    def items(self, index: int) -> list[Any]:
        """The items of a list, or keys and values of a map by turns."""
        return [self[each] for each in self.data(index).cast("i")]

    def pairs(self, index: int) -> dict[str, Any]:
        """A map."""
        items = self.items(index)
        return dict(zip(items[::2], items[1::2], strict=True))


_DECODERS: Final[dict[int, Callable[[Values, int], Any]]] = {
    lib.LOAD_NIL: lambda _, __: None,
    lib.LOAD_FALSE: lambda _, __: False,
    lib.LOAD_TRUE: lambda _, __: True,
    lib.LOAD_INTEGER: Values.integer,
    lib.LOAD_FLOAT: Values.double,
    lib.LOAD_TEXT: Values.text,
    lib.LOAD_LARGE: lambda values, index: int(values.text(index)),
    lib.LOAD_LIST: Values.items,
    lib.LOAD_MAP: Values.pairs,
    lib.LOAD_JSON_TEXT: lambda values, index: json.loads(values.text(index)),
}


class RowValues(Sequence[Any]):
    """
    The values of a history of transactions: after the distinct ones, two of each operation.

    What an operation asked and what it was answered are made of its micro-operations whenever they
    are asked for: read and write are spelt `r` and `w`. Each has an id of its own, also where they
    are equal.
    """

    __slots__ = ("_arrays", "_kinds", "_others", "_plain", "_types")

    def __init__(
        self, plain: Values, arrays: dict[str, memoryview], types: memoryview, others: Any
    ) -> None:
        """
        Args:
            arrays: Those of `Micro`, with the rows of `others` after the last operation's.
            types: Of the operations.
            others: Each `struct load_row`.
        """
        self._plain = plain
        self._arrays = arrays
        self._types = types
        self._kinds = ("r", "append", "w")
        self._others = {
            2 * row.operation + row.is_completion: (row.first, row.count) for row in others
        }

    def __len__(self) -> int:
        return len(self._plain) + 2 * len(self._types)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = index - len(self._plain)
        if place < 0:
            return self._plain[index]
        operation, is_completion = divmod(place, 2)
        first = self._arrays["first"]
        start, end = first[operation], first[operation + 1]
        has_answers = bool(is_completion) and self._types[operation] == OK
        if place in self._others:
            has_answers = True
            if self._others[place][1] != NONE:
                start, end = self._others[place][0], sum(self._others[place])
        return [self._micro(at, has_answers) for at in range(start, end)]

    def _micro(self, at: int, has_answers: bool) -> list[Any]:
        arrays, plain = self._arrays, self._plain
        kind, value = arrays["kind"][at], arrays["value"][at]
        answer = None
        if arrays["list"][at] != NONE and has_answers:
            start = arrays["list"][at]
            items = arrays["items"][start : start + arrays["length"][at]]
            answer = [plain[item] for item in items]
        elif value != NONE and (has_answers or kind != READ):
            answer = plain[value]
        return [self._kinds[kind], plain[arrays["keys"][arrays["key"][at]]], answer]
