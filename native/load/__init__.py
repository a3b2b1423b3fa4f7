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
from typing import Any, Final

from dissever.native._search import ffi, lib

from dissever.native.columns import MICRO_TYPE_CODES, TYPE_CODES, Columns, Micro
from dissever.native.load.values import RowValues
from dissever.native.load.values import Values as Values

FORMATS: Final[dict[int, str]] = {
    lib.LOAD_JSON_LINES: "json lines",
    lib.LOAD_JSON_ARRAY: "json array",
    lib.LOAD_EDN: "edn",
    lib.LOAD_LOG: "log",
    lib.LOAD_JSON_OBJECTS: "json objects",
    lib.LOAD_DBCOP_JSON: "dbcop json",
    lib.LOAD_DBCOP_TEXT: "dbcop text",
    lib.LOAD_PLUME: "plume text",
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
    data: bytes | memoryview,
    *,
    keyed: bool = False,
    transactions: bool | None = None,
    is_mapped: bool = False,
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
        is_mapped: The data are all of a mapped file, whose pages are given back once they are read.

    Raises:
        LoadError: When the data are no history, or one that no run can have; never for a last
            JSON line that is cut off.
        MemoryError: When memory, or ids for values (2^31), run out.
    """
    seed = int.from_bytes(os.urandom(8), "little")
    how = _TRANSACTIONS[transactions]
    # A variable for the buffer would live as long as the traceback of an error.
    handle = lib.load_open(
        ffi.from_buffer("uint8_t[]", data), len(data), is_mapped, keyed, how, seed
    )
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
    if loaded.timeless:
        yield (
            "the format has no times: the order of the transactions of one session is known, and "
            "nothing of the order of different sessions"
        )
    elif loaded.untimed:
        yield f"{loaded.untimed} events have no time: each counts as 1 ms after the one before"
    if loaded.uncommitted:
        yield f"{loaded.uncommitted} transactions are not committed: each counts as aborted"
    if loaded.zeros:
        yield f"{loaded.zeros} reads of 0, which nobody wrote, count as reads of the initial value"
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
