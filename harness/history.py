"""
The history of a run: its events, the operations they pair up to, and these as columns.

The key of an operation on one of many independent objects is a field of its own, not part of the
value. Values are JSON values (None, bool, int, float, str, list, dict), so a history reads back
from its file as it was recorded.

The other decision that is not obvious: a history that was loaded from a file consists of columns,
and makes objects of operations only when they are asked for. One that is made of events makes
columns when they are asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from heapq import heappop, heappush, merge
from typing import Any, Final

from msgspec.json import encode

from dissever.harness.events import MICRO_OPERATIONS as MICRO_OPERATIONS
from dissever.harness.events import TXN as TXN
from dissever.harness.events import Event as Event
from dissever.harness.events import Key as Key
from dissever.harness.events import MalformedHistory as MalformedHistory
from dissever.harness.events import Operation as Operation
from dissever.harness.events import Process as Process
from dissever.harness.events import Type as Type
from dissever.harness.events import check_order, mended, pair, pair_faults
from dissever.harness.events import is_transaction as is_transaction
from dissever.harness.values import freeze
from dissever.native import load
from dissever.native.columns import FAIL as FAIL
from dissever.native.columns import INFO as INFO
from dissever.native.columns import NONE as NONE
from dissever.native.columns import OK as OK
from dissever.native.columns import TYPE_CODES, Micro
from dissever.native.columns import Columns as Columns
from dissever.native.load import Details as Details

CAS: Final = "cas"

_TYPES: Final = {Type.OK: OK, Type.FAIL: FAIL, Type.INFO: INFO}
_NAMES: Final = {number: name for name, number in _TYPES.items()}
_EVENT_TYPES: Final = {
    load.INVOKE: Type.INVOKE,
    load.OK: Type.OK,
    load.FAIL: Type.FAIL,
    load.INFO: Type.INFO,
}


@dataclass(frozen=True, slots=True)
class Times:
    """
    The operations of clients by invocation, as columns: types as in `native.columns`, and times.

    `end_ns` is 0 without a completion.
    """

    type: Sequence[int]
    start_ns: Sequence[int]
    end_ns: Sequence[int]


class History:
    """All events of a run in index order. Two histories are equal when their events are."""

    def __init__(
        self, events: Iterable[Event] = (), *, rows: Rows | None = None, is_timed: bool = True
    ) -> None:
        """
        Args:
            rows: What a file holds, instead of events.
            is_timed: Whether times order the operations of different processes.
        """
        self._events = tuple(events)
        self._rows = rows
        self._is_timed = is_timed

    def __repr__(self) -> str:
        # Not the events: asyncio builds the text of every task's result, for seconds.
        return f"<History of {len(self):,} events>"

    def __len__(self) -> int:
        if self._rows is not None and self._rows.file is not None:
            return self._rows.file.events
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.events == other.events

    __hash__ = None  # type: ignore[assignment]  # Values of events are lists and maps.

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All events, as `mended` leaves them. For a history from a file: one object an event."""
        if self._rows is None:
            return tuple(self._mended[0])
        return _in_order(self.operations, self._nemesis_events)

    @cached_property
    def _mended(self) -> tuple[Sequence[Event], tuple[str, ...]]:
        return mended(self._events)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed of the events, one sentence each. The reader notes it of a file."""
        return self._mended[1]

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """
        The operations of the clients, by invocation.

        Raises:
            MalformedHistory: When indices do not rise, a process has two open operations, or it
                completes what it never invoked; never for a history from a file.
        """
        if self._rows is None:
            check_order(self._events)
            if self.notes:  # An error names the processes as they were recorded.
                pair(event for event in self._events if event.is_client)
            return tuple(pair(event for event in self.events if event.is_client))
        return tuple(self._rows.operations())

    def stream_operations(self) -> Iterator[Operation]:
        """
        The operations of the clients, by invocation. Of a file each is made when it is reached, and
        not kept.

        Raises:
            MalformedHistory: As `operations`.
        """
        if self._rows is None or "operations" in self.__dict__:
            yield from self.operations
        else:
            yield from self._rows.operations()

    def stream_events(self) -> Iterator[Event]:
        """All events by index, with the completions of open operations alone in memory."""
        clients = _streamed(self.stream_operations())
        yield from merge(clients, self._nemesis_events, key=lambda event: event.index)

    def operation(self, position: int, *, in_detail: bool = True) -> Operation:
        """
        One of the operations. Of a history from a file it is made at each call, and not kept.

        Args:
            in_detail: With its node, its error and the completion of a crashed operation, and what
                came with a failed one. Of a file they are made for all operations at the first
                call, which takes time.

        Raises:
            MalformedHistory: As `operations`.
        """
        if self._rows is None or "operations" in self.__dict__:
            return self.operations[position]
        return self._rows.operation(position, in_detail=in_detail)

    @cached_property
    def columns(self) -> Columns:
        """
        The operations of the clients as flat arrays, which the engines read.

        Raises:
            MalformedHistory: As `operations`.
            OverflowError: When a process, an index or a time is too large for its column.
        """
        return columns_of(self.operations) if self._rows is None else self._rows.columns

    @cached_property
    def times(self) -> Times:
        """
        How operations ended, and when. For a history from a file no objects are made.

        Raises:
            MalformedHistory: As `operations`.
        """
        if self._rows is not None:
            columns = self._rows.columns
            return Times(columns.type, columns.inv_time, columns.ret_time)
        return times_of(self.operations)

    @cached_property
    def details(self) -> Details | None:
        """
        What `columns` do not say, by position; None for a history that came from no file, or from
        a part of one.
        """
        return self._rows.details() if self._rows is not None and self._rows.file else None

    @property
    def has_transactions(self) -> bool:
        """
        Whether the first value that a client asks with, empty lists apart, is one of a transaction:
        a list of micro-operations [f key value]. `micro` says whether all others are, too.

        Raises:
            MalformedHistory: As `operations`.
        """
        if self._rows is None:
            values = (operation.invocation.value for operation in self.operations)
        elif self._rows.micro is not None:
            return True
        else:
            columns = self._rows.columns
            values = (columns.values[value] for value in columns.value_in)
        return next((is_transaction(value) for value in values if value != []), False)

    @property
    def interned(self) -> History:
        """
        The same history, where equal values have equal ids in `columns`. Those of transactions from
        a file have not: this makes objects of them, and takes their time.
        """
        if self._rows is None or self._rows.micro is None:
            return self
        return History(self.events, is_timed=self._is_timed)

    @property
    def is_timed(self) -> bool:
        """
        Whether times order the operations of different processes. In a history from a file without
        them the order is unknown: then only operations of one process have an order.
        """
        return self._is_timed

    @cached_property
    def micro(self) -> Micro:
        """
        The micro-operations of the transactions as flat arrays, with columns that share their ids.

        Those of a file were made while it was read. Events are written as JSON lines and loaded, so
        that one reader decides what a transaction is.

        Raises:
            MalformedHistory: As `operations`; when an operation of a client is no transaction, or
                an ok completion has other micro-operations than its invocation.
        """
        if (
            self._rows is not None
            and self._rows.file is not None
            and self._rows.file.micro is not None
        ):
            return self._rows.file.micro
        lines = b"\n".join(encode(event) for event in self.events if event.is_client)
        try:
            loaded = load.load(lines, transactions=True)
        except load.LoadError as error:
            raise MalformedHistory(error.message, error.index or 0) from error
        assert loaded.micro is not None
        return loaded.micro

    @cached_property
    def faults(self) -> tuple[Operation, ...]:
        """The operations of the nemeses, by invocation; their completions carry the evidence."""
        return tuple(pair_faults(self._nemesis_events))

    @cached_property
    def keys(self) -> tuple[Key | None, ...]:
        """The keys of client operations in order of first use."""
        if self._rows is None:
            return tuple(dict.fromkeys(operation.key for operation in self.operations))
        return tuple(self.columns.keys[key] for key in dict.fromkeys(self.columns.key))

    def by_key(self) -> dict[Key | None, History]:
        """One history per key, each with the events of its clients and their own indices."""
        if self._rows is not None:
            return {
                key: History(rows=rows, is_timed=self._is_timed)
                for key, rows in self._rows.by_key().items()
            }
        events: dict[Key | None, list[Event]] = {}
        for event in self.events:
            if event.is_client:
                events.setdefault(event.key, []).append(event)
        return {key: History(of_key, is_timed=self._is_timed) for key, of_key in events.items()}

    def chosen(self, positions: Sequence[int]) -> History:
        """The operations at these positions, and all events of nemeses, with their indices."""
        events = _in_order(map(self.operation, positions), self._nemesis_events)
        return History(events, is_timed=self._is_timed)

    @property
    def duration_ns(self) -> int:
        """The time of the last event; 0 for an empty history."""
        if self._rows is not None and self._rows.file is not None:
            return self._rows.file.last_time
        return self.events[-1].time if self.events else 0

    @cached_property
    def _nemesis_events(self) -> tuple[Event, ...]:
        if self._rows is None:
            return tuple(event for event in self.events if not event.is_client)
        return tuple(self._rows.nemesis_events())


def _in_order(operations: Iterable[Operation], others: Iterable[Event]) -> tuple[Event, ...]:
    """The events of operations, and other events, by index."""
    events = list(others)
    for operation in operations:
        events.append(operation.invocation)
        if operation.completion is not None:
            events.append(operation.completion)
    return tuple(sorted(events, key=lambda event: event.index))


def _streamed(operations: Iterable[Operation]) -> Iterator[Event]:
    """The events of operations, which come by invocation, in order."""
    ends: list[tuple[int, Event]] = []
    for operation in operations:
        while ends and ends[0][0] < operation.invocation.index:
            yield heappop(ends)[1]
        yield operation.invocation
        if operation.completion is not None:
            heappush(ends, (operation.completion.index, operation.completion))
    while ends:
        yield heappop(ends)[1]


def times_of(operations: Sequence[Operation]) -> Times:
    """Operations of clients, by invocation, as times."""
    ends = (each.completion.time if each.completion else 0 for each in operations)
    return Times(
        array("b", (_TYPES[each.type] for each in operations)),
        array("q", (each.invocation.time for each in operations)),
        array("q", ends),
    )


def columns_of(operations: Iterable[Operation]) -> Columns:
    """
    Operations of clients, by invocation, as columns.

    Raises:
        OverflowError: When a process, an index or a time is too large for its column.
    """
    fs: dict[str, int] = {}
    keys, values = _Interned(), _Interned()
    columns: dict[str, list[int]] = {name: [] for name in TYPE_CODES}
    appends = [column.append for column in columns.values()]
    for operation in operations:
        for append, number in zip(appends, _row(operation, fs, keys, values), strict=True):
            append(number)
    return Columns.of(columns, fs=tuple(fs), keys=keys.values, values=tuple(values.values))


@dataclass(frozen=True)
class Rows:
    """
    Operations of a file, as a history needs them: all of them, or those at some positions.

    `whole` are the columns of the whole file, and `positions` are rising positions in them. `file`
    is None for a part of a file, which has no events of nemeses.
    """

    whole: Columns
    details: Callable[[], Details | None]
    positions: Sequence[int]
    file: load.Loaded | None = None

    @classmethod
    def of(cls, loaded: load.Loaded) -> Rows:
        """A whole file."""
        return cls(loaded.columns, cache(loaded.details), range(len(loaded.columns)), loaded)

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def micro(self) -> Micro | None:
        """Of a whole file that was read as transactions; else None."""
        return self.file.micro if self.file is not None else None

    @cached_property
    def columns(self) -> Columns:
        """The columns of these operations alone; ids stay what they are."""
        if len(self.positions) == len(self.whole):
            return self.whole
        return self.whole.chosen(self.positions)

    @classmethod
    def of_columns(cls, columns: Columns) -> Rows:
        """Columns that came from no file: there are no details."""
        return cls(columns, lambda: None, range(len(columns)))

    def operation(self, position: int, *, in_detail: bool) -> Operation:
        """As `History.operation`."""
        details = self.details() if in_detail else None
        at = self.positions[position]
        row = tuple(getattr(self.whole, name)[at] for name in TYPE_CODES)
        return _operation(self.whole, self.whole.values, details, at, row)

    def operations(self) -> Iterator[Operation]:
        """All of these operations, each made when it is reached."""
        rows = zip(*(getattr(self.columns, name) for name in TYPE_CODES), strict=True)
        details, values = self.details(), self.whole.values
        if len(self) == len(self.whole) and self.micro is None:
            values = list(values)  # Many operations share one: decode each once.
        for at, row in zip(self.positions, rows, strict=True):
            yield _operation(self.whole, values, details, at, row)

    def by_key(self) -> dict[Key | None, Rows]:
        """The operations of each key, in order of first use."""
        found: dict[int, array[int]] = {}
        for at in self.positions:
            key = self.whole.key[at]
            if key not in found:
                found[key] = array("i")
            found[key].append(at)
        return {
            self.whole.keys[key]: Rows(self.whole, self.details, positions)
            for key, positions in found.items()
        }

    def nemesis_events(self) -> Iterator[Event]:
        """The events of nemeses, in order."""
        for event in self.file.nemesis_events() if self.file is not None else ():
            fields = {name: getattr(event, name) for name in Event.__struct_fields__}
            yield Event(**fields | {"type": _EVENT_TYPES[event.type]})


def _operation(
    columns: Columns,
    values: Sequence[Any],
    details: Details | None,
    at: int,
    row: tuple[int, ...],
) -> Operation:
    """The operation at a position, whose integers stand in the order of TYPE_CODES."""
    kind, process, f_id, key_id, value_in, value_out, _, _, inv, ret, inv_time, ret_time = row
    f, key = columns.fs[f_id], columns.keys[key_id]
    value, node, error, detail = values[value_in], None, None, None
    if details is not None:
        node = details.nodes[details.node[at]]
        detail = details.completions.get(at)
        if at in details.invocations:
            error = values[details.invocations[at].error]
    invocation = Event(inv, inv_time, process, Type.INVOKE, f, value, key, node, error)
    if detail is not None:
        index, answer, node = detail.event, values[detail.value], detail.node
        key, error = values[detail.key], values[detail.error]
    elif ret == NONE:
        return Operation(invocation)
    else:
        index, answer, error = ret, value if value_out == NONE else values[value_out], None
    completion = Event(index, ret_time, process, _NAMES[kind], f, answer, key, node, error)
    return Operation(invocation, completion)


class _Interned:
    """
    Values by id in order of first use; None is 0.

    They are interned by type and value, as `freeze` distinguishes them, so that two values are
    equal exactly when their ids are. Source: `native/columns/columns.h`.
    """

    def __init__(self) -> None:
        self.values: list[Any] = [None]
        self._ids: dict[Hashable, int] = {None: 0}

    def id_of(self, value: Any) -> int:
        found = self._ids.setdefault(freeze(value), len(self.values))
        if found == len(self.values):
            self.values.append(value)
        return found


def _row(
    operation: Operation, fs: dict[str, int], keys: _Interned, values: _Interned
) -> Sequence[int]:
    """The integers of one operation, in the order of TYPE_CODES."""
    invocation, completion = operation.invocation, operation.completion
    assert isinstance(invocation.process, int)
    value_in = values.id_of(invocation.value)
    a, b = value_in, NONE
    if invocation.f == CAS and isinstance(invocation.value, list) and len(invocation.value) == 2:
        a, b = (values.id_of(part) for part in invocation.value)
    is_ok = operation.type is Type.OK
    has_ret = completion is not None and operation.type is not Type.INFO
    return (
        _TYPES[operation.type],
        invocation.process,
        fs.setdefault(invocation.f, len(fs)),
        keys.id_of(invocation.key),
        value_in,
        values.id_of(operation.value) if is_ok else NONE,
        a,
        b,
        invocation.index,
        completion.index if completion is not None and has_ret else NONE,
        invocation.time,
        completion.time if completion is not None else 0,
    )
