"""
Histories in files, from bytes straight into columns.

The one decision that is not obvious: no Python object is made of an operation. Columns and values
are views of C memory, which lives as long as any of them; a value is decoded when it is asked for.

Source: `load.h`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, overload

from dissever.native._search import ffi, lib

from dissever.native.columns import TYPE_CODES, Columns

FORMATS: Final = ("json lines", "edn", "etcd log")
"""The names of formats, by the number that C gives them."""

_BYTES: Final = {"b": 1, "H": 2, "i": 4, "q": 8}


class LoadError(ValueError):
    """
    Bytes that are no history, with line and column (in bytes), counted from 1.

    `index` is that of the event which no run can have: a second open operation of a process, a
    completion of what was never invoked. It is None when the text itself is wrong.
    """

    def __init__(self, message: str, line: int, column: int, index: int | None = None) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.message = message
        self.line = line
        self.column = column
        self.index = index


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
        return _DECODERS[self._tags[index]](self, index)

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


_DECODERS: Final[tuple[Callable[[Values, int], Any], ...]] = (
    lambda _, __: None,
    lambda _, __: False,
    lambda _, __: True,
    Values.integer,
    Values.double,
    Values.text,
    lambda values, index: int(values.text(index)),
    Values.items,
    Values.pairs,
)
"""By load_tag."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What columns do not say of an invocation, or of a completion; three are ids of values."""

    event: int
    value: int
    key: int
    node: str | None
    error: int


@dataclass(frozen=True, slots=True)
class Details:
    """
    What no engine needs, and an explanation may: nodes, errors, values of crashed operations.

    Completions and invocations are by the position of their operation; of one that is missing,
    columns say it all.
    """

    node: memoryview
    nodes: tuple[str | None, ...]
    completions: dict[int, Detail]
    invocations: dict[int, Detail]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Columns, the format they came in, and what was dropped or made up, one sentence each."""

    columns: Columns
    format: str
    notes: tuple[str, ...]
    _details: Callable[[], Details]

    def details(self) -> Details:
        """Made at each call: as long as it takes to make an object an odd operation."""
        return self._details()


def load(data: bytes | memoryview, *, keyed: bool = False) -> Loaded:
    """
    Read a history of any format, told from its content, with the interpreter's lock released.

    Some 250 ns an event; 53 bytes an operation and some 20 a distinct integer stay in memory.

    Args:
        data: May be dropped afterwards; a memoryview of a mapped file is read without a copy.
        keyed: In EDN, values are pairs [key value] of many independent objects.

    Raises:
        LoadError: When the data are no history, or one that no run can have; never for a last
            JSON line that is cut off.
        MemoryError: When memory, or ids for values (2^31), run out.
    """
    seed = int.from_bytes(os.urandom(8), "little")
    handle = lib.load_open(ffi.from_buffer("uint8_t[]", data), len(data), keyed, seed)
    if handle == ffi.NULL:
        raise MemoryError
    loaded = ffi.gc(handle, lib.load_close)
    _check(loaded)
    view = partial(_view, loaded)
    values, nodes = Values(loaded.values, view), Values(loaded.nodes, view)
    columns = {
        name: view(getattr(loaded.columns, name), loaded.columns.n * _BYTES[code]).cast(code)
        for name, code in TYPE_CODES.items()
    }
    return Loaded(
        Columns(
            **columns,
            fs=tuple(Values(loaded.fs, view)),
            keys=tuple(values[each] for each in Values(loaded.keys, view)),
            values=values,
            _struct=ffi.addressof(loaded.columns),  # The columns keep `loaded` alive.
        ),
        FORMATS[loaded.format],
        tuple(_notes(loaded, Values(loaded.fields, view))),
        partial(_details, loaded, nodes, view),
    )


def _check(loaded: Any) -> None:
    if loaded.status == lib.LOAD_OK:
        return
    message = ffi.string(loaded.message).decode("utf-8", "replace")
    if loaded.status == lib.LOAD_NO_MEMORY:
        raise MemoryError(message)
    index = loaded.index if loaded.status == lib.LOAD_MALFORMED else None
    raise LoadError(message, loaded.line, loaded.column, index)


def _view(owner: Any, pointer: Any, size: int) -> memoryview:
    """Memory of C, which keeps its owner alive."""
    if size == 0:
        return memoryview(b"")
    return memoryview(ffi.buffer(ffi.gc(pointer, partial(_release, owner)), size))


def _release(owner: Any, pointer: Any) -> None:
    """Nothing: that the owner is held until now is all."""


def _notes(loaded: Any, fields: Sequence[str]) -> Iterator[str]:
    for name, count in zip(fields, loaded.field_counts[0 : len(fields)], strict=True):
        yield f"{count} fields :{name} were left out"
    if loaded.untimed:
        yield f"{loaded.untimed} events have no time: each counts as 1 ms after the one before"
    if loaded.nemeses:
        yield f"{loaded.nemeses} events of nemeses were left out"
    if loaded.cut_line:
        yield f"line {loaded.cut_line} is cut off and was left out"
    if not loaded.events:
        yield "the file holds no events"


def _details(
    loaded: Any, nodes: Sequence[str | None], view: Callable[[Any, int], memoryview]
) -> Details:
    completions: dict[int, Detail] = {}
    invocations: dict[int, Detail] = {}
    for detail in loaded.details[0 : loaded.details_n]:
        of_type = completions if detail.is_completion else invocations
        of_type[detail.operation] = Detail(
            detail.event, detail.value, detail.key, nodes[detail.node], detail.error
        )
    node = view(loaded.node, loaded.columns.n * 2).cast("H")
    return Details(node, tuple(nodes), completions, invocations)
