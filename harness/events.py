"""
The events of a history, and the operations that they pair up to.

The order of events is that of their indices. `mended` changes times and processes that contradict
it, and says so; `pair` refuses what no run can have. `native/load/record.c` treats the events of a
file by the same rules, in the same words.

Source: Jepsen's history format (`index time process type f value error`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import structs

from dissever.harness.values import freeze
from dissever.native.load import went_back, went_on

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


class Operation(msgspec.Struct, frozen=True, gc=False):
    """
    An invocation with its completion; None when the run ended before it, which means info.

    The value of an ok completion is what counts (a read returns it); `value` gives it.
    """

    invocation: Event
    completion: Event | None = None

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


ECHOES: Final = frozenset({"write", "cas", "append", "put", "enqueue", "push", "insert"})
"""What answers nothing: the value of an ok completion is the one that was asked to be set."""


TXN: Final = "txn"
"""The name of an operation that is a transaction: its value is a list of micro-operations."""

MICRO_OPERATIONS: Final[Mapping[str, str]] = {
    "r": "r",
    "read": "r",
    "w": "w",
    "write": "w",
    "append": "append",
}
"""The names of micro-operations in histories -> what they are called here."""


def is_transaction(value: Any) -> bool:
    """Whether a value is a list of micro-operations [f key value]."""
    return isinstance(value, list) and all(
        isinstance(each, list)
        and len(each) == 3
        and isinstance(each[0], str)
        and each[0] in MICRO_OPERATIONS
        for each in value
    )


def mended(events: Sequence[Event]) -> tuple[Sequence[Event], tuple[str, ...]]:
    """
    Events whose times never run backwards, and whose processes end with an info; and what changed.

    An event that is dated before the one above counts as 1 ns after it. A process that goes on
    after an info counts as a new one, whose number no other has.
    """
    dated, notes = _dated(events)
    named, more = _named(dated)
    return named, (*notes, *more)


def _dated(events: Sequence[Event]) -> tuple[Sequence[Event], tuple[str, ...]]:
    last, changed = None, []
    times: list[int] = []
    for event in events:
        time = event.time
        if last is not None and time < last:
            changed.append(event.index)
            time = last + 1
        last = time
        times.append(time)
    if not changed:
        return events, ()
    dated = [
        event if event.time == time else structs.replace(event, time=time)
        for event, time in zip(events, times, strict=True)
    ]
    return dated, (went_back(len(changed), changed[0]),)


def _named(events: Sequence[Event]) -> tuple[Sequence[Event], tuple[str, ...]]:
    ended: set[Process] = set()
    begun: list[tuple[int, Process]] = []  # Position and process of what goes on after an info.
    for position, event in enumerate(events):
        if event.type is Type.INFO:
            ended.add(event.process)
        elif event.type is Type.INVOKE and event.is_client and event.process in ended:
            ended.remove(event.process)
            begun.append((position, event.process))
    if not begun:
        return events, ()
    first = 1 + max(event.process for event in events if isinstance(event.process, int))
    named = list(events[: begun[0][0]])
    new: dict[Process, int] = {}
    starts = {position: first + number for number, (position, _) in enumerate(begun)}
    for position in range(begun[0][0], len(events)):
        event = events[position]
        if position in starts:
            new[event.process] = starts[position]
        process = new.get(event.process)
        named.append(event if process is None else structs.replace(event, process=process))
    return named, (went_on(len(begun), events[begun[0][0]].index, first),)


def check_order(events: Iterable[Event]) -> None:
    """
    Raises:
        MalformedHistory: When an index is not greater than the one before.
    """
    last = -1
    for event in events:
        if event.index <= last:
            raise MalformedHistory(
                f"index {event.index} comes after index {last}; "
                "lines must be in order of the index",
                event.index,
            )
        last = event.index


def pair(events: Iterable[Event]) -> list[Operation]:
    """
    Match each invocation of a client with the next event of its process.

    Raises:
        MalformedHistory: When a process has two open operations, or completes what it never
            invoked: nothing, another `f`, another key, or another value where the completion has
            no answer.
    """
    completions: dict[int, Event] = {}
    open_invocations: dict[Process, Event] = {}
    invocations: list[Event] = []
    for event in events:
        invocation = open_invocations.pop(event.process, None)
        if event.type is not Type.INVOKE:
            flaw = _flaw(invocation, event)
            if flaw is not None or invocation is None:
                raise MalformedHistory(f"process {event.process} {flaw}", event.index)
            completions[invocation.index] = event
            continue
        if invocation is not None:
            raise MalformedHistory(
                f"process {event.process} already has an open operation", event.index
            )
        open_invocations[event.process] = event
        invocations.append(event)
    return [Operation(invocation, completions.get(invocation.index)) for invocation in invocations]


def _flaw(invocation: Event | None, completion: Event) -> str | None:
    """Why this is no completion of that, or None."""
    if invocation is None:
        return "completes what it never invoked"
    if invocation.f != completion.f:
        return f"invoked '{invocation.f}', completed '{completion.f}'"
    if completion.key is not None and completion.key != invocation.key:
        return "completes on another key than it invoked"
    asked, answered = invocation.value, completion.value
    is_echo = completion.type is Type.OK and completion.f in ECHOES
    if is_echo and None not in (asked, answered) and type(asked) is type(answered):
        is_same = freeze(asked) == freeze(answered)
        return None if is_same else "completes with another value than it invoked"
    return None


def pair_faults(events: Iterable[Event]) -> list[Operation]:
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
