"""
What happened: events, and the operations they pair up to.

The one decision that is not obvious: the key of an operation on one of many independent objects is
a field of its own, not part of the value. Values are JSON values (None, bool, int, float, str,
list, dict), so a history reads back from its file as it was recorded. `native/load/record.c` pairs
the events of a file by the same rules, in the same words.

Source: Jepsen's history format (`index time process type f value error`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

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


def pair(events: Iterable[Event]) -> list[Operation]:
    """
    Match each invocation of a client with the next event of its process.

    Raises:
        MalformedHistory: When a process has two open operations, completes what it never
            invoked, or goes on after an info.
    """
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
                f"process {process} invoked '{invocation.f}', completed '{event.f}'", event.index
            )
        completions[invocation.index] = event
        if event.type is Type.INFO:
            ended.add(process)
    return [Operation(invocation, completions.get(invocation.index)) for invocation in invocations]


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
