"""
Does the evidence against a history hold? It shares nothing with what found it, and tries every
order again, in plain Python.

A refusal names the first return that no order survives: every order up to it is tried. A witness is
a few operations that are impossible by themselves; it is looked after that what was left out cannot
have helped. What is too large for that is left to a second engine.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from dissever.checkers.calls import Call
from dissever.checkers.models import UNKNOWN, Family, Model, State
from dissever.checkers.steps import REFUSES, Steps, bits

CONFIGURATIONS_MAX: Final = 20_000

_CONTAINERS: Final = frozenset(
    {Family.QUEUE, Family.UNORDERED_QUEUE, Family.STACK, Family.PRIORITY_QUEUE}
)
_COLLECTIONS: Final = frozenset({Family.SET, Family.GROW_ONLY_SET, Family.LOG})


class Unchecked(Exception):
    """The evidence is too large to be checked, or of a kind that there is no rule for."""


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
        Unchecked: When there are more configurations than `configurations_max`.
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
    named: Sequence[Call],
    *,
    configurations_max: int = CONFIGURATIONS_MAX,
) -> str | None:
    """
    Why some operations do not prove that no order of all calls exists, or None when they do.

    They must be impossible by themselves, and what is left out must be such that it could be taken
    out of every linearization. That is whatever was asked after the first return that no order of
    theirs survives, as the beginning of what has an order has one too. Of a register it is whatever
    produces no value that a named one needs: the last producer before a question stays, so nothing
    stands between them. Of a set or a log it is whatever handles no element of the named ones, and
    their answers may be cut to these elements. Of a container it is all that handles other values:
    what remains is in the same order as before; a crashed take may have taken whatever no other
    took, and stays where a named value is such. Of a counter it is other reads; a read outside the
    bounds of all adds needs no more.

    Args:
        named: As in `calls`, but for answers that are cut.

    Raises:
        Unchecked: When that is not known of the model, or there is too much to try.
    """
    if model.family is Family.COUNTER and _is_out_of_bounds(model, calls, named):
        return None
    if cut := _miscut(model, calls, named):
        return cut
    ordered = sorted(named, key=lambda call: call.inv)
    found, _ = _first_refused(model, ordered, configurations_max)
    if found is None:
        return "the operations by themselves have an order"
    inside, end = {call.inv for call in named}, ordered[found].ret
    rest = [call for call in calls if call.inv not in inside and call.inv < end]
    if model.family in _CONTAINERS and _are_taken(calls, named):
        rest = [call for call in rest if call.value_in is not None or not call.is_crashed]
    if not rest:
        return None
    needed = {value for call in named for value in _touched(model, call, is_named=True)}
    for call in rest:
        if needed.intersection(_touched(model, call, is_named=False)):
            return f"{_name(call)} was left out, and may explain it"
    return None


def _are_taken(calls: Sequence[Call], named: Sequence[Call]) -> bool:
    """Whether what the named put in was surely taken: no crashed take can have taken it."""
    taken = {call.value_out for call in calls if call.value_in is None and not call.is_crashed}
    return all(call.value_in in taken for call in named if call.value_in is not None)


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
    elif model.family in _COLLECTIONS:
        if call.f not in model.reads:
            yield call.value_in
        elif is_named:
            assert isinstance(call.value_out, tuple)
            yield from call.value_out[:1] if call.f == "contains" else call.value_out
    elif model.family in _CONTAINERS:
        value = call.value_out if call.value_in is None else call.value_in
        if value is not None:  # An empty container stays empty without the others.
            yield value
        if is_named or value is UNKNOWN:  # It may have taken any.
            yield UNKNOWN
    elif model.family is Family.COUNTER:
        if is_named or call.f not in model.reads:  # Each add may be in what a read answers.
            yield UNKNOWN
    else:
        raise Unchecked(f"nothing is known of a part of a {model.name}")


_NO: Final = (None, None)


def _miscut(model: Model, calls: Sequence[Call], named: Sequence[Call]) -> str | None:
    """An answer that was changed other than by cutting it to the elements of the named ones."""
    whole = {call.inv: call for call in calls}
    if model.family not in _COLLECTIONS:
        changed = next((call for call in named if call != whole[call.inv]), None)
        return f"{_name(changed)} did not answer so" if changed else None
    if len(named) < len(calls) and model.initial not in ((), frozenset()):
        raise Unchecked(f"nothing is known of a part of a {model.name} that held something before")
    elements = {value for call in named for value in _touched(model, call, is_named=True)}
    for call in named:
        if call.f == "read" and call.value_out != _only(whole[call.inv].value_out, elements):
            return f"the answer of {_name(call)} is cut to more or less than the others speak of"
    return None


def _only(answer: Any, elements: set[Hashable]) -> Hashable:
    return tuple(each for each in answer if each in elements)


def _is_out_of_bounds(model: Model, calls: Sequence[Call], named: Sequence[Call]) -> bool:
    """Whether a named read of a counter lies outside what every order of all adds allows."""
    adds: list[tuple[Call, Any]] = [(call, call.value_in) for call in calls if call.f == "add"]
    for read in named:
        if read.f != "read" or read.is_crashed:
            continue
        sure = [n for call, n in adds if call.ret < read.inv]
        possible = [n for call, n in adds if call.ret >= read.inv and call.inv < read.ret]
        held: Any = model.initial
        least = held + sum(sure) + sum(n for n in possible if n < 0)
        most = held + sum(sure) + sum(n for n in possible if n > 0)
        answer: Any = read.value_out
        if not least <= answer <= most:
            return True
    return False


def _first_refused(
    model: Model, calls: Sequence[Call], configurations_max: int
) -> tuple[int | None, set[State]]:
    """The first call whose return no order survives, and the states just before it."""
    events = sorted(
        [(call.inv, i, False) for i, call in enumerate(calls)]
        + [(call.ret, i, True) for i, call in enumerate(calls) if not call.is_crashed]
    )
    steps, bit = Steps(model, calls), bits(calls)
    alive: set[_Configuration] = {(0, 0)}
    pending: dict[int, int] = {}
    left = configurations_max
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
