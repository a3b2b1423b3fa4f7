"""
Histories in files, from bytes straight into columns.

The one decision that is not obvious: no Python object is made of an operation. Columns and values
are views of C memory, which lives as long as any of them; a value is decoded when it is asked for.

Source: `load.h`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, overload

from dissever.native._search import ffi, lib

from dissever.native.columns import MICRO_TYPE_CODES, NONE, READ, TYPE_CODES, Columns, Micro
from dissever.native.columns import OK as OK_OPERATION

FORMATS: Final[dict[int, str]] = {
    lib.LOAD_JSON_LINES: "json lines",
    lib.LOAD_JSON_ARRAY: "json array",
    lib.LOAD_EDN: "edn",
    lib.LOAD_LOG: "log",
    lib.LOAD_JSON_OBJECTS: "json objects",
}
"""The names of the formats."""

INVOKE: Final[int] = lib.LOAD_EVENT_INVOKE
OK: Final[int] = lib.LOAD_EVENT_OK
FAIL: Final[int] = lib.LOAD_EVENT_FAIL
INFO: Final[int] = lib.LOAD_EVENT_INFO
"""The types of events."""

_TRANSACTIONS: Final = {
    None: lib.LOAD_ANY_TRANSACTIONS,
    False: lib.LOAD_NO_TRANSACTIONS,
    True: lib.LOAD_TRANSACTIONS,
}
_INTEGER: Final[int] = lib.LOAD_INTEGER
_BYTES: Final = {"b": 1, "B": 1, "H": 2, "i": 4, "q": 8}


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
        has_answers = bool(is_completion) and self._types[operation] == OK_OPERATION
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
class NemesisEvent:
    """An event of a nemesis; `type` is INVOKE, OK, FAIL or INFO."""

    index: int
    time: int
    process: str
    type: int
    f: str
    value: Any
    key: Any
    node: str | None
    error: Any


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    A history of a file.

    `notes` say what was dropped, changed or made up, one sentence each. `nodes` are the nodes that
    events name, by first use. `open_max` is how many operations were open at once, at most.
    `events` counts all events, and `last_time` is the time of the last one in ns, 0 without events.
    `is_timed` says whether times, or positions, order events of different processes. `micro` are
    the micro-operations of a history of transactions, else None.
    `misnumbered` is the first position of an event whose index is another number, or None;
    `cut_line` the last line, where it is cut off, or None.
    """

    columns: Columns
    format: str
    notes: tuple[str, ...]
    nodes: tuple[str, ...]
    events: int
    last_time: int
    open_max: int
    misnumbered: int | None
    cut_line: int | None
    is_timed: bool
    micro: Micro | None
    _details: Callable[[], Details]
    _nemesis_events: Callable[[], Iterator[NemesisEvent]]

    def details(self) -> Details:
        """Made at each call, in the time that one object for each unusual operation takes."""
        return self._details()

    def nemesis_events(self) -> Iterator[NemesisEvent]:
        """The events of nemeses in order, each made and its values decoded when it is reached."""
        return self._nemesis_events()


def load(
    data: bytes | memoryview, *, keyed: bool = False, transactions: bool | None = None
) -> Loaded:
    """
    Read a history; its content decides the format. The interpreter's lock is released.

    Takes about 250 ns an event. 53 bytes an operation, and about 20 bytes a distinct integer, stay
    in memory.

    Args:
        data: May be dropped afterwards; a memoryview of a mapped file is read without a copy.
        keyed: Values of clients are pairs [key value] of many independent objects.
        transactions: Values of clients are lists of micro-operations [f key value]. None: if the
            first operation that asks for anything has such a value, and all others do, too. Keyed
            values are none.

    Raises:
        LoadError: When the data are no history, or one that no run can have; never for a last
            JSON line that is cut off.
        MemoryError: When memory, or ids for values (2^31), run out.
    """
    seed = int.from_bytes(os.urandom(8), "little")
    how = _TRANSACTIONS[transactions]
    # A variable for the buffer would live as long as the traceback of an error.
    handle = lib.load_open(ffi.from_buffer("uint8_t[]", data), len(data), keyed, how, seed)
    if handle == ffi.NULL:
        raise MemoryError
    loaded = ffi.gc(handle, lib.load_close)
    _check(loaded)
    view = partial(_view, loaded)
    plain, nodes = Values(loaded.values, view), Values(loaded.nodes, view)
    fs = tuple(Values(loaded.fs, view))
    columns = {
        name: view(getattr(loaded.columns, name), loaded.columns.n * _BYTES[code]).cast(code)
        for name, code in TYPE_CODES.items()
    }
    arrays = _micro_arrays(loaded, view)
    values: Sequence[Any] = plain
    if loaded.has_rows:
        values = RowValues(plain, arrays, columns["type"], loaded.rows[0 : loaded.rows_n])
    whole = Columns(
        **columns,
        fs=fs,
        keys=_keys(plain[each] for each in Values(loaded.keys, view)),
        values=values,
        _struct=_part(loaded, loaded.columns),
    )
    n = loaded.micro.n
    short = {name: arrays[name][:n] for name in _OF_MICRO if name in arrays}
    return Loaded(
        whole,
        FORMATS[loaded.format],
        tuple(_notes(loaded, Values(loaded.fields, view), Values(loaded.clients, view))),
        tuple(nodes[1:]),
        loaded.events,
        loaded.last_time,
        loaded.open_max,
        None if loaded.misnumbered < 0 else loaded.misnumbered,
        loaded.cut_line or None,
        not loaded.timeless,
        Micro(**arrays | short, columns=whole, _struct=_part(loaded, loaded.micro))
        if loaded.has_rows
        else None,
        partial(_details, loaded, nodes, view),
        partial(_nemesis_events, loaded, plain, nodes, fs),
    )


