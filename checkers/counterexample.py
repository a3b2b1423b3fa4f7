"""
From what an engine calls invalid to evidence that a reader can follow, and that others confirm.

The history is cut at the return that no order survives, and made smaller. Then the plain search of
Wing and Gong, which shares none of the rules of the other engines, looks for an order of it, and
the validator tries every order again. Whoever finds one is not overruled: nobody is believed then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import structs

from dissever.checkers import possible, refutation, shrink
from dissever.checkers.calls import Call
from dissever.checkers.explain import SINGLE_ENGINE
from dissever.checkers.judgement import Judgement
from dissever.checkers.lazy import TooManyStates
from dissever.checkers.models import Model
from dissever.checkers.partial import Partials, orders, partials
from dissever.checkers.possible import Possible
from dissever.checkers.table import States, states_of
from dissever.harness.results import Anomaly, Verdict
from dissever.native import Engine, Outcome, Status, search

SHRINK_CONFIGURATIONS: Final = 100_000
CONFIRM_CONFIGURATIONS: Final = 1_000_000
EXPLAIN_CONFIGURATIONS: Final = 20_000
PARTIAL_CONFIGURATIONS: Final = 5_000
BYTES_MAX: Final = 1 << 28
FRONTIER_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Confirmation:
    """
    Who else finds no order, or why nobody could say; `doubt` tells of one who finds an order.

    An invalid verdict that is doubted is unknown.
    """

    engines: tuple[str, ...] = ()
    why_not: str = SINGLE_ENGINE
    doubt: str = ""

    @property
    def sentence(self) -> str:
        """For a reader; it begins with `single-engine` where nobody confirmed it."""
        return f"confirmed by {' and by '.join(self.engines)}" if self.engines else self.why_not


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A small history, what the object could hold before it failed, and who confirms it."""

    calls: tuple[Call, ...]
    holding: Possible
    confirmation: Confirmation
    partials: Partials = field(repr=False)


WGL: Final = "a second engine (wgl)"
SEARCH: Final = "a second engine (the search)"
VALIDATOR: Final = "the validator, which tried every order again"


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
    again = search_again(table, small, CONFIRM_CONFIGURATIONS, Engine.WGL)
    if again.status is Status.INVALID:
        holding = possible.of_frontier(table, again, FRONTIER_MAX)
    else:
        outcome = search_again(table, small, CONFIRM_CONFIGURATIONS, Engine.SCHEDULE)
        holding = possible.with_crashed(table, small, outcome)
    tried = partials(model, small, first=again.order, configurations_max=PARTIAL_CONFIGURATIONS)
    confirmation = _confirmation(model, table, small, place, again, tried)
    return Counterexample(small, holding, confirmation, tried)


def _confirmation(
    model: Model,
    table: States,
    small: Sequence[Call],
    failing: int,
    again: Outcome,
    tried: Partials,
) -> Confirmation:
    """What the second engine, the validator and the search for partial orders say."""
    if again.status is Status.VALID or (
        again.status is Status.INVALID and again.failing != failing
    ):
        return Confirmation(doubt="engines: the search and wgl contradict each other")
    longest = tried.longest()
    if longest is not None and longest.blocking is None:
        return Confirmation(doubt="certificate: there is an order after all")
    is_exact = again.status is Status.INVALID and table.model is model
    is_exact = is_exact and len(again.frontier) < FRONTIER_MAX
    states = [table.states[state] for state, _ in again.frontier] if is_exact else None
    engines = (WGL,) if again.status is Status.INVALID else ()
    try:
        wrong = refutation.refusal_flaw(model, small, failing, states)
    except refutation.Unchecked:
        return Confirmation(engines, _why_not(again))
    if wrong is not None:
        return Confirmation(doubt=f"certificate: the evidence does not hold: {wrong}")
    return Confirmation((*engines, VALIDATOR))


def _why_not(again: Outcome) -> str:
    spent = {
        Status.CONFIGURATIONS: f"{again.configurations:,} configurations",
        Status.MEMORY: f"{BYTES_MAX >> 20} MiB",
    }.get(again.status, "its limits")
    return f"single-engine: a second engine (wgl) could not say within {spent}"


def confirmed_witness(model: Model, kept: Sequence[Call], named: Sequence[Call]) -> Confirmation:
    """What the search and the validator say of a few calls that are said to be impossible alone."""
    status = second_opinion(model, named)
    if status is Status.VALID:
        return Confirmation(doubt="engines: the search finds an order of what is said to have none")
    engines = (SEARCH,) if status is Status.INVALID else ()
    try:
        wrong = refutation.witness_flaw(model, kept, named)
    except refutation.Unchecked:
        limit = f"{EXPLAIN_CONFIGURATIONS:,} configurations"
        why = f"single-engine: a second engine (the search) could not say within {limit}"
        return Confirmation(engines, why)
    if wrong is not None:
        return Confirmation(doubt=f"certificate: the evidence does not hold: {wrong}")
    return Confirmation((*engines, VALIDATOR))


def told(
    model: Model,
    judgement: Judgement,
    anomaly: Anomaly,
    confirmation: Confirmation,
    some: Sequence[Call],
    details: dict[str, Any],
    tried: Partials | None = None,
) -> Judgement:
    """Invalid, with who confirms it and how far each order of some calls gets."""
    found = tried or partials(model, some, configurations_max=PARTIAL_CONFIGURATIONS)
    anomaly = structs.replace(
        anomaly,
        confirmation=confirmation.sentence,
        orders=orders(model, some, found),
        orders_complete=found.is_complete,
    )
    details = {
        **details,
        "confirmed": bool(confirmation.engines),
        "confirmation": confirmation.sentence,
    }
    return judgement.with_verdict(Verdict.INVALID, anomaly.summary, anomaly, details)


def search_again(
    table: States,
    some: Sequence[Call],
    configurations: int,
    engine: Engine,
    frontier_max: int = FRONTIER_MAX,
) -> Outcome:
    """A search within narrow limits, of calls whose states are known."""
    try:
        return search(
            table.problem(some),
            configurations_max=configurations,
            bytes_max=BYTES_MAX,
            engine=engine,
            frontier_max=frontier_max,
        )
    except TooManyStates:
        return Outcome(Status.MEMORY, engine, (), None, (), 0, 0)


def second_opinion(model: Model, some: Sequence[Call]) -> Status:
    """What a small search says of a few calls."""
    table = states_of(model, some, BYTES_MAX)
    return search_again(table, some, EXPLAIN_CONFIGURATIONS, Engine.SCHEDULE, frontier_max=0).status


def possible_in(model: Model, every: Sequence[Call], failing: Call) -> Possible:
    """What could be held just before a return, when a small search of all calls can tell."""
    whole = shrink.cut(every, failing, model.reads)
    table = states_of(model, whole, BYTES_MAX)
    outcome = search_again(table, whole, EXPLAIN_CONFIGURATIONS, Engine.SCHEDULE)
    if outcome.failing is None or whole[outcome.failing].operation is not failing.operation:
        return Possible()
    return possible.with_crashed(table, whole, outcome)


def _shrunk(table: States, kept: Sequence[Call], failing: Call, model: Model) -> tuple[Call, ...]:
    pure = {each for each in table.transitions if table.is_pure(each)}

    def is_invalid(some: Sequence[Call]) -> bool:
        found = search_again(table, some, SHRINK_CONFIGURATIONS, Engine.SCHEDULE, frontier_max=0)
        return found.status is Status.INVALID

    return shrink.without_needless_reads(
        shrink.cut(kept, failing, model.reads),
        lambda call: call is not failing and call.transition in pure,
        is_invalid,
    )
