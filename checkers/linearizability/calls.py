"""
The operations of one object in real time: what a search and a certificate speak of.

An interval is closed: a comes before b only if a returned strictly before b was invoked. Within a
history that is the order of the events, except that events of one time are concurrent: among them
calls come before returns. Failed operations are dropped: they never happened.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers.linearizability.model import UNKNOWN, Transition
from dissever.harness.history import Event, Operation, Type
from dissever.harness.values import freeze

NEVER: Final = 2**31 - 1
"""The position of the return of an operation that crashed."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation that happened (ok) or may have (crashed), between two positions."""

    operation: Operation
    inv: int
    ret: int
    transition: Transition

    @property
    def is_crashed(self) -> bool:
        """Whether nobody knows if it happened."""
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
        """What was answered; UNKNOWN for a crashed operation."""
        return self.transition.value_out


def calls(operations: Sequence[Operation], reads: frozenset[str]) -> tuple[Call, ...]:
    """
    The calls by invocation, with distinct positions from 0 on.

    Args:
        operations: Of one object, by invocation.
        reads: Each f that changes nothing: a crashed one asserts nothing and is dropped.
    """
    kept = [
        operation
        for operation in operations
        if operation.type is Type.OK or (operation.type is Type.INFO and operation.f not in reads)
    ]
    position = _positions(kept)
    found = [_call(operation, position, reads) for operation in kept]
    return tuple(sorted(found, key=lambda call: call.inv))


def _call(operation: Operation, position: dict[int, int], reads: frozenset[str]) -> Call:
    invocation, completion = operation.invocation, operation.completion
    is_ok = completion is not None and completion.type is Type.OK
    transition = Transition(
        operation.f,
        None if operation.f in reads else freeze(invocation.value),
        freeze(operation.value) if is_ok else UNKNOWN,
    )
    ret = position[completion.index] if completion is not None and is_ok else NEVER
    return Call(operation, position[invocation.index], ret, transition)


def _positions(operations: Iterable[Operation]) -> dict[int, int]:
    """Event index -> position. Runs of one time are sorted: calls, then returns."""
    events: list[tuple[Event, bool]] = []
    for operation in operations:
        events.append((operation.invocation, False))
        if operation.type is Type.OK and operation.completion is not None:
            events.append((operation.completion, True))
    events.sort(key=lambda each: each[0].index)
    run, time_before = 0, None
    keys: list[tuple[int, bool, int]] = []
    for event, is_return in events:
        run += event.time != time_before
        time_before = event.time
        keys.append((run, is_return, event.index))
    return {index: position for position, (_, _, index) in enumerate(sorted(keys))}
