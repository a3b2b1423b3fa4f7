"""
An anomaly of one object, told in sentences: what led there, the answer, and why it cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from dissever.checkers.calls import Call
from dissever.checkers.models import Model
from dissever.checkers.narrate import answer, sentence, who
from dissever.checkers.possible import Possible
from dissever.checkers.stale import Proof
from dissever.harness.history import Key, Operation
from dissever.harness.results import Anomaly, Step
from dissever.harness.values import show

STEPS_MAX: Final = 12
STATES_SHOWN: Final = 8
CONTEXT_MAX: Final = 120

SINGLE_ENGINE: Final = "single-engine: no second engine was asked"


def explain(
    key: Key | None,
    model: Model,
    small: Sequence[Call],
    failing: Call | None,
    holding: Possible,
    proof: Proof | None,
) -> Anomaly:
    """
    The anomaly, from a proof of a few operations where there is one, else from the search.

    Args:
        small: The calls of the smallest history found, up to the failing return.
        holding: What the object could hold just before the failing return.
    """
    context = _context(small)
    if proof is not None:
        steps = [sentence(operation) for operation in proof.operations]
        steps.append(Step(f"but {proof.reason}", proof.operations[-1].indices))
        if holding.states and failing is not None:
            steps.append(Step(_could(model, holding), failing.operation.indices))
        guilty = _indices(proof.operations)
        summary = _summary(key, model, proof.operations[-1], proof.reason)
        return Anomaly(
            name=proof.name,
            summary=summary,
            indices=guilty,
            context=tuple(sorted({*context, *guilty})),
            steps=tuple(steps),
            key=key,
            confirmation=SINGLE_ENGINE,
        )
    assert failing is not None
    steps = _story(small, failing)
    if holding.states:
        steps.append(Step(_could(model, holding), failing.operation.indices))
    return Anomaly(
        name="nonlinearizable",
        summary=_summary(key, model, failing.operation, "no order of the operations explains it"),
        indices=failing.operation.indices,
        context=context,
        steps=tuple(steps),
        key=key,
        confirmation=SINGLE_ENGINE,
    )


def _summary(key: Key | None, model: Model, operation: Operation, reason: str) -> str:
    noun = model.noun
    at = noun if key is None else f"{noun} {show(key)}" if noun != "key" else f"key {show(key)}"
    told = answer(operation) or f"that its {operation.f} happened"
    return f"{at}: {who(operation)} was told {told}, but {reason}"


def _indices(operations: Iterable[Operation]) -> tuple[int, ...]:
    return tuple(sorted({index for operation in operations for index in operation.indices}))


def _context(small: Sequence[Call]) -> tuple[int, ...]:
    return _indices(call.operation for call in small)[-CONTEXT_MAX:]


def _story(small: Sequence[Call], failing: Call) -> list[Step]:
    """The last operations before the failing one, then that one."""
    completion = failing.operation.completion
    assert completion is not None
    before = [call for call in small if call.operation is not failing.operation]
    left_out = len(before) - (STEPS_MAX - 2)
    steps = [Step(f"{left_out} earlier operations are left out")] if left_out > 0 else []
    steps += [
        sentence(call.operation, was_open_at_ns=completion.time if call.is_crashed else None)
        for call in before[max(0, left_out) :]
    ]
    return [*steps, sentence(failing.operation)]


def _could(model: Model, holding: Possible) -> str:
    verb = "be in the state" if model.name == "mutex" else "hold"
    begin = (
        f"just before that answer, in every order of the operations that fits the answers so far, "
        f"the {model.noun} could"
    )
    shown = " or ".join(holding.states[:STATES_SHOWN])
    if holding.is_cut:
        return f"{begin} {verb} very many things, too many to list them all; among them: {shown}"
    left = len(holding.states) - STATES_SHOWN
    return f"{begin} only {verb}: {shown}" + (f" or {left} more" if left > 0 else "")
