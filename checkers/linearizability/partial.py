"""
Partial linearizations: for each operation, the longest order found that contains it.

Where no order of all operations exists, these show how far each attempt gets: an order that is
right so far, the operation that cannot follow although it has returned, and the state that refuses
it. The search is one of its own, depth first and in plain Python: it follows a known long order, or
the operation that returns soonest, so a long order is found early, and the budget ends it.

Time: about 1 µs for each pair of a configuration and an open operation. Memory: for each return the
operations open then, for each configuration those of them that it holds, and one order for each
operation at most.

Source: Porcupine, `checker.go`, partial linearizations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.model import Model, State
from dissever.checkers.linearizability.steps import REFUSES, Steps, bits
from dissever.harness.results import Order

CONFIGURATIONS_MAX: Final = 5_000
ORDERS_MAX: Final = 24
ORDER_MAX: Final = 80
"""The last operations of an order, which results hold."""


@dataclass(frozen=True, slots=True)
class Partial:
    """
    An order of positions in the calls, longest first found, and what could not follow it.

    `state` is what the object holds after the order. `refused` are the open operations that it
    refuses; `blocking` the one that had to take effect next, by then, or None when all have.
    """

    order: tuple[int, ...]
    state: State
    blocking: int | None
    refused: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Partials:
    """
    By position in the calls, the longest order that contains it; a position may have none.

    `refusals` gives for each position the longest order after which it is refused. `is_complete`
    says that everything was tried: no longer orders exist.
    """

    by_call: dict[int, Partial]
    refusals: dict[int, Partial]
    is_complete: bool

    def longest(self) -> Partial | None:
        """The longest order of all; before any other one that nothing blocks."""
        return max(
            self.by_call.values(),
            key=lambda each: (each.blocking is None, len(each.order)),
            default=None,
        )


@dataclass(slots=True)
class _Frame:
    """A configuration on the path: where the walk over its candidates stands."""

    state: int
    place: int
    done: int
    choices: Iterator[int]
    is_leaf: bool = True


def partials(
    model: Model,
    calls: Sequence[Call],
    *,
    first: Sequence[int] = (),
    configurations_max: int = CONFIGURATIONS_MAX,
) -> Partials:
    """
    Search for orders, and keep for each call the longest that contains it.

    Args:
        calls: Of one object, by invocation. Give the small history of a counter-example: the
            whole one costs the budget before it comes to the point.
        first: Positions in `calls`: an order to try before all others.
        configurations_max: How many configurations to look at.
    """
    return _Search(model, calls, first, configurations_max).run()


class _Search:
    """One search: the path, and the best orders so far."""

    def __init__(
        self, model: Model, calls: Sequence[Call], first: Sequence[int], configurations_max: int
    ) -> None:
        self._calls = calls
        self._steps = Steps(model, calls)
        self._bits = bits(calls)
        self._left = configurations_max
        rank = {i: place for place, i in enumerate(first)}
        self._rank = [(rank.get(i, len(calls)), call.ret) for i, call in enumerate(calls)]
        self._returns = sorted(
            (i for i, call in enumerate(calls) if not call.is_crashed), key=lambda i: calls[i].ret
        )
        self._open = self._open_at_returns()
        self._best: dict[int, Partial] = {}
        self._refusals: dict[int, Partial] = {}
        self._order: list[int] = []
        self._seen: set[tuple[int, int, int]] = set()

    def run(self) -> Partials:
        path = [self._frame(0, 0, 0)]
        while path:
            frame = path[-1]
            i = next(frame.choices, None) if self._left > 0 else None
            if i is None:
                self._leave(frame)
                path.pop()
                if self._order:
                    self._order.pop()
                continue
            after = self._steps.after(frame.state, i)
            if after == REFUSES:
                continue
            place, done = self._next_return(frame.place, frame.done | self._bits[i])
            if (place, done, after) in self._seen:
                continue
            frame.is_leaf = False
            self._seen.add((place, done, after))
            self._left -= 1
            self._order.append(i)
            path.append(self._frame(after, place, done))
            if place == len(self._returns):
                self._left = 0
        return Partials(self._best, self._refusals, self._left > 0)

    def _open_at_returns(self) -> list[tuple[int, ...]]:
        """By return, and after the last: what was invoked before and has not returned, ranked."""
        calls, pending, found = self._calls, [], []
        invoked = 0
        for i in self._returns:
            while invoked < len(calls) and calls[invoked].inv < calls[i].ret:
                pending.append(invoked)
                invoked += 1
            found.append(tuple(sorted(pending, key=self._rank.__getitem__)))
            pending.remove(i)
        return [*found, ()]

    def _next_return(self, place: int, done: int) -> tuple[int, int]:
        """The first return that is due, and which of those that are open then took effect."""
        while place < len(self._returns) and done & self._bits[self._returns[place]]:
            done ^= self._bits[self._returns[place]]
            place += 1
        return place, done

    def _frame(self, state: int, place: int, done: int) -> _Frame:
        return _Frame(state, place, done, iter(self._candidates(place, done)))

    def _candidates(self, place: int, done: int) -> list[int]:
        """What may take effect next: it was invoked before the first return that is due."""
        return [i for i in self._open[place] if not done & self._bits[i]]

    def _leave(self, frame: _Frame) -> None:
        """Keep the order to here where it is the longest for an operation in it."""
        if not frame.is_leaf:
            return
        length, is_over = len(self._order), frame.place == len(self._returns)
        refused = [
            i
            for i in self._candidates(frame.place, frame.done)
            if self._steps.after(frame.state, i) == REFUSES
        ]

        def is_longer(known: dict[int, Partial], i: int) -> bool:
            return i not in known or len(known[i].order) < length

        better = [i for i in self._order if is_longer(self._best, i)]
        farther = [i for i in refused if is_longer(self._refusals, i)]
        if not better and not farther:
            return
        blocking = None if is_over else self._returns[frame.place]
        state = self._steps.states[frame.state]
        partial = Partial(tuple(self._order), state, blocking, tuple(refused))
        for i in better:
            self._best[i] = partial
        for i in farther:
            self._refusals[i] = partial


def orders(model: Model, calls: Sequence[Call], found: Partials) -> tuple[Order, ...]:
    """The different orders of the calls that were searched, longest first, as results hold them."""
    different = sorted(
        {*found.by_call.values(), *found.refusals.values()},
        key=lambda each: (-len(each.order), each.order),
    )
    return tuple(_order(model, calls, each) for each in different[:ORDERS_MAX])


def _order(model: Model, calls: Sequence[Call], partial: Partial) -> Order:
    """Its operations by the indices of their invocations, and what the object holds after each."""

    def index(i: int) -> int:
        return calls[i].operation.invocation.index

    state = model.initial
    states: list[State] = []
    for i in partial.order:
        call = calls[i]
        state = model.step(state, call.f, call.value_in, call.value_out)
        states.append(state)
    left_out = max(0, len(partial.order) - ORDER_MAX)
    return Order(
        indices=tuple(index(i) for i in partial.order[left_out:]),
        states=tuple(model.holds(each) for each in states[left_out:]),
        left_out=left_out,
        holds=model.holds(partial.state),
        blocked=None if partial.blocking is None else index(partial.blocking),
        refused=tuple(index(i) for i in partial.refused),
    )
