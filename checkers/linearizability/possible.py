"""
What an object could hold just before an answer that cannot be, as far as that can be listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.model import Transition
from dissever.checkers.linearizability.states import States, TooManyStates
from dissever.native import Outcome

STATES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Possible:
    """
    States as texts: at least those that are possible, or, if `is_cut`, some of very many.

    Nothing is known when there are none.
    """

    states: tuple[str, ...] = ()
    is_cut: bool = False


def of_frontier(table: States, outcome: Outcome, frontier_max: int) -> Possible:
    """Of an engine that leaves no configuration out: the states of the frontier are all."""
    states = sorted({state for state, _ in outcome.frontier})
    return _texts(table, states, is_cut=len(outcome.frontier) >= frontier_max)


def with_crashed(table: States, small: Sequence[Call], outcome: Outcome) -> Possible:
    """
    Of an engine that lets crashed operations wait until they are needed: what they lead to as well.

    They may have taken effect as often as they like where few states come of it, else each once, as
    a queue that each of them makes longer would never come to an end.
    """
    crashed = [call.transition for call in small if call.is_crashed]
    first = dict.fromkeys(state for state, _ in outcome.frontier)
    if not table.model.is_endless:
        often = tuple(dict.fromkeys(crashed))
        states, is_cut = _reachable(table, first, often, once=False)
        if not is_cut:
            return _texts(table, states, is_cut=False)
    states, is_cut = _reachable(table, first, crashed, once=True)
    return _texts(table, states, is_cut=is_cut)


def _texts(table: States, states: Iterable[int], *, is_cut: bool) -> Possible:
    ordered = sorted(states)
    texts = tuple(table.model.holds(table.states[state]) for state in ordered[:STATES_MAX])
    return Possible(texts, is_cut or len(ordered) > STATES_MAX)


def _reachable(
    table: States, first: Iterable[int], transitions: Sequence[Transition], *, once: bool
) -> tuple[Iterable[int], bool]:
    """The states that transitions lead to, each once or in any number; whether it was cut short."""
    nothing: frozenset[int] = frozenset()
    seen = dict.fromkeys((state, nothing) for state in first)
    waiting = list(seen)
    is_cut = False
    for state, used in waiting:
        for i, transition in enumerate(transitions):
            try:
                after = -1 if i in used else table.after(state, transition)
            except TooManyStates:
                after, is_cut = -1, True
            then = (after, used | {i} if once else used)
            if after >= 0 and then not in seen:
                seen[then] = None
                waiting.append(then)
        if is_cut or len(seen) > STATES_MAX:
            is_cut = True
            break
    return dict.fromkeys(state for state, _ in seen), is_cut
