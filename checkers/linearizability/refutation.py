"""
The validator: whether the evidence against a history holds. It shares nothing with the engines, and
tries every order again, in plain Python.

A refusal names the first return that no order survives: every order up to it is tried. A witness is
a few operations that are impossible by themselves: the validator makes sure that no operation that
was left out can explain them. Evidence that is too large for it is left to a second engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.model import Model, State, entries
from dissever.checkers.linearizability.steps import REFUSES, Steps, bits

CONFIGURATIONS_MAX: Final = 20_000


class Unchecked(Exception):
    """The evidence is too large to be checked, or of a kind that there is no rule for."""


def refusal_flaw(
    model: Model,
    calls: Sequence[Call],
    failing: int,
    states: Sequence[State] | None = None,
) -> str | None:
    """
    Why a return is not the first that no order survives, or None when it is.

    Args:
        failing: The position in `calls` of the operation that returns.
        states: What the object is said to hold just before it, at most; None: nothing is said.

    Raises:
        Unchecked: When there are more configurations than CONFIGURATIONS_MAX.
    """
    found, possible = _first_refused(model, calls)
    if found != failing:
        return "every answer has an order" if found is None else f"{_name(calls[found])} is refused"
    if states is not None and not possible <= set(states):
        return "the object may also hold what is not named"
    return None


def witness_flaw(model: Model, calls: Sequence[Call], named: Sequence[Call]) -> str | None:
    """
    Why some operations do not prove that no order of all calls exists, or None when they do.

    They must be impossible by themselves, and what is left out must be such that it could be taken
    out of every linearization. That is true of each operation that was invoked after the first
    return that no order of the named ones survives: the beginning of what has an order has one too.
    Of the others the family says which (`family.Parts`). Of a register: those that produce no value
    that a named one needs. Of a set or a log: those that handle no element of the named ones, and
    answers may be cut to these elements. Of a container: those that handle other values, as what
    remains is in the same order as before; a crashed take may have taken any value that no other
    took, so it stays if a named value is such. Of a counter: reads; and a read outside the bounds
    of all adds needs no more.

    Args:
        named: As in `calls`, except that answers may be cut.

    Raises:
        Unchecked: When that is not known of the model, or there is too much to try.
    """
    parts = model.family.parts
    if parts is not None and parts.proves is not None and parts.proves(model, calls, named):
        return None
    if cut := _miscut(model, calls, named):
        return cut
    ordered = sorted(named, key=lambda call: call.inv)
    found, _ = _first_refused(model, ordered)
    if found is None:
        return "the operations by themselves have an order"
    inside, end = {call.inv for call in named}, ordered[found].ret
    rest = [call for call in calls if call.inv not in inside and call.inv < end]
    if parts is not None and parts.takes_any and _are_taken(calls, named):
        rest = [call for call in rest if call.value_in is not None or not call.is_crashed]
    if not rest:
        return None
    if parts is None:
        raise Unchecked(f"nothing is known of a part of a {model.name}")
    needed = {value for call in named for value in parts.needs(call)}
    for call in rest:
        if needed.intersection(parts.helps(call)):
            return f"{_name(call)} was left out, and may explain it"
    return None


def _are_taken(calls: Sequence[Call], named: Sequence[Call]) -> bool:
    """Whether what the named put in was surely taken: no crashed take can have taken it."""
    taken = {call.value_out for call in calls if call.value_in is None and not call.is_crashed}
    return all(call.value_in in taken for call in named if call.value_in is not None)


def _miscut(model: Model, calls: Sequence[Call], named: Sequence[Call]) -> str | None:
    """An answer that was changed other than by cutting it to the elements of the named ones."""
    whole, parts = {call.inv: call for call in calls}, model.family.parts
    if parts is None or not parts.cuts_answers:
        changed = next((call for call in named if call != whole[call.inv]), None)
        return f"{_name(changed)} did not answer so" if changed else None
    if len(named) < len(calls) and model.initial not in ((), frozenset()):
        raise Unchecked(f"nothing is known of a part of a {model.name} that held something before")
    elements = {value for call in named for value in parts.needs(call)}
    for call in named:
        if call.f == "read" and call.value_out != tuple(
            each for each in entries(whole[call.inv].value_out) if each in elements
        ):
            return f"the answer of {_name(call)} is cut to more or less than the others speak of"
    return None


def _first_refused(model: Model, calls: Sequence[Call]) -> tuple[int | None, set[State]]:
    """The first call whose return no order survives, and the states just before it."""
    events = sorted(
        [(call.inv, i, False) for i, call in enumerate(calls)]
        + [(call.ret, i, True) for i, call in enumerate(calls) if not call.is_crashed]
    )
    steps, bit = Steps(model, calls), bits(calls)
    alive: set[_Configuration] = {(0, 0)}
    pending: dict[int, int] = {}
    left = CONFIGURATIONS_MAX
    for _, i, is_return in events:
        if not is_return:
            pending[i] = bit[i]
            continue
        reached = _closure(steps, alive, pending, left)
        left -= len(reached)
        alive = {(state, done ^ bit[i]) for state, done in reached if done & bit[i]}
        if not alive:
            return i, {steps.states[state] for state, _ in reached}
        del pending[i]
    return None, set()


_Configuration: TypeAlias = tuple[int, int]
"""The number of a state, and the bits of the pending operations that took effect."""


def _closure(
    steps: Steps,
    alive: set[_Configuration],
    pending: Mapping[int, int],
    configurations_max: int,
) -> set[_Configuration]:
    """Whatever can be reached by letting pending operations take effect, in every order."""
    reached = set(alive)
    waiting = list(alive)
    asked = tuple(pending.items())
    while waiting:
        state, done = waiting.pop()
        for i, bit in asked:
            if done & bit:
                continue
            after = steps.after(state, i)
            then = (after, done | bit)
            if after == REFUSES or then in reached:
                continue
            reached.add(then)
            waiting.append(then)
        if len(reached) > configurations_max:
            raise Unchecked("more configurations than are tried again")
    return reached


def _name(call: Call) -> str:
    return f"operation {call.operation.indices}"
