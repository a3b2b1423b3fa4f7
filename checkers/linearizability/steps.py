"""
What calls make of states, asked of the model once for each pair; states are numbers.

Time: a look into a dictionary where it is known, which a step on a long text or list is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.model import REFUSED, Model, State

REFUSES: Final = -1
"""In place of a state: the call is refused."""


class Steps:
    """States by number in the order they were met; the initial one is 0."""

    __slots__ = ("_after", "_calls", "_model", "_numbers", "states")

    def __init__(self, model: Model, calls: Sequence[Call]) -> None:
        self._model = model
        self._calls = calls
        self.states: list[State] = [model.initial]
        self._numbers: dict[State, int] = {model.initial: 0}
        self._after: dict[tuple[int, int], int] = {}

    def after(self, state: int, i: int) -> int:
        """The number of the state after the call at a position, or REFUSES."""
        known = self._after.get((state, i))
        if known is None:
            known = self._after[state, i] = self._ask(self.states[state], self._calls[i])
        return known

    def _ask(self, state: State, call: Call) -> int:
        after = self._model.step(state, call.f, call.value_in, call.value_out)
        if after is REFUSED:
            return REFUSES
        number = self._numbers.setdefault(after, len(self.states))
        if number == len(self.states):
            self.states.append(after)
        return number


def bits(calls: Sequence[Call]) -> list[int]:
    """By call a bit of its own among those that are open with it: the lowest that is free."""
    events = sorted(
        [(call.inv, i, False) for i, call in enumerate(calls)]
        + [(call.ret, i, True) for i, call in enumerate(calls) if not call.is_crashed]
    )
    found = [0] * len(calls)
    taken = 0
    for _, i, is_return in events:
        if not is_return:
            found[i] = ~taken & (taken + 1)
        taken ^= found[i]
    return found
