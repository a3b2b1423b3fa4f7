"""
The better names of what a register must not answer, each with its own small proof.

A name is given only where two or three operations prove it alone: the value asked for was never
written, only by a write that failed, only later; or it was surely overwritten before.

Source: Adya, "Weak consistency" (1999), for the aborted read and the lost update.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from dissever.checkers.calls import Call
from dissever.harness.history import Operation, Type
from dissever.harness.values import freeze


@dataclass(frozen=True, slots=True)
class Proof:
    """A name, and the operations that prove it; the last one is the one that cannot be."""

    name: str
    reason: str
    operations: tuple[Operation, ...]


def wanted(call: Call) -> tuple[Hashable] | None:
    """The value that a register must have held for this call, if any."""
    if call.f == "read" and not call.is_crashed:
        return (call.value_out,)
    if call.f == "cas" and isinstance(call.value_in, tuple):
        return (call.value_in[0],)
    return None


def written(f: str, value_in: Hashable) -> tuple[Hashable] | None:
    """The value that a register holds after this operation, if it sets one."""
    if f == "write":
        return (value_in,)
    if f == "cas" and isinstance(value_in, tuple):
        return (value_in[1],)
    return None


def prove(
    failing: Call, calls: Sequence[Call], operations: Sequence[Operation], initial: Hashable
) -> Proof | None:
    """
    Why no register can have answered so, when a few operations prove it.

    Args:
        calls: Every call of the register, later ones too.
        operations: Every operation, failed ones too.
    """
    value = wanted(failing)
    if value is None:
        return None
    producers = [call for call in calls if written(call.f, call.value_in) == value]
    is_initial = value == (initial,)
    if not producers and not is_initial:
        return _unwritten(failing, value, operations)
    if not is_initial and all(call.inv > failing.ret for call in producers):
        first = min(producers, key=lambda call: call.inv)
        reason = "that value was first asked to be written later"
        return Proof("future-read", reason, (first.operation, failing.operation))
    return _taken_twice(failing, producers, calls, is_initial=is_initial) or _overwritten(
        failing, producers, calls, is_initial=is_initial
    )


def unwritten(
    calls: Sequence[Call], operations: Sequence[Operation], initial: Hashable
) -> Proof | None:
    """The first read of a value that nothing can have written: no search is needed for that."""
    possible = {written(call.f, call.value_in) for call in calls} | {(initial,)}
    for call in calls:
        value = None if call.is_crashed else wanted(call)
        if value is not None and value not in possible:
            return _unwritten(call, value, operations)
    return None


def _unwritten(failing: Call, value: tuple[Hashable], operations: Sequence[Operation]) -> Proof:
    for operation in operations:
        is_failed = operation.type is Type.FAIL
        if is_failed and written(operation.f, freeze(operation.invocation.value)) == value:
            reason = "only an operation that was told it failed had asked to write that value"
            return Proof("aborted-read", reason, (operation, failing.operation))
    return Proof("phantom-read", "nobody ever asked to write that value", (failing.operation,))


def _taken_twice(
    failing: Call, producers: Sequence[Call], calls: Sequence[Call], *, is_initial: bool
) -> Proof | None:
    """Two acknowledged compare-and-sets took the one value that was written once."""
    if failing.f != "cas" or len(producers) + is_initial != 1:
        return None
    for other in calls:
        is_rival = other is not failing and other.f == "cas" and not other.is_crashed
        if is_rival and wanted(other) == wanted(failing) != written(other.f, other.value_in):
            source = tuple(producer.operation for producer in producers)
            reason = "another acknowledged operation had replaced that value, which was set once"
            return Proof("lost-update", reason, (*source, other.operation, failing.operation))
    return None


def _overwritten(
    failing: Call, producers: Sequence[Call], calls: Sequence[Call], *, is_initial: bool
) -> Proof | None:
    """Each time the value was set, another was set for sure between that and the question."""
    value = wanted(failing)
    others = [
        call
        for call in calls
        if not call.is_crashed
        and call.ret < failing.inv
        and written(call.f, call.value_in) not in (None, value)
    ]
    past = [call for call in producers if call.inv < failing.ret]
    latest = max((call.ret for call in past), default=-1)
    over = [call for call in others if call.inv > latest]
    if not over or not (past or is_initial):
        return None
    overwriter = min(over, key=lambda call: call.ret)
    source = tuple(call.operation for call in past if call.ret == latest)
    name = "lost-write" if _is_lost(overwriter, failing, calls) else "stale-read"
    reason = "that value had been overwritten before the question was asked"
    if name == "lost-write":
        reason += ", by an acknowledged value that nobody ever saw, then or later"
    return Proof(name, reason, (*source, overwriter.operation, failing.operation))


def _is_lost(overwriter: Call, failing: Call, calls: Sequence[Call]) -> bool:
    """
    Nobody ever saw the value, and what was set before it was still current afterwards.

    A read that misses a value may be stale. That the value is gone takes more: an acknowledged
    compare-and-set, begun later, that took an older one; or, when nothing else was set any more,
    two later reads or more, all of an older one.
    """
    settled = [call for call in calls if not call.is_crashed]
    value = written(overwriter.f, overwriter.value_in)
    if any(wanted(call) == value for call in settled):
        return False
    older = {written(call.f, call.value_in) for call in calls if call.ret < overwriter.inv}
    newer = {written(call.f, call.value_in) for call in calls if call.ret >= overwriter.inv}
    old = (older | {wanted(failing)}) - newer
    later = [call for call in settled if call.inv > overwriter.ret]
    if any(call.f == "cas" and wanted(call) in old for call in later):
        return True
    is_last = newer <= {None, value}
    return is_last and len(later) > 1 and all(wanted(call) in old for call in later)
