"""
Second opinions on what an engine calls invalid: an engine with other rules, and the validator.

Each may confirm it, or be unable to say within its limits. If one of them finds an order, none of
them is believed: the verdict is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers.linearizability import refutation
from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.model import Model
from dissever.checkers.linearizability.partial import Partials
from dissever.checkers.linearizability.states import States, TooManyStates, states_of
from dissever.native import Engine, Outcome, Status, search

CONFIGURATIONS_MAX: Final = 20_000
"""Of a search of a few calls."""

BYTES_MAX: Final = 1 << 28
FRONTIER_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Confirmation:
    """
    Who else finds no order, or why none of them could say; `doubt` says who finds one.

    An invalid verdict that is doubted is unknown.
    """

    engines: tuple[str, ...] = ()
    why_not: str = "single-engine: no second engine was asked"
    doubt: str = ""

    @property
    def sentence(self) -> str:
        """For a reader; it begins with `single-engine` where it is not confirmed."""
        return f"confirmed by {' and by '.join(self.engines)}" if self.engines else self.why_not


def confirmed_refusal(
    model: Model,
    table: States,
    small: Sequence[Call],
    failing: int,
    again: Outcome,
    tried: Partials,
) -> Confirmation:
    """
    Whether no order survives a return.

    Args:
        failing: The position in `small` of the operation that returns.
        again: What `wgl` found of `small`.
        tried: How far orders of `small` get.
    """
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
    engines = ("a second engine (wgl)",) if again.status is Status.INVALID else ()
    try:
        wrong = refutation.refusal_flaw(model, small, failing, states)
    except refutation.Unchecked:
        return Confirmation(engines, _why_not(again))
    return _validated(engines, wrong)


def confirmed_witness(model: Model, kept: Sequence[Call], named: Sequence[Call]) -> Confirmation:
    """Whether a few of the calls of an object are impossible, and prove that all are."""
    table = states_of(model, named, BYTES_MAX)
    again = search_again(table, named, CONFIGURATIONS_MAX, Engine.SCHEDULE, frontier_max=0)
    if again.status is Status.VALID:
        return Confirmation(doubt="engines: the search finds an order of what is said to have none")
    engines = ("a second engine (the search)",) if again.status is Status.INVALID else ()
    try:
        wrong = refutation.witness_flaw(model, kept, named)
    except refutation.Unchecked:
        limit = f"{CONFIGURATIONS_MAX:,} configurations"
        why = f"single-engine: a second engine (the search) could not say within {limit}"
        return Confirmation(engines, why)
    return _validated(engines, wrong)


def _validated(engines: tuple[str, ...], wrong: str | None) -> Confirmation:
    if wrong is not None:
        return Confirmation(doubt=f"certificate: the evidence does not hold: {wrong}")
    return Confirmation((*engines, "the validator, which tried every order again"))


def _why_not(again: Outcome) -> str:
    spent = {
        Status.CONFIGURATIONS: f"{again.configurations:,} configurations",
        Status.MEMORY: f"{BYTES_MAX >> 20} MiB",
    }.get(again.status, "its limits")
    return f"single-engine: a second engine (wgl) could not say within {spent}"


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
