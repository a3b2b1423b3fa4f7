"""
What a correct object would do: models as pure step functions over hashable states.

A model refuses an operation by answering REFUSED, not None: None is a value that a register holds
before the first write. Values come frozen (`values.freeze`): a pair [old, new] is a tuple.

Source: Knossos, `model.clj`; Porcupine for the map of texts, split by key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

from dissever.checkers.values import show

State: TypeAlias = Hashable


class Answer(Enum):
    """Answers that are not values."""

    REFUSED = "refused"
    UNKNOWN = "unknown"


REFUSED: Final = Answer.REFUSED
"""A step's answer: the operation cannot have happened in this state with this output."""

UNKNOWN: Final = Answer.UNKNOWN
"""The output of an operation that crashed: any output fits."""

Step: TypeAlias = Callable[[State, str, Hashable, Hashable], State | Literal[Answer.REFUSED]]
"""From a state, f, the value asked and the value answered, to the next state."""


class Misfit(ValueError):
    """An operation that the model does not know, whatever the state."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One distinct way to step: f, what was asked, what was answered."""

    f: str
    value_in: Hashable
    value_out: Hashable


@dataclass(frozen=True, slots=True)
class Model:
    """
    An object's correct behaviour.

    `reads` names each f that never changes the state: a crashed one is dropped. `noun` is what the
    object is called. `narrow` gives a model with fewer states that the given transitions cannot
    tell from this one; None where nothing is gained.
    """

    name: str
    initial: State
    step: Step
    reads: frozenset[str] = frozenset({"read"})
    noun: str = "object"
    holds: Callable[[State], str] = show
    narrow: Callable[[Iterable[Transition]], Model] | None = None


def register(initial: Hashable = None) -> Model:
    """`read` -> value, `write` value."""
    return Model("register", initial, _register, noun="register")


def cas_register(initial: Hashable = None) -> Model:
    """A register with `cas` [old, new]; a failed one never happened."""
    return Model("cas-register", initial, _cas_register, noun="register")


def mutex() -> Model:
    """`acquire` and `release`; a lock does not know its owner."""
    return Model("mutex", "free", _mutex, reads=frozenset(), noun="lock", holds=str)


def grow_only_set() -> Model:
    """`add` element, `read` -> a list of all elements, in any order."""
    return Model("set", frozenset(), _set, noun="set", holds=_show_set, narrow=_narrow_set)


def text(initial: str = "") -> Model:
    """One key of a map of texts: `get` -> text, `put` text, `append` text."""
    return Model(
        "text",
        initial,
        _text,
        reads=frozenset({"get"}),
        noun="key",
        narrow=lambda transitions: _narrow_text(initial, transitions),
    )


def _register(
    state: State, f: str, value_in: Hashable, value_out: Hashable
) -> State | Literal[Answer.REFUSED]:
    if f == "read":
        return state if state == value_out else REFUSED
    if f == "write":
        return value_in
    raise Misfit(f"a register has no {f!r}")


def _cas_register(
    state: State, f: str, value_in: Hashable, value_out: Hashable
) -> State | Literal[Answer.REFUSED]:
    if f != "cas":
        return _register(state, f, value_in, value_out)
    if not isinstance(value_in, tuple) or len(value_in) != 2:
        raise Misfit(f"cas wants [old, new], got {show(value_in)}")
    old, new = value_in
    return new if state == old else REFUSED


def _mutex(
    state: State, f: str, value_in: Hashable, value_out: Hashable
) -> State | Literal[Answer.REFUSED]:
    if f == "acquire":
        return "held" if state == "free" else REFUSED
    if f == "release":
        return "free" if state == "held" else REFUSED
    raise Misfit(f"a mutex has no {f!r}")


def _set(
    state: State, f: str, value_in: Hashable, value_out: Hashable
) -> State | Literal[Answer.REFUSED]:
    assert isinstance(state, frozenset)
    if f == "add":
        return state | {value_in}
    if f == "read":
        return state if state == _elements(value_out) else REFUSED
    raise Misfit(f"a set has no {f!r}")


def _elements(value: Hashable) -> frozenset[Hashable]:
    if not isinstance(value, tuple):
        raise Misfit(f"a read of a set answers a list, got {show(value)}")
    return frozenset(value)


def _text(
    state: State, f: str, value_in: Hashable, value_out: Hashable
) -> State | Literal[Answer.REFUSED]:
    if f == "get":
        return state if state == value_out else REFUSED
    if not isinstance(value_in, str):
        raise Misfit(f"{f} wants a text, got {show(value_in)}")
    if f == "put":
        return value_in
    if f == "append":
        return str(state) + value_in
    raise Misfit(f"a map of texts has no {f!r}")


def _show_set(state: State) -> str:
    assert isinstance(state, frozenset)
    return show(sorted(state, key=repr))


_APART: Final = ("a state that no read tells from others",)


def _narrow_set(transitions: Iterable[Transition]) -> Model:
    """States that are part of no read are one state: nothing read ever follows from them."""
    reads = {_elements(each.value_out) for each in transitions if each.f == "read"}

    def step(
        state: State, f: str, value_in: Hashable, value_out: Hashable
    ) -> State | Literal[Answer.REFUSED]:
        if state == _APART:
            return _APART if f == "add" else REFUSED
        after = _set(state, f, value_in, value_out)
        if not isinstance(after, frozenset) or any(after <= read for read in reads):
            return after
        return _APART

    def holds(state: State) -> str:
        return "more than was ever read" if state == _APART else _show_set(state)

    nothing: State = frozenset()
    return Model("set", nothing if reads else _APART, step, noun="set", holds=holds)


def _narrow_text(initial: str, transitions: Iterable[Transition]) -> Model:
    """Texts that begin nothing that was ever got are one state, until the next put."""
    gets = {str(each.value_out) for each in transitions if each.f == "get"}
    beginnings = {got[:end] for got in gets for end in range(len(got) + 1)}

    def step(
        state: State, f: str, value_in: Hashable, value_out: Hashable
    ) -> State | Literal[Answer.REFUSED]:
        if state == _APART and f != "put":
            return _APART if f == "append" else REFUSED
        after = _text(state, f, value_in, value_out)
        return after if after is REFUSED or after in beginnings else _APART

    def holds(state: State) -> str:
        return "what was never read" if state == _APART else show(state)

    first: State = initial if initial in beginnings else _APART
    return Model("text", first, step, reads=frozenset({"get"}), noun="key", holds=holds)


REGISTER: Final = register()
CAS_REGISTER: Final = cas_register()
MUTEX: Final = mutex()
SET: Final = grow_only_set()
TEXT: Final = text()
