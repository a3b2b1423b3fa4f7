"""
Is an order of operations a linearization? This reads events, and shares nothing with the engines.

Each ok operation stands once, each crashed one at most once, a failed one never; the object gives
each answer in turn; and none stands before another that had been answered before it was asked.
Events of one time are concurrent, except those of one process.

Source: Herlihy and Wing, "Linearizability" (1990), section 2.3.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from dissever.checkers.linearizability.family import Answers
from dissever.checkers.linearizability.model import REFUSED, UNKNOWN, Model
from dissever.harness.history import Operation, Process, Type
from dissever.harness.values import freeze


def flaw(
    model: Model,
    operations: Sequence[Operation],
    order: Sequence[int],
    *,
    in_place: bool = False,
) -> str | None:
    """
    Why an order is not a linearization of the operations of one object, or None when it is.

    Args:
        order: Indices of invocations.
        in_place: Replay on an object that changes in place, if the family has one, where each value
            is put in at most once. A step of the model may copy its state, which makes the replay
            of a large container quadratic.
    """
    by_index = {operation.invocation.index: operation for operation in operations}
    ordered = set(order)
    if len(ordered) != len(order) or not ordered <= by_index.keys():
        return "an operation stands twice, or is of another object"
    for index, operation in by_index.items():
        if index not in ordered and operation.type is Type.OK:
            return f"operation {operation.indices}, which was acknowledged, is missing"
    placed = [by_index[index] for index in order]
    return _flaw_in_answers(model, placed, in_place) or _flaw_in_time(placed, _moments(operations))


def _flaw_in_answers(model: Model, placed: Sequence[Operation], in_place: bool) -> str | None:
    steps = [_step(model, each) for each in placed]
    replayer = model.family.replayer if in_place else None
    if replayer is None:
        answers = _by_steps(model)
    else:
        answers = replayer(
            model, {out for _, asked, out in steps if asked is None and out is not UNKNOWN}
        )
    for each, step in zip(placed, steps, strict=True):
        if each.type is Type.FAIL or not answers(*step):
            return f"operation {each.indices} cannot have happened there"
    return None


def _step(model: Model, operation: Operation) -> tuple[str, Hashable, Hashable]:
    f, done = operation.invocation.f, operation.completion
    asked = None if f in model.answers else freeze(operation.invocation.value)
    is_ok = done is not None and done.type is Type.OK
    return f, asked, freeze(done.value) if is_ok and done is not None else UNKNOWN


def _by_steps(model: Model) -> Answers:
    state = model.initial

    def answers(f: str, value_in: Hashable, value_out: Hashable) -> bool:
        nonlocal state
        after = model.step(state, f, value_in, value_out)
        if after is REFUSED:
            return False
        state = after
        return True

    return answers


def _flaw_in_time(placed: Sequence[Operation], moments: dict[int, int]) -> str | None:
    """Seen from the end: the least return so far, against each invocation."""
    least_return = len(moments) + 1
    least_index: dict[Process, int] = {}  # Of the invocations so far, by process.
    for each in reversed(placed):
        index = each.invocation.index
        if least_index.get(each.process, index) < index:
            return f"operation {each.indices} comes before an earlier one of its process"
        least_index[each.process] = index
        done = each.completion
        if done is not None and done.type is Type.OK and moments[done.index] < least_return:
            least_return = moments[done.index]
        if least_return < moments[each.invocation.index]:
            return f"operation {each.indices} comes before one that returned earlier"
    return None


def _moments(operations: Sequence[Operation]) -> dict[int, int]:
    """Event index -> how many times have passed before its own."""
    events = [
        (event.index, event.time)
        for each in operations
        for event in (each.invocation, each.completion)
        if event is not None
    ]
    moments: dict[int, int] = {}
    moment, time_before = 0, None
    for index, time in sorted(events):
        moment += time != time_before
        moments[index] = moment
        time_before = time
    return moments
