"""
The states of a model as numbers, so that the search compares integers alone.

Where they are few, a table holds every state that the distinct operations of a history can reach:
a model is stepped once for each state and distinct operation. Else a state gets its number when the
search first comes to it: a set or a queue can reach a state for each subset, and the search looks
at few of them.

Source: Knossos, `model/memo.clj`.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from dissever.checkers.linearizability.calls import NEVER, Call
from dissever.checkers.linearizability.model import REFUSED, Misfit, Model, State, Transition
from dissever.harness.history import MalformedHistory
from dissever.native import LazyProblem, Problem

STATES_MAX: Final = 65_536
CELLS_MAX: Final = 1 << 18
"""States × transitions: each is a step in Python."""

CELLS_AT_LEAST: Final = 1 << 12
CELLS_PER_CALL: Final = 1 << 8
"""What a table may cost where the model does not say (by `narrow`) that it is finite."""


class TooManyStates(Exception):
    """The operations can reach more states than may be kept."""


@dataclass(frozen=True, slots=True)
class Table:
    """States by number, transitions by number, and the rows of the table."""

    model: Model
    states: tuple[State, ...]
    transitions: dict[Transition, int]
    next: array[int]

    def after(self, state: int, transition: Transition) -> int:
        """The number of the state after a transition, or -1 where it is refused."""
        return self.next[state * len(self.transitions) + self.transitions[transition]]

    def is_pure(self, transition: Transition) -> bool:
        """Whether it changes no state."""
        column = self.transitions[transition]
        cells = self.next[column :: len(self.transitions)]
        return all(after in (-1, state) for state, after in enumerate(cells))

    def problem(self, calls: Sequence[Call]) -> Problem:
        """The search problem of some calls whose transitions the table has."""
        inv, ret = positions(calls)
        return Problem(
            inv=inv,
            ret=ret,
            transition=array("i", [self.transitions[call.transition] for call in calls]),
            next=self.next,
            transitions=len(self.transitions),
        )


class LazyTable:
    """States that are numbered when the search first comes to them; state 0 is the initial one."""

    def __init__(self, model: Model, transitions: dict[Transition, int], bytes_max: int) -> None:
        self.model = model
        self.transitions = transitions
        self.states: list[State] = [model.initial]
        self._numbers: dict[State, int] = {model.initial: 0}
        self._by_number = tuple(transitions)
        self._bytes_left = bytes_max

    def after(self, state: int, transition: Transition) -> int:
        """
        The number of the state after a transition, or -1 where it is refused.

        Raises:
            TooManyStates: Past the bytes that states may take, as far as Python knows their size.
        """
        after = self.model.step(
            self.states[state], transition.f, transition.value_in, transition.value_out
        )
        if after is REFUSED:
            return -1
        number = self._numbers.setdefault(after, len(self.states))
        if number == len(self.states):
            self.states.append(after)
            self._bytes_left -= sys.getsizeof(after)
            if self._bytes_left < 0:
                raise TooManyStates
        return number

    def is_pure(self, transition: Transition) -> bool:
        """Whether the model promises that it changes no state."""
        return transition.f in self.model.reads

    def problem(self, calls: Sequence[Call]) -> LazyProblem:
        """The search problem of some calls whose transitions are known."""
        inv, ret = positions(calls)
        return LazyProblem(
            inv=inv,
            ret=ret,
            transition=array("i", [self.transitions[call.transition] for call in calls]),
            pure=bytes(map(self.is_pure, self.transitions)),
            step=lambda state, transition: self.after(state, self._by_number[transition]),
        )


States: TypeAlias = Table | LazyTable
"""Their model may tell fewer states apart than the one that was asked for."""


def positions(calls: Sequence[Call]) -> tuple[array[int], array[int]]:
    """Invocations and returns in the same order, with positions from 0 on."""
    return dense([call.inv for call in calls], [call.ret for call in calls])


def dense(inv: Sequence[int], ret: Sequence[int]) -> tuple[array[int], array[int]]:
    """The same order with positions from 0 on; NEVER stays."""
    order = sorted([*inv, *(each for each in ret if each != NEVER)])
    at = {position: place for place, position in enumerate(order)}
    at[NEVER] = NEVER
    return array("i", [at[i] for i in inv]), array("i", [at[i] for i in ret])


def states_of(model: Model, calls: Sequence[Call], bytes_max: int) -> States:
    """
    A whole table where that is small enough, else states as they come.

    Args:
        bytes_max: For states as they come, in bytes.

    Raises:
        MalformedHistory: When the model does not know an operation.
    """
    transitions = {each: i for i, each in enumerate(dict.fromkeys(c.transition for c in calls))}
    _check(model, calls)
    narrow = model.narrow(model, transitions) if model.narrow else model
    try:
        if not model.is_endless:
            return _table(narrow, transitions, _cells_max(model, len(calls)))
    except TooManyStates:
        pass
    return LazyTable(narrow, transitions, bytes_max)


def _table(model: Model, transitions: dict[Transition, int], cells_max: int) -> Table:
    """
    Raises:
        TooManyStates: Past STATES_MAX or `cells_max`.
    """
    states: dict[State, int] = {model.initial: 0}
    waiting: list[State] = [model.initial]
    rows = array("i")
    for state in waiting:
        for each in transitions:
            after = model.step(state, each.f, each.value_in, each.value_out)
            if after is REFUSED:
                rows.append(-1)
                continue
            if after not in states:
                states[after] = len(states)
                waiting.append(after)
            rows.append(states[after])
        if len(states) > STATES_MAX or len(states) * len(transitions) > cells_max:
            raise TooManyStates
    return Table(model, tuple(states), transitions, rows)


def _cells_max(model: Model, calls: int) -> int:
    if model.family.cells_max is not None:
        return model.family.cells_max
    if model.narrow is not None:
        return CELLS_MAX
    return min(CELLS_MAX, CELLS_AT_LEAST + CELLS_PER_CALL * calls)


def _check(model: Model, calls: Sequence[Call]) -> None:
    """Try each operation once: a model says by Misfit what it does not know, in any state."""
    for call in calls:
        try:
            model.step(model.initial, call.f, call.value_in, call.value_out)
        except Misfit as error:
            raise MalformedHistory(str(error), call.operation.indices[-1]) from error
