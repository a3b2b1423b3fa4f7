"""
What happened: events, the operations they pair up to, and the history that holds them.

The one decision that is not obvious: the key of an operation on one of many independent objects is
a field of its own, not part of the value. Values are JSON values (None, bool, int, float, str,
list, dict), so a history reads back from its file as it was recorded.

Source: Jepsen's history format (`index time process type f value error`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from dissever.native.columns import Columns

Process: TypeAlias = int | str
"""A client process is an int; a nemesis is known by its name."""

Key: TypeAlias = int | str


class Type(StrEnum):
    """What an event says: asked, took effect, did not and never will, unknown."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """
    One line of a history.

    `index` is the position in the history. `time` is in ns since the run began, on the monotonic
    clock. `node` is the node that the process talked to. `error` says why a completion is not ok: a
    list of a class of errors and what came, or a text.
    """

    index: int
    time: int
    process: Process
    type: Type
    f: str
    value: Any = None
    key: Key | None = None
    node: str | None = None
    error: Any = None

    @property
    def is_client(self) -> bool:
        """Whether a client process, not a nemesis, is meant."""
        return isinstance(self.process, int)


@dataclass(frozen=True, slots=True)
class Operation:
    """
    An invocation with its completion; None when the run ended before it, which means info.

    The value of an ok completion is what counts (a read returns it); `value` gives it.
    """

    invocation: Event
    completion: Event | None

    @property
    def type(self) -> Type:
        """How the operation ended: OK, FAIL, or INFO, also when no completion was recorded."""
        return self.completion.type if self.completion else Type.INFO

    @property
    def value(self) -> Any:
        """The value of the ok completion, or else of the invocation."""
        if self.completion is not None and self.completion.type is Type.OK:
            return self.completion.value
        return self.invocation.value

    @property
    def f(self) -> str:
        """What was asked."""
        return self.invocation.f

    @property
    def process(self) -> Process:
        """Who asked."""
        return self.invocation.process

    @property
    def key(self) -> Key | None:
        """The object that was meant, if the workload has many."""
        return self.invocation.key

    @property
    def indices(self) -> tuple[int, ...]:
        """The indices of its one or two events."""
        if self.completion is None:
            return (self.invocation.index,)
        return (self.invocation.index, self.completion.index)


class MalformedHistory(ValueError):
    """A history that no run can have: two open operations of a process, a completion alone, …"""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(f"event {index}: {message}")
        self.index = index


@dataclass(frozen=True, repr=False)
class History:
    """All events of a run in index order."""

    events: tuple[Event, ...]

    def __repr__(self) -> str:
        # Not the events: asyncio builds the text of every task's result, for seconds.
        return f"<History of {len(self.events):,} events>"

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """
        The operations of the clients, by invocation.

        Raises:
            MalformedHistory: When a process has two open operations, completes what it never
                invoked, or goes on after an info.
        """
        return tuple(_pair([event for event in self.events if event.is_client]))

    @cached_property
    def columns(self) -> Columns:
        """
        The operations of the clients as flat arrays, which the engines read.

        Raises:
            MalformedHistory: As `operations`.
            OverflowError: When a process, an index or a time is too large for its column.
        """
        from dissever.harness.columns import columns_of

        return columns_of(self)

    def operation(self, at: int, *, in_detail: bool = False) -> Operation:
        """
        The operation of a client at a position in the columns.

        Args:
            in_detail: With its node, its error and the completion of a crashed operation, which a
                history that was loaded from a file may leave out to save time.
        """
        return self.operations[at]

    @cached_property
    def faults(self) -> tuple[Operation, ...]:
        """The operations of the nemeses, by invocation; their completions carry the evidence."""
        return tuple(_pair_faults([event for event in self.events if not event.is_client]))

    @cached_property
    def keys(self) -> tuple[Key | None, ...]:
        """The keys of client operations in order of first use."""
        return tuple(dict.fromkeys(operation.key for operation in self.operations))

    def by_key(self) -> dict[Key | None, History]:
        """One history per key, each with the events of its clients and their own indices."""
        events: dict[Key | None, list[Event]] = {}
        for event in self.events:
            if event.is_client:
                events.setdefault(event.key, []).append(event)
        return {key: History(tuple(of_key)) for key, of_key in events.items()}

    @property
    def duration_ns(self) -> int:
        """The time of the last event; 0 for an empty history."""
        return self.events[-1].time if self.events else 0


def _pair(events: Sequence[Event]) -> Iterable[Operation]:
    """Match each invocation of a client with the next event of its process."""
    completions: dict[int, Event] = {}
    open_invocations: dict[Process, Event] = {}
    ended: set[Process] = set()
    invocations: list[Event] = []
    for event in events:
        process = event.process
        invocation = open_invocations.pop(process, None)
        if event.type is Type.INVOKE:
            if invocation is not None:
                raise MalformedHistory(
                    f"process {process} already has an open operation", event.index
                )
            if process in ended:
                raise MalformedHistory(f"process {process} goes on after an info", event.index)
            open_invocations[process] = event
            invocations.append(event)
            continue
        if invocation is None:
            raise MalformedHistory(
                f"process {process} completes what it never invoked", event.index
            )
        if invocation.f != event.f:
            raise MalformedHistory(
                f"process {process} invoked {invocation.f!r}, completed {event.f!r}", event.index
            )
        completions[invocation.index] = event
        if event.type is Type.INFO:
            ended.add(process)
    return [Operation(invocation, completions.get(invocation.index)) for invocation in invocations]


def _pair_faults(events: Sequence[Event]) -> Iterable[Operation]:
    """
    Match each event of a nemesis with the next of the same process and `f`.

    Elsewhere both may be info, and one may stand alone: it is an operation without a completion.
    """
    first: dict[Process, int] = {}
    pairs: list[Operation] = []
    for event in events:
        begun = first.pop(event.process, None)
        is_end = event.type is not Type.INVOKE
        if begun is not None and is_end and pairs[begun].f == event.f:
            pairs[begun] = Operation(pairs[begun].invocation, event)
        else:
            first[event.process] = len(pairs)
            pairs.append(Operation(event, None))
    return pairs
