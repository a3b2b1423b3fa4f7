"""
Does the evidence hold? A validator that shares no code with what found it.

Three kinds. A linearization is replayed: each ok operation stands once, each crashed one at most
once, the model accepts each step, and no operation stands after one that was invoked after it
returned. A refusal names the first return that no order survives: every order up to it is tried
again. A witness names a few operations that are impossible by themselves: every order of these is
tried, and it is looked after that what was left out cannot have helped.

Source: Herlihy and Wing, "Linearizability" (1990), section 2.3.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Final

from dissever.checkers.calls import Call
from dissever.checkers.models import REFUSED, UNKNOWN, Family, Model, State

CONFIGURATIONS_MAX: Final = 50_000

_CONTAINERS: Final = frozenset({Family.QUEUE, Family.STACK, Family.PRIORITY_QUEUE})
_SETS: Final = frozenset({Family.SET, Family.GROW_ONLY_SET})


class Unchecked(Exception):
    """The evidence is too large to be checked, or of a kind that there is no rule for."""


def flaw(model: Model, calls: Sequence[Call], order: Sequence[int]) -> str | None:
    """
    Why an order is not a linearization of the calls, or None when it is.

    Args:
        order: Positions in `calls`.
    """
    if len(set(order)) != len(order):
        return "an operation stands twice"
    missing = set(range(len(calls))) - set(order)
    if any(not calls[i].is_crashed for i in missing):
        return "an acknowledged operation is missing"
    return _flaw_in_steps(model, calls, order) or _flaw_in_time(calls, order)


def _flaw_in_steps(model: Model, calls: Sequence[Call], order: Sequence[int]) -> str | None:
    state = model.initial
    for i in order:
        call = calls[i]
        after = model.step(state, call.f, call.value_in, call.value_out)
        if after is REFUSED:
            return f"the model refuses operation {call.operation.indices}"
        state = after
    return None


def _flaw_in_time(calls: Sequence[Call], order: Sequence[int]) -> str | None:
    """No operation may return before one that stands ahead of it was invoked; seen from the end."""
    least_return = None
    for i in reversed(order):
        call = calls[i]
        if least_return is not None and least_return < call.inv:
            return f"operation {call.operation.indices} comes before one that returned earlier"
        least_return = call.ret if least_return is None else min(least_return, call.ret)
    return None


def refusal_flaw(
    model: Model,
    calls: Sequence[Call],
    failing: int,
    states: Sequence[State] | None = None,
    *,
    configurations_max: int = CONFIGURATIONS_MAX,
) -> str | None:
    """
    Why a return is not the first that no order survives, or None when it is.

    Args:
        failing: The position in `calls` of the operation that returns.
        states: What the object is said to hold just before it, at most; None: nothing is said.

    Raises:
        Unchecked: When there are more configurations than `configurations_max` at one return.
    """
    found, possible = _first_refused(model, calls, configurations_max)
    if found != failing:
        return "every answer has an order" if found is None else f"{_name(calls[found])} is refused"
    if states is not None and not possible <= set(states):
        return "the object may also hold what is not named"
    return None


def witness_flaw(
    model: Model,
    calls: Sequence[Call],
    named: Sequence[int],
    *,
    configurations_max: int = CONFIGURATIONS_MAX,
) -> str | None:
    """
    Why some operations do not prove that no order of all calls exists, or None when they do.

    They must be impossible by themselves, and what is left out must be such that it could be taken
    out of every linearization. Of a register that is whatever produces no value that a named one
    needs: the last producer before a question stays, so nothing stands between them. Of a set it is
    whatever adds or removes no element that a named one answers. Of a container it is all that
    handles other values: what remains is in the same order as before.

    Raises:
        Unchecked: When that is not known of the model, or there is too much to try.
    """
    wanted = set(named)
    rest = [call for i, call in enumerate(calls) if i not in wanted]
    if rest:
        needed = {value for i in wanted for value in _touched(model, calls[i], is_named=True)}
        for call in rest:
            if needed.intersection(_touched(model, call, is_named=False)):
                return f"{_name(call)} was left out, and may explain it"
    some = [calls[i] for i in sorted(wanted)]
    found, _ = _first_refused(model, some, configurations_max)
    return "the operations by themselves have an order" if found is None else None


def _touched(model: Model, call: Call, *, is_named: bool) -> Iterator[Hashable]:
    """Of a named operation the values it needs; of another those with which it could help."""
    if model.family is Family.REGISTER:
        old, new = call.value_in if isinstance(call.value_in, tuple) and call.f == "cas" else _NO
        if call.f == "read" and is_named:
            yield call.value_out
        elif call.f == "cas":
            yield old if is_named else new
        elif call.f == "write" and not is_named:
            yield call.value_in
    elif model.family in _SETS:
        if call.f in model.reads and is_named:
            assert isinstance(call.value_out, tuple)
            yield from call.value_out[:1] if call.f == "contains" else call.value_out
        elif call.f not in model.reads and not is_named:
            yield call.value_in
    elif model.family in _CONTAINERS:
        value = call.value_out if call.value_in is None else call.value_in
        if value is not None:  # An empty container stays empty without the others.
            yield value
        if is_named or value is UNKNOWN:  # It may have taken any.
            yield UNKNOWN
    else:
        raise Unchecked(f"nothing is known of a part of a {model.name}")


_NO: Final = (None, None)


def _first_refused(
    model: Model, calls: Sequence[Call], configurations_max: int
) -> tuple[int | None, set[State]]:
    """The first call whose return no order survives, and the states just before it."""
    events = sorted(
        [(call.inv, i, False) for i, call in enumerate(calls)]
        + [(call.ret, i, True) for i, call in enumerate(calls) if not call.is_crashed]
    )
    alive: set[tuple[State, frozenset[int]]] = {(model.initial, frozenset())}
    pending: list[int] = []
    for _, i, is_return in events:
        if not is_return:
            pending.append(i)
            continue
        reached = _closure(model, calls, alive, pending, configurations_max)
        alive = {(state, done - {i}) for state, done in reached if i in done}
        if not alive:
            return i, {state for state, _ in reached}
        pending.remove(i)
    return None, set()


def _closure(
    model: Model,
    calls: Sequence[Call],
    alive: set[tuple[State, frozenset[int]]],
    pending: Sequence[int],
    configurations_max: int,
) -> set[tuple[State, frozenset[int]]]:
    """Whatever can be reached by letting pending operations take effect, in every order."""
    reached = set(alive)
    waiting = list(alive)
    while waiting:
        state, done = waiting.pop()
        for i in pending:
            if i in done:
                continue
            call = calls[i]
            after = model.step(state, call.f, call.value_in, call.value_out)
            then = (after, done | {i})
            if after is REFUSED or then in reached:
                continue
            reached.add(then)
            waiting.append(then)
        if len(reached) > configurations_max:
            raise Unchecked(f"more than {configurations_max} configurations at one return")
    return reached


def _name(call: Call) -> str:
    return f"operation {call.operation.indices}"
