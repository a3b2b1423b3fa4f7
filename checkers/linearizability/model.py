"""
What a model is: a pure step function over hashable states.

A model refuses an operation by answering REFUSED, not None: None is a value that a register holds
before the first write. Values come frozen (`values.freeze`): a pair [old, new] is a tuple.

Source: Knossos, `model.clj`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from dissever.checkers.linearizability.calls import UNKNOWN as UNKNOWN
from dissever.checkers.linearizability.calls import Answer as Answer
from dissever.checkers.linearizability.calls import Transition as Transition
from dissever.checkers.linearizability.family import OTHER, Family
from dissever.harness.values import freeze, show

State: TypeAlias = Hashable


REFUSED: Final = Answer.REFUSED
"""A step's answer: the operation cannot have happened in this state with this output."""

After: TypeAlias = State | Literal[Answer.REFUSED]
"""The next state, or REFUSED."""

Step: TypeAlias = Callable[[State, str, Hashable, Hashable], After]
"""From a state, f, the value asked and the value answered, to the next state."""


class Misfit(ValueError):
    """An operation, or a value to begin with, that the model does not know."""


@dataclass(frozen=True, slots=True)
class Model:
    """
    An object's correct behaviour.

    Each f is of one of these kinds, or of none. `reads` never change the state: a crashed one is
    dropped. `takes` change it. Of both only the answer counts, not what they were asked with.
    `writes` set what they were asked with and are never refused: that one was acknowledged asserts
    nothing.

    `noun` is what the object is called. `narrow` gives a model with fewer states that the given
    transitions cannot tell from a model; None where nothing is gained. An `is_endless` object has a
    state more after each operation, so no table can hold them all. A `family` other than OTHER
    promises that `step` is exactly that of the family's own model.

    `start` gives the state that a value of a history stands for; it raises Misfit. None: the model
    has one initial state only. `knossos` gives a model where a read that answers nil says nothing,
    as in Knossos; None: nil is a value of such an object. `ignores_nil`: it is such a model.
    """

    name: str
    initial: State
    step: Step
    reads: frozenset[str] = frozenset({"read"})
    takes: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    noun: str = "object"
    holds: Callable[[State], str] = show
    narrow: Callable[[Model, Iterable[Transition]], Model] | None = None
    family: Family = OTHER
    description: str = ""
    is_endless: bool = False
    start: Callable[[Hashable], State] | None = None
    knossos: Callable[[Model], Model] | None = None
    ignores_nil: bool = False

    @property
    def answers(self) -> frozenset[str]:
        """Each f whose answer alone counts, whatever it was asked with."""
        return self.reads | self.takes

    def starting(self, initial: Any) -> Model:
        """
        The same object with another initial value, as histories write values.

        Raises:
            Misfit: When such an object cannot hold it.
        """
        if self.start is None:
            raise Misfit(f"the initial value of {self.name} cannot be chosen, got {show(initial)}")
        try:
            return replace(self, initial=self.start(freeze(initial)))
        except Misfit as error:
            raise Misfit(f"{error}, got {show(initial)}") from error

    def reading_nil_as_unknown(self) -> Model:
        """
        The same object where a read that answers nil says nothing, as in Knossos.

        Raises:
            Misfit: When it is not an object that Knossos reads so.
        """
        if self.knossos is None:
            raise Misfit(f"only a read of a register can answer an unknown nil, not {self.name}")
        return self.knossos(self)


_APART: Final = ("a state that no read tells from others",)


def narrowed(model: Model, keeps: Callable[[State], bool], *, grows: str) -> Model:
    """
    The model with all states as one that no read can follow from.

    Args:
        keeps: Whether a read may follow from a state, perhaps after it grew.
        grows: The f that leads from such a state to another.
    """

    def step(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
        if state == _APART and f == grows:
            return _APART
        if state == _APART and f in model.reads:
            return REFUSED
        after = model.step(state, f, value_in, value_out)
        return after if after is REFUSED or keeps(after) else _APART

    def holds(state: State) -> str:
        return "what was never read" if state == _APART else model.holds(state)

    first = model.initial if keeps(model.initial) else _APART
    return replace(model, initial=first, step=step, holds=holds, narrow=None, family=OTHER)


def listed(value: Hashable) -> tuple[Hashable, ...] | None:
    """A list of frozen values, or None: bools, floats and maps begin with a type."""
    is_list = isinstance(value, tuple) and not (value and isinstance(value[0], type))
    return value if isinstance(value, tuple) and is_list else None


def contents(noun: str) -> Callable[[Hashable], tuple[Hashable, ...]]:
    """What reads the initial contents of such an object, which is a list."""

    def read(initial: Hashable) -> tuple[Hashable, ...]:
        if (found := listed(initial)) is not None:
            return found
        raise Misfit(f"a {noun} begins with a list")

    return read


def entries(value: Hashable) -> tuple[Hashable, ...]:
    """The entries that a read of a log answered."""
    if (found := listed(value)) is None:
        raise Misfit(f"a read of a log answers a list, got {show(value)}")
    return found


def elements(value: Hashable) -> frozenset[Hashable]:
    """The elements that a read of a set answered."""
    if (found := listed(value)) is None:
        raise Misfit(f"a read of a set answers a list, got {show(value)}")
    return frozenset(found)


def is_repeating(value: Hashable) -> bool:
    """Whether a read answered an element more than once; no set does, nor a log of unique ones."""
    return isinstance(value, tuple) and len(set(value)) < len(value)


def membership(value: Hashable) -> tuple[Hashable, bool]:
    """The element that `contains` was asked about, and whether the set held it."""
    if isinstance(value, tuple) and len(value) == 2:
        element, answer = value
        if answer in ((bool, True), (bool, False)):
            return element, answer == (bool, True)
    raise Misfit(f"contains answers [element, true or false], got {show(value)}")


def priority(item: Hashable) -> int:
    """The priority of what was inserted into a priority queue."""
    first = item[0] if isinstance(item, tuple) and len(item) == 2 else item
    if type(first) is not int:
        raise Misfit(f"insert wants an int or [int, value], got {show(item)}")
    return first
