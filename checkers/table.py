"""
A model and the operations of one history, compiled into a table of states and transitions.

Breadth first over the states that the distinct operations can reach. The search then compares
integers alone; a model is stepped once for each state and distinct operation.

Source: Knossos, `model/memo.clj`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers.calls import NEVER, Call
from dissever.checkers.models import REFUSED, Misfit, Model, State, Transition
from dissever.harness.history import MalformedHistory
from dissever.native import Problem

STATES_MAX: Final = 65_536
CELLS_MAX: Final = 1 << 26
"""States × transitions: 256 MB."""


class TooManyStates(Exception):
    """The operations can reach more states than a table may have."""


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
        times = sorted(
            [call.inv for call in calls] + [call.ret for call in calls if not call.is_crashed]
        )
        rank = {time: position for position, time in enumerate(times)}
        rank[NEVER] = NEVER
        return Problem(
            inv=array("i", [rank[call.inv] for call in calls]),
            ret=array("i", [rank[call.ret] for call in calls]),
            transition=array("i", [self.transitions[call.transition] for call in calls]),
            next=self.next,
            transitions=len(self.transitions),
        )


def compile_table(model: Model, calls: Sequence[Call]) -> Table:
    """
    Raises:
        TooManyStates: Past STATES_MAX or CELLS_MAX.
        MalformedHistory: When the model does not know an operation.
    """
    transitions = {each: i for i, each in enumerate(dict.fromkeys(c.transition for c in calls))}
    _check(model, calls)
    narrow = model.narrow(transitions) if model.narrow else model
    states: dict[State, int] = {narrow.initial: 0}
    waiting: list[State] = [narrow.initial]
    rows = array("i")
    for state in waiting:
        for each in transitions:
            after = narrow.step(state, each.f, each.value_in, each.value_out)
            if after is REFUSED:
                rows.append(-1)
                continue
            if after not in states:
                states[after] = len(states)
                waiting.append(after)
            rows.append(states[after])
        if len(states) > STATES_MAX or len(states) * len(transitions) > CELLS_MAX:
            raise TooManyStates
    return Table(narrow, tuple(states), transitions, rows)


def _check(model: Model, calls: Sequence[Call]) -> None:
    """Try each operation once: a model says by Misfit what it does not know, in any state."""
    for call in calls:
        try:
            model.step(model.initial, call.f, call.value_in, call.value_out)
        except Misfit as error:
            raise MalformedHistory(str(error), call.operation.indices[-1]) from error
