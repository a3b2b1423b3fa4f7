"""
The history of a run: its events, the operations they pair up to, and these as columns (`rows.py`).

The key of an operation on one of many independent objects is a field of its own, not part of the
value. Values are JSON values (None, bool, int, float, str, list, dict), so a history reads back
from its file as it was recorded.

The other decision that is not obvious: a history that was loaded from a file consists of columns,
and makes objects of operations only when they are asked for. One that is made of events makes
columns when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from heapq import heappop, heappush, merge

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
from dissever.harness.rows import CAS as CAS
from dissever.harness.rows import Rows as Rows
from dissever.harness.rows import Times as Times
from dissever.harness.rows import columns_of as columns_of
from dissever.harness.rows import times_of as times_of
from dissever.native import load
from dissever.native.columns import FAIL as FAIL
from dissever.native.columns import INFO as INFO
from dissever.native.columns import NONE as NONE
from dissever.native.columns import OK as OK
from dissever.native.columns import Columns as Columns
from dissever.native.columns import Micro
from dissever.native.load import Details as Details


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
