"""Partial linearizations are the longest there are, as trying every order shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from dissever.checkers import CAS_REGISTER, SET, Model
from dissever.checkers.linearizability.calls import Call, calls
from dissever.checkers.linearizability.model import REFUSED
from dissever.checkers.linearizability.partial import Partial, orders, partials
from dissever.harness.history import History
from dissever.harness.results import Order

Notation = Callable[[str], History]

STALE = """
    0 invoke write 1
    0 ok     write 1
    1 invoke write 2
    2 invoke write 3
    1 ok     write 2
    3 invoke read
    3 ok     read  1
    2 ok     write 3
    4 invoke read
    4 ok     read  3
"""


def _calls(history: History, model: Model) -> tuple[Call, ...]:
    return calls(history.operations, model.reads)


def test_what_cannot_be_placed_is_named_with_the_state_that_refuses_it(history: Notation) -> None:
    stale = _calls(history(STALE), CAS_REGISTER)

    found = partials(CAS_REGISTER, stale)

    assert found.is_complete
    assert 3 not in found.by_call
    assert found.refusals[3] == Partial((0, 1, 2), 3, blocking=3, refused=(3,))
    assert found.by_call[2] == found.longest()
    assert orders(CAS_REGISTER, stale, found)[0] == Order(
        indices=(0, 2, 3), states=("1", "2", "3"), holds="3", blocked=5, refused=(5,)
    )


def test_valid_history_gives_the_whole_order(history: Notation) -> None:
    text = "0 invoke add 1\n1 invoke read\n1 ok read [1]\n0 info add 1"
    few = _calls(history(text), SET)

    longest = partials(SET, few).longest()

    assert longest is not None
    assert (longest.order, longest.blocking) == ((0, 1), None)


def test_budget_ends_the_search_with_what_was_found(history: Notation) -> None:
    text = "".join(f"{i} invoke write {i}\n" for i in range(12)) + "99 invoke read\n99 ok read 99"
    wide = _calls(history(text), CAS_REGISTER)

    found = partials(CAS_REGISTER, wide, configurations_max=500)

    assert not found.is_complete
    assert found.by_call


def test_nothing_has_no_orders() -> None:
    assert partials(CAS_REGISTER, ()).longest() is None


def _random_calls(history: Notation, rng: Random) -> tuple[Call, ...]:
    lines, pending = [], {}
    for process in range(6):
        f = rng.choice(("read", "write", "cas"))
        value = {"read": "", "write": "1", "cas": "[1, 2]"}[f]
        pending[process] = f"{f} {value if f != 'read' else rng.choice(('1', '2', 'None'))}"
        lines.append(f"{process} invoke {f} {value}")
        for done in [each for each in pending if rng.random() < 0.4]:
            told = pending.pop(done)
            if rng.random() < 0.8:
                lines.append(f"{done} ok {told}")
    return _calls(history("\n".join(lines)), CAS_REGISTER)


def _longest(model: Model, every: Sequence[Call]) -> dict[int, int]:
    """By trying all: the length of the longest order that contains each call."""
    best: dict[int, int] = {}

    def go(order: tuple[int, ...], state: object) -> None:
        for i in order:
            best[i] = max(best.get(i, 0), len(order))
        left = [i for i in range(len(every)) if i not in order]
        due = min((every[i].ret for i in left), default=0)
        for i in left:
            call = every[i]
            after = model.step(state, call.f, call.value_in, call.value_out)
            if call.inv <= due and after is not REFUSED:
                go((*order, i), after)

    go((), model.initial)
    return best


@pytest.mark.parametrize("seed", range(200))
def test_orders_are_the_longest_and_right(history: Notation, seed: int) -> None:
    every = _random_calls(history, Random(seed))

    found = partials(CAS_REGISTER, every)

    longest = found.longest()
    if all(call.is_crashed for call in every) or (longest and longest.blocking is None):
        return  # The search ends at a whole order, be it empty.
    assert {i: len(each.order) for i, each in found.by_call.items()} == _longest(
        CAS_REGISTER, every
    )
