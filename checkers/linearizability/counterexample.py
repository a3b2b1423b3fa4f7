"""
From an invalid history of one object to a small one that is still invalid.

The history is cut at the return that no order survives; what is open there counts as crashed. Then
reads are dropped that are not needed. Both are sound: a beginning of a valid history is valid, and
so is a valid history without some of its pure operations. Writes are never dropped: that can make a
valid history invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dissever.checkers.linearizability import confirmation, possible
from dissever.checkers.linearizability.calls import NEVER, Call
from dissever.checkers.linearizability.confirmation import (
    BYTES_MAX,
    CONFIGURATIONS_MAX,
    FRONTIER_MAX,
    Confirmation,
    confirmed_refusal,
)
from dissever.checkers.linearizability.model import Model
from dissever.checkers.linearizability.partial import Partials, partials
from dissever.checkers.linearizability.possible import Possible
from dissever.checkers.linearizability.states import States, states_of
from dissever.native import Engine, Status

TRIES_MAX: Final = 400
SHRINK_CONFIGURATIONS: Final = 100_000
WGL_CONFIGURATIONS: Final = 1_000_000
PARTIAL_CONFIGURATIONS: Final = 5_000


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
        holding = possible.of_frontier(table, again, FRONTIER_MAX)
    else:
        outcome = confirmation.search_again(table, small, WGL_CONFIGURATIONS, Engine.SCHEDULE)
        holding = possible.with_crashed(table, small, outcome)
    tried = partials(model, small, first=again.order, configurations_max=PARTIAL_CONFIGURATIONS)
    confirmed = confirmed_refusal(model, table, small, place, again, tried)
    return Counterexample(small, holding, confirmed, tried)


def possible_in(model: Model, every: Sequence[Call], failing: Call) -> Possible:
    """What could be held just before a return, when a small search of all calls can say."""
    whole = cut(every, failing, model.reads)
    table = states_of(model, whole, BYTES_MAX)
    outcome = confirmation.search_again(table, whole, CONFIGURATIONS_MAX, Engine.SCHEDULE)
    if outcome.failing is None or whole[outcome.failing].operation is not failing.operation:
        return Possible()
    return possible.with_crashed(table, whole, outcome)


def cut(calls: Sequence[Call], failing: Call, reads: frozenset[str]) -> tuple[Call, ...]:
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
    pure = {each for each in table.transitions if table.is_pure(each)}

    def is_invalid(some: Sequence[Call]) -> bool:
        found = confirmation.search_again(
            table, some, SHRINK_CONFIGURATIONS, Engine.SCHEDULE, frontier_max=0
        )
        return found.status is Status.INVALID

    return _without_needless_reads(
        cut(kept, failing, model.reads),
        lambda call: call is not failing and call.transition in pure,
        is_invalid,
    )


def _without_needless_reads(
    calls: Sequence[Call],
    is_pure: Callable[[Call], bool],
    is_invalid: Callable[[Sequence[Call]], bool],
) -> tuple[Call, ...]:
    """
    Drop pure calls, in halves and then alone, while what remains is invalid.

    Args:
        is_invalid: Whether some calls are known to be invalid; unknown counts as no.
    """
    kept = tuple(calls)
    droppable = [call for call in kept if is_pure(call)]
    size, tries = len(droppable), 0
    while size >= 1 and tries < TRIES_MAX:
        for start in range(0, len(droppable), size):
            chunk = set(map(id, droppable[start : start + size]))
            rest = tuple(call for call in kept if id(call) not in chunk)
            tries += 1
            if len(rest) < len(kept) and tries < TRIES_MAX and is_invalid(rest):
                kept = rest
        droppable = [call for call in kept if is_pure(call)]
        size = min(size, len(droppable) + 1) // 2
    return kept
