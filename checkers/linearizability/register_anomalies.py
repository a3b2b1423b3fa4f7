"""
Names of what a register must not answer, each with a small proof of its own.

A name is given only where two or three operations prove it alone: nothing that was asked by then
can have written the value (`sources`), or the value was surely overwritten before.

Source: Adya, "Weak consistency" (1999), for the lost update.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Proof
from dissever.checkers.linearizability.narration import deed
from dissever.checkers.linearizability.sources import without_source
from dissever.harness.history import Operation
from dissever.harness.values import freeze, show_ns


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


def connected(calls: Sequence[Call], some: Sequence[Operation]) -> tuple[Call, ...]:
    """
    The calls on the values of some operations, and on those that compare-and-sets join to them.

    These are impossible alone only if all calls are. To leave out the others is sound: of any
    order, what a register holds before each of these calls was set by another of these.
    """
    joined: dict[Hashable, list[Hashable]] = {}
    for call in calls:
        for value in _values(call):
            joined.setdefault(value, []).extend(_values(call))
    indices = {operation.indices[0] for operation in some}
    waiting = [v for call in calls if call.operation.indices[0] in indices for v in _values(call)]
    reached: set[Hashable] = set()
    while waiting:
        value = waiting.pop()
        if value not in reached:
            reached.add(value)
            waiting += joined[value]
    return tuple(call for call in calls if not reached.isdisjoint(_values(call)))


def _values(call: Call) -> tuple[Hashable, ...]:
    """Those that the call wants or writes."""
    return (*(wanted(call) or ()), *(written(call.f, call.value_in) or ()))


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
    if not is_initial and (proof := _without_source(failing, value, operations)):
        return proof
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
            return _without_source(call, value, operations)
    return None


def _without_source(
    failing: Call, value: tuple[Hashable], operations: Sequence[Operation]
) -> Proof | None:
    askers = [
        each for each in operations if written(each.f, freeze(each.invocation.value)) == value
    ]
    return without_source(failing.operation, askers)


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
            reason = f"{deed(other.operation)} was acknowledged too, and that value was set once"
            rival = other.operation
            return Proof("lost-update", reason, (*source, rival, failing.operation), rival)
    return None


def _overwritten(
    failing: Call, producers: Sequence[Call], calls: Sequence[Call], *, is_initial: bool
) -> Proof | None:
    """After each time that the value was set, another was surely set before the question."""
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
    completion = overwriter.operation.completion
    assert completion is not None
    at = show_ns(completion.time)
    reason = f"{deed(overwriter.operation)}, acknowledged at {at}, had overwritten that value"
    name = "stale-read"
    if _is_lost(overwriter, failing, calls):
        name, reason = "lost-write", f"{reason}, and no answer ever showed the new one"
    proved_by = (*source, overwriter.operation, failing.operation)
    return Proof(name, reason, proved_by, overwriter.operation)


def _is_lost(overwriter: Call, failing: Call, calls: Sequence[Call]) -> bool:
    """
    No operation ever saw the value, and the one before it was still current afterwards.

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
