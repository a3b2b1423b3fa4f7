"""
An anomaly of one object in sentences: what led there, the answer, and why it cannot be.

There is one argument. A proof of a few operations needs no more than them; what the object could
hold in every order is said only where no such proof is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.confirmation import Confirmation
from dissever.checkers.linearizability.counterexample import Possible
from dissever.checkers.linearizability.family import Proof
from dissever.checkers.linearizability.judgement import Judgement
from dissever.checkers.linearizability.model import Model
from dissever.checkers.linearizability.narration import answer, asked, done, sentence
from dissever.checkers.linearizability.partial import Partials, orders, partials
from dissever.harness.history import Operation
from dissever.harness.results import Anomaly, Step, Verdict, Wrong
from dissever.harness.values import show

STEPS_MAX: Final = 12
STATES_SHOWN: Final = 8
CONTEXT_MAX: Final = 120


def convicted(
    judgement: Judgement,
    model: Model,
    proof: Proof | None,
    confirmation: Confirmation,
    small: Sequence[Call],
    details: dict[str, Any],
    *,
    failing: Call | None = None,
    holding: Possible | None = None,
    tried: Partials | None = None,
) -> Judgement:
    """
    Invalid, explained by a proof of a few operations where there is one, else from the search.

    It is unknown where the confirmation doubts it.

    Args:
        small: The calls of the smallest history found, up to the failing return.
        failing: The one that no order survives; None where a proof says it all.
        holding: What the object could hold just before the failing return.
        tried: How far orders of `small` get, where that is known already.
    """
    if confirmation.doubt:
        return judgement.doubted(confirmation.doubt)
    if proof is not None:
        *before, last = proof.operations
        steps = [*map(sentence, before), _but(sentence(last), proof.reason)]
        name, guilty, reason, against = proof.name, proof.operations, proof.reason, proof.against
    else:
        assert failing is not None
        steps = _story(small, failing, _could(model, holding))
        name, guilty, against = "nonlinearizable", (failing.operation,), None
        reason = "no order of the operations explains it"
    indices = _indices(guilty)
    context = _indices(call.operation for call in small)[-CONTEXT_MAX:]
    noun = model.noun if judgement.key is None else f"{model.noun} {show(judgement.key)}"
    found = tried or partials(model, small)
    anomaly = Anomaly(
        name=name,
        summary=f"{noun}: {done(guilty[-1])}, but {reason}",
        indices=indices,
        context=tuple(sorted({*context, *indices})),
        steps=tuple(steps),
        key=judgement.key,
        confirmation=confirmation.sentence,
        orders=orders(model, small, found),
        orders_complete=found.is_complete,
        wrong=(_wrong(guilty[-1], against),),
        wrong_count=1,
    )
    details = {
        **details,
        "confirmed": bool(confirmation.engines),
        "confirmation": confirmation.sentence,
    }
    return judgement.with_verdict(Verdict.INVALID, anomaly.summary, anomaly, details)


def _indices(operations: Iterable[Operation]) -> tuple[int, ...]:
    return tuple(sorted({index for operation in operations for index in operation.indices}))


def _wrong(operation: Operation, against: Operation | None) -> Wrong:
    index = None if against is None else against.invocation.index
    value = answer(operation) or asked(operation)
    return Wrong(answer=operation.invocation.index, value=value, against=index)


def _but(step: Step, reason: str) -> Step:
    return Step(f"{step.text}, but {reason}", step.indices)


def _story(small: Sequence[Call], failing: Call, could: str | None) -> list[Step]:
    """The last operations before the failing one, then that one, and why it cannot be."""
    completion = failing.operation.completion
    assert completion is not None
    before = [call for call in small if call.operation is not failing.operation]
    left_out = len(before) - (STEPS_MAX - 2)
    steps = [Step(f"{left_out} earlier operations are left out")] if left_out > 0 else []
    steps += [
        sentence(call.operation, was_open_at_ns=completion.time if call.is_crashed else None)
        for call in before[max(0, left_out) :]
    ]
    last = sentence(failing.operation)
    return [*steps, last if could is None else _but(last, could)]


def _could(model: Model, holding: Possible | None) -> str | None:
    """What the object could hold just before the answer; None when nothing is known."""
    if holding is None or not holding.states:
        return None
    verb = "be in the state" if model.name == "mutex" else "hold"
    begin = (
        f"just before it, in every order of the operations that fits the answers so far, "
        f"the {model.noun} could"
    )
    shown = " or ".join(holding.states[:STATES_SHOWN])
    if holding.is_cut:
        return f"{begin} {verb} very many things, too many to list them all; among them: {shown}"
    left = len(holding.states) - STATES_SHOWN
    return f"{begin} only {verb}: {shown}" + (f" or {left} more" if left > 0 else "")
