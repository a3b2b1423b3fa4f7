"""
States that get their number when somebody first comes to them.

A history of a set or of a queue can reach as many states as there are subsets, while the search
looks at few of them. What is bounded is the memory that those take, as far as Python tells it.
"""

from __future__ import annotations

import sys

from dissever.checkers.models import REFUSED, Model, State, Transition


class TooManyStates(Exception):
    """The operations can reach more states than may be kept."""


class LazyStates:
    """The states of a model come to so far; state 0 is the initial one."""

    def __init__(self, model: Model, transitions: tuple[Transition, ...], bytes_max: int) -> None:
        self.states: list[State] = [model.initial]
        self._numbers: dict[State, int] = {model.initial: 0}
        self._step = model.step
        self._transitions = transitions
        self._bytes_left = bytes_max

    def after(self, state: int, transition: int) -> int:
        """
        The number of the state after a transition, or -1 where it is refused.

        Raises:
            TooManyStates: Past `bytes_max`.
        """
        each = self._transitions[transition]
        after = self._step(self.states[state], each.f, each.value_in, each.value_out)
        if after is REFUSED:
            return -1
        number = self._numbers.setdefault(after, len(self.states))
        if number == len(self.states):
            self._keep(after)
        return number

    def _keep(self, state: State) -> None:
        self.states.append(state)
        self._bytes_left -= sys.getsizeof(state)
        if self._bytes_left < 0:
            raise TooManyStates
