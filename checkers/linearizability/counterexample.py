"""
From an invalid history of one object to a small one that is still invalid.

The history is cut at the return that no order survives; what is open there counts as crashed. Then
reads are dropped that are not needed. Both are sound: a beginning of a valid history is valid, and
so is a valid history without some of its pure operations. Writes are never dropped: that can make a
valid history invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dissever.checkers.linearizability import confirmation
from dissever.checkers.linearizability.calls import NEVER, Call
from dissever.checkers.linearizability.confirmation import (
    BYTES_MAX,
    CONFIGURATIONS_MAX,
    FRONTIER_MAX,
    Confirmation,
    confirmed_refusal,
)
from dissever.checkers.linearizability.model import Model, Transition
from dissever.checkers.linearizability.partial import Partials, partials
from dissever.checkers.linearizability.states import States, TooManyStates, states_of
from dissever.native import Engine, Outcome, Status

TRIES_MAX: Final = 400
SHRINK_CONFIGURATIONS: Final = 100_000
POSSIBLE_MAX: Final = 1000
WGL_CONFIGURATIONS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Possible:
    """
    States as texts: at least those that are possible, or, if `is_cut`, some of very many.

    Nothing is known when there are none.
    """

    states: tuple[str, ...] = ()
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A small history, what the object could hold before it failed, and who confirms it."""

    calls: tuple[Call, ...]
    holding: Possible
    confirmation: Confirmation
    partials: Partials = field(repr=False)


def counterexample(
    model: Model, table: States, kept: Sequence[Call], failing: Call
) -> Counterexample:
    """
    Args:
        table: The states that the engine knew.
        kept: The calls that it calls invalid.
        failing: The one of them at whose return no order was left.
    """
    small = _shrunk(table, kept, failing, model)
    place = next(i for i, call in enumerate(small) if call.operation is failing.operation)
    again = confirmation.search_again(table, small, WGL_CONFIGURATIONS, Engine.WGL)
    if again.status is Status.INVALID:
        holding = _of_frontier(table, again)
    else:
        outcome = confirmation.search_again(table, small, WGL_CONFIGURATIONS, Engine.SCHEDULE)
        holding = _with_crashed(table, small, outcome)
    tried = partials(model, small, first=again.order)
    confirmed = confirmed_refusal(model, table, small, place, again, tried)
    return Counterexample(small, holding, confirmed, tried)


def possible_in(model: Model, every: Sequence[Call], failing: Call) -> Possible:
    """What could be held just before a return, when a small search of all calls can say."""
    whole = _cut(every, failing, model.reads)
    table = states_of(model, whole, BYTES_MAX)
    outcome = confirmation.search_again(table, whole, CONFIGURATIONS_MAX, Engine.SCHEDULE)
    if outcome.failing is None or whole[outcome.failing].operation is not failing.operation:
        return Possible()
    return _with_crashed(table, whole, outcome)


def _cut(calls: Sequence[Call], failing: Call, reads: frozenset[str]) -> tuple[Call, ...]:
    """The prefix that ends at the failing return; what is open there counts as crashed."""
    kept = []
    for call in calls:
        if call.inv > failing.ret:
            continue
        if call.ret <= failing.ret:
            kept.append(call)
        elif call.f not in reads:
            kept.append(replace(call, ret=NEVER))
    return tuple(kept)


def _shrunk(table: States, kept: Sequence[Call], failing: Call, model: Model) -> tuple[Call, ...]:
    """Drop pure calls, in halves and then alone, while what remains is known to be invalid."""
    pure = {each for each in table.transitions if table.is_pure(each)}
    some = _cut(kept, failing, model.reads)
    droppable = [call for call in some if call is not failing and call.transition in pure]
    size, tries = len(droppable), 0
    while size >= 1 and tries < TRIES_MAX:
        for start in range(0, len(droppable), size):
            chunk = set(map(id, droppable[start : start + size]))
            rest = tuple(call for call in some if id(call) not in chunk)
            tries += 1
            if len(rest) == len(some) or tries >= TRIES_MAX:
                continue
            found = confirmation.search_again(
                table, rest, SHRINK_CONFIGURATIONS, Engine.SCHEDULE, frontier_max=0
            )
            if found.status is Status.INVALID:
                some = rest
        droppable = [call for call in some if call is not failing and call.transition in pure]
        size = min(size, len(droppable) + 1) // 2
    return some


def _of_frontier(table: States, outcome: Outcome) -> Possible:
    """Of an engine that leaves no configuration out: the states of the frontier are all."""
    states = sorted({state for state, _ in outcome.frontier})
    return _texts(table, states, is_cut=len(outcome.frontier) >= FRONTIER_MAX)


def _with_crashed(table: States, small: Sequence[Call], outcome: Outcome) -> Possible:
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
    texts = tuple(table.model.holds(table.states[state]) for state in ordered[:POSSIBLE_MAX])
    return Possible(texts, is_cut or len(ordered) > POSSIBLE_MAX)


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
        if is_cut or len(seen) > POSSIBLE_MAX:
            is_cut = True
            break
    return dict.fromkeys(state for state, _ in seen), is_cut
