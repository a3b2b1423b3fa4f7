"""
The history of a run: its events, as they came or as a file holds them.

The one decision that is not obvious: a history that was loaded from a file consists of columns, and
makes objects of operations only when they are asked for. One that is made of events makes columns
when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from dissever.harness.columns import Rows, columns_of
from dissever.harness.operations import (
    Event,
    Key,
    MalformedHistory,
    Operation,
    Process,
    Type,
    pair,
    pair_faults,
)
from dissever.native.columns import Columns

__all__ = ["Event", "History", "Key", "MalformedHistory", "Operation", "Process", "Type"]


class History:
    """All events of a run in index order. Two histories are equal when their events are."""

    def __init__(self, events: Iterable[Event] = (), *, rows: Rows | None = None) -> None:
        """
        Args:
            rows: What a file holds, instead of events.
        """
        self._events = tuple(events)
        self._rows = rows

    def __repr__(self) -> str:
        # Not the events: asyncio builds the text of every task's result, for seconds.
        return f"<History of {len(self):,} events>"

    def __len__(self) -> int:
        if self._rows is not None and self._rows.count is not None:
            return self._rows.count
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.events == other.events

    __hash__ = None  # type: ignore[assignment]  # Values of events are lists and maps.

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All events. For a history from a file: one object an event."""
        if self._rows is None:
            return self._events
        return _in_order(self.operations, self._nemesis_events)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """
        The operations of the clients, by invocation.

        Raises:
            MalformedHistory: When a process has two open operations, completes what it never
                invoked, or goes on after an info; never for a history from a file.
        """
        if self._rows is None:
            return tuple(pair(event for event in self._events if event.is_client))
        return tuple(self._rows.operations())

    def operation(self, position: int, *, in_detail: bool = True) -> Operation:
        """
        One of the operations. Of a history from a file it is made at each call, and not kept.

        Args:
            in_detail: With its node, its error and the completion of a crashed operation. Of a file
                they are made for all operations at the first call, which takes time.

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
            return {key: History(rows=rows) for key, rows in self._rows.by_key().items()}
        events: dict[Key | None, list[Event]] = {}
        for event in self._events:
            if event.is_client:
                events.setdefault(event.key, []).append(event)
        return {key: History(of_key) for key, of_key in events.items()}

    def chosen(self, positions: Sequence[int]) -> History:
        """The operations at these positions, and all events of nemeses, with their indices."""
        return History(_in_order(map(self.operation, positions), self._nemesis_events))

    @property
    def duration_ns(self) -> int:
        """The time of the last event; 0 for an empty history."""
        if self._rows is not None and self._rows.last_time_ns is not None:
            return self._rows.last_time_ns
        return self.events[-1].time if self.events else 0

    @cached_property
    def _nemesis_events(self) -> tuple[Event, ...]:
        if self._rows is None:
            return tuple(event for event in self._events if not event.is_client)
        return tuple(self._rows.nemesis_events())


def _in_order(operations: Iterable[Operation], others: Iterable[Event]) -> tuple[Event, ...]:
    """The events of operations, and other events, by index."""
    events = list(others)
    for operation in operations:
        events.append(operation.invocation)
        if operation.completion is not None:
            events.append(operation.completion)
    return tuple(sorted(events, key=lambda event: event.index))
