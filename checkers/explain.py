"""
An anomaly of one object, told in sentences: what led there, the answer, and why it cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from dissever.checkers.calls import Call
from dissever.checkers.lazy import TooManyStates
from dissever.checkers.models import Model, Transition
from dissever.checkers.narrate import answer, sentence, who
from dissever.checkers.stale import Proof
from dissever.checkers.table import States
from dissever.checkers.values import show
from dissever.harness.history import Key, Operation
from dissever.harness.results import Anomaly, Step
from dissever.native import Outcome

STEPS_MAX: Final = 12
STATES_SHOWN: Final = 8
STATES_MAX: Final = 1000
CONTEXT_MAX: Final = 120


def explain(
    key: Key | None,
    model: Model,
    small: Sequence[Call],
    failing: Call | None,
    holding: Sequence[str],
    proof: Proof | None,
) -> Anomaly:
    """
    The anomaly, from a proof of a few operations where there is one, else from the search.

    Args:
        small: The calls of the smallest history found, up to the failing return.
        holding: What the object could hold just before the failing return; empty if not known.
    """
    context = _context(small)
    if proof is not None:
        steps = [sentence(operation) for operation in proof.operations]
        steps.append(Step(f"but {proof.reason}", proof.operations[-1].indices))
        if holding and failing is not None:
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
        )
    assert failing is not None
    steps = _story(small, failing)
    if holding:
        steps.append(Step(_could(model, holding), failing.operation.indices))
    return Anomaly(
        name="nonlinearizable",
        summary=_summary(key, model, failing.operation, "no order of the operations explains it"),
        indices=failing.operation.indices,
        context=context,
        steps=tuple(steps),
        key=key,
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


def possible(table: States, small: Sequence[Call], outcome: Outcome) -> tuple[str, ...]:
    """
    What the object could hold just before the failing return, and more; empty when too much could.

    Crashed operations may have taken effect too: as often as they like where few states come of
    it, else each once, as a queue that each of them makes longer would never come to an end.
    """
    crashed = [call.transition for call in small if call.is_crashed]
    first = dict.fromkeys(state for state, _ in outcome.frontier)
    any_number = {} if table.model.is_endless else _reachable(table, first, dict.fromkeys(crashed))
    states = any_number or _reachable_once(table, first, crashed)
    return tuple(table.model.holds(table.states[state]) for state in sorted(states))


def _reachable(
    table: States, first: Iterable[int], transitions: Iterable[Transition]
) -> dict[int, None]:
    """The states that transitions lead to in any number; empty past STATES_MAX."""
    states = dict.fromkeys(first)
    waiting = list(states)
    for state in waiting:
        for transition in transitions:
            after = _after(table, state, transition)
            if after >= 0 and after not in states:
                states[after] = None
                waiting.append(after)
        if len(states) > STATES_MAX:
            return {}
    return states


def _reachable_once(
    table: States, first: Iterable[int], transitions: Sequence[Transition]
) -> dict[int, None]:
    """The states that transitions lead to, each at most once; empty past STATES_MAX."""
    nothing: frozenset[int] = frozenset()
    seen = dict.fromkeys((state, nothing) for state in first)
    waiting = list(seen)
    for state, used in waiting:
        for i, transition in enumerate(transitions):
            then = (-1 if i in used else _after(table, state, transition), used | {i})
            if then[0] >= 0 and then not in seen:
                seen[then] = None
                waiting.append(then)
        if len(seen) > STATES_MAX:
            return {}
    return dict.fromkeys(state for state, _ in seen)


def _after(table: States, state: int, transition: Transition) -> int:
    try:
        return table.after(state, transition)
    except TooManyStates:
        return -1


def _could(model: Model, holding: Sequence[str]) -> str:
    shown = " or ".join(holding[:STATES_SHOWN])
    more = f" or {len(holding) - STATES_SHOWN} more" if len(holding) > STATES_SHOWN else ""
    verb = "be in the state" if model.name == "mutex" else "hold"
    return (
        f"just before that answer, in every order of the operations that fits the answers so far, "
        f"the {model.noun} could only {verb}: {shown}{more}"
    )
