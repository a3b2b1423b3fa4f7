"""
The operations of one object in real time: what a search orders.

An interval is closed: a comes before b only if a returned strictly before b was invoked. Within a
history that is the order of the events, except that events of one time are concurrent: among them
calls come before returns. But a process is never concurrent with itself: where it calls at the time
of its own return, this call begins a new moment. Failed operations are dropped: they never
happened.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dissever.harness.history import Operation, Process, Type
from dissever.harness.values import freeze

NEVER: Final = 2**31 - 1
"""The position of the return of an operation that crashed."""


class Answer(Enum):
    """Answers that are not values."""

    REFUSED = "refused"
    UNKNOWN = "unknown"


UNKNOWN: Final = Answer.UNKNOWN
"""The output of an operation that crashed: any output fits."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One distinct way to step: f, what was asked, what was answered."""

    f: str
    value_in: Hashable
    value_out: Hashable


@dataclass(frozen=True, slots=True)
class Call:
    """One operation that happened (ok) or may have (crashed), between two positions."""

    operation: Operation
    inv: int
    ret: int
    transition: Transition

    @property
    def is_crashed(self) -> bool:
        """Whether it is unknown if it happened."""
        return self.ret == NEVER

    @property
    def f(self) -> str:
        """What was asked."""
        return self.transition.f

    @property
    def value_in(self) -> Hashable:
        """What was asked with."""
        return self.transition.value_in

    @property
    def value_out(self) -> Hashable:
        """The answer; UNKNOWN for a crashed operation."""
        return self.transition.value_out


def calls(
    operations: Sequence[Operation],
    reads: frozenset[str],
    takes: frozenset[str] = frozenset(),
) -> tuple[Call, ...]:
    """
    The calls by invocation, with distinct positions from 0 on.

    Args:
        operations: Of one object, by invocation.
        reads: Each f that changes nothing: a crashed one asserts nothing and is dropped.
        takes: Each other f whose answer alone counts.
    """
    kept = [
        (operation, kind is Type.OK)
        for operation in operations
        if (kind := operation.type) is Type.OK
        or (kind is Type.INFO and operation.invocation.f not in reads)
    ]
    position = _positions(kept)
    answers = reads | takes
    found = [_call(operation, is_ok, position, answers) for operation, is_ok in kept]
    found.sort(key=lambda call: call.inv)
    return tuple(found)


def _call(
    operation: Operation, is_ok: bool, position: dict[int, int], answers: frozenset[str]
) -> Call:
    invocation, completion = operation.invocation, operation.completion
    value_out: Hashable = UNKNOWN
    ret = NEVER
    if is_ok and completion is not None:
        value_out, ret = freeze(completion.value), position[completion.index]
    value_in = None if invocation.f in answers else freeze(invocation.value)
    transition = Transition(invocation.f, value_in, value_out)
    return Call(operation, position[invocation.index], ret, transition)


def _positions(operations: Iterable[tuple[Operation, bool]]) -> dict[int, int]:
    """Event index -> position. Moments are sorted: calls, then returns."""
    events: list[tuple[int, bool, int, Process]] = []
    for operation, is_ok in operations:
        invocation, completion = operation.invocation, operation.completion
        events.append((invocation.index, False, invocation.time, operation.process))
        if is_ok and completion is not None:
            events.append((completion.index, True, completion.time, operation.process))
    events.sort(key=lambda event: event[0])
    moment, time_before = 0, None
    returned: set[Process] = set()
    keys: list[tuple[int, bool, int]] = []
    for index, is_return, time, process in events:
        if time != time_before or (process in returned and not is_return):
            moment += 1
            returned.clear()
        if is_return:
            returned.add(process)
        time_before = time
        keys.append((moment, is_return, index))
    keys.sort()
    return {index: position for position, (_, _, index) in enumerate(keys)}