_OF_MICRO: Final = ("kind", "key", "value", "list", "length")


def _micro_arrays(loaded: Any, view: Callable[[Any, int], memoryview]) -> dict[str, memoryview]:
    """The arrays of `Micro`, with what `loaded.rows` refers to; empty without transactions."""
    micro = loaded.micro
    if not loaded.has_rows:
        return {}
    rows = sum(max(row.count, 0) for row in loaded.rows[0 : loaded.rows_n])
    lengths = dict.fromkeys(MICRO_TYPE_CODES, micro.keys_n)
    lengths |= dict.fromkeys(_OF_MICRO, micro.n + rows)
    lengths |= {"first": micro.operations + 1, "items": micro.items_n}
    return {
        name: view(getattr(micro, name), lengths[name] * _BYTES[code]).cast(code)
        for name, code in MICRO_TYPE_CODES.items()
    }


def _check(loaded: Any) -> None:
    if loaded.status == lib.LOAD_OK:
        return
    message = _plain(ffi.string(loaded.message).decode("utf-8", "replace"))
    if loaded.status == lib.LOAD_NO_MEMORY:
        raise MemoryError(message)
    index = loaded.index if loaded.status == lib.LOAD_MALFORMED else None
    raise LoadError(message, loaded.line, loaded.column, index)


def _plain(text: str) -> str:
    """A text in which what cannot be printed is escaped."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _view(owner: Any, pointer: Any, size: int) -> memoryview:
    """Memory of C, which keeps its owner alive."""
    if size == 0:
        return memoryview(b"")
    return memoryview(ffi.buffer(ffi.gc(pointer, partial(_release, owner)), size))


def _part(owner: Any, struct: Any) -> Any:
    """A pointer to a part of a struct of C, which keeps its owner alive."""
    return ffi.gc(ffi.addressof(struct), partial(_release, owner))


def _release(owner: Any, pointer: Any) -> None:
    """Do nothing: the owner had to be held until now."""


def _keys(values: Iterable[Any]) -> tuple[int | str | None, ...]:
    """Keys that programs can compare: what is neither integer nor text is its JSON; all differ."""
    keys: dict[int | str | None, None] = {}
    for value in values:
        is_simple = value is None or type(value) is int or type(value) is str
        key = value if is_simple else json.dumps(value, ensure_ascii=False)
        while key in keys:
            key = f"{key}'"
        keys[key] = None
    return tuple(keys)


def _notes(loaded: Any, fields: Sequence[str], clients: Sequence[str]) -> Iterator[str]:
    for name, count in zip(fields, loaded.field_counts[0 : len(fields)], strict=True):
        yield f"{count} fields :{name} were left out"
    if loaded.other_lines:
        yield (
            f"{loaded.other_lines} lines hold no event and were left out, "
            f"first line {loaded.other_line}"
        )
    if loaded.untimed:
        yield f"{loaded.untimed} events have no time: each counts as 1 ms after the one before"
    if loaded.backwards:
        yield went_back(loaded.backwards, loaded.backwards_index)
    if loaded.gaps:
        yield (
            f"the index leaves numbers out {loaded.gaps} times, first after {loaded.gap_index}: "
            "events are missing"
        )
    if len(clients):
        rest = f" and {len(clients) - 1} more" if len(clients) > 1 else ""
        yield (
            f"named processes that do what clients do are clients: '{clients[0]}'{rest}, "
            f"numbered from {loaded.clients_first}"
        )
    if loaded.renamed:
        yield went_on(loaded.renamed, loaded.renamed_index, loaded.renamed_first)
    if loaded.cut_line:
        yield f"line {loaded.cut_line} is cut off and was left out"
    if not loaded.events:
        yield "the file holds no events"


def went_back(count: int, index: int) -> str:
    """The note that times contradict the order of events."""
    return (
        f"{count} events are dated before the one above, first event {index}: the order of the "
        "events counts, and each is dated 1 ns after the one before"
    )


def went_on(count: int, index: int, first: int) -> str:
    """The note that processes went on after an info."""
    return (
        f"{count} times a process goes on after an info, first at event {index}: each counts as a "
        f"new process, numbered from {first}"
    )


def _nemesis_events(
    loaded: Any, values: Values, nodes: Sequence[str | None], fs: Sequence[str]
) -> Iterator[NemesisEvent]:
    for event in loaded.nemesis_events[0 : loaded.nemesis_events_n]:
        yield NemesisEvent(
            event.index,
            event.time,
            values[event.process],
            event.type,
            fs[event.f],
            values[event.value],
            values[event.key],
            nodes[event.node],
            values[event.error],
        )


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
