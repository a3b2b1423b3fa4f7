"""Blocks against the search, on random registers whose values are each set once."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from dissever.checkers import CAS_REGISTER, Linearizable, blocks
from dissever.checkers.calls import calls
from dissever.checkers.certificate import flaw
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Verdict
from dissever.native import Engine

CASES = 20_000


def test_blocks_and_search_agree_and_their_orders_are_linearizations(
    unique_registers: Callable[[Random], History],
) -> None:
    rng = Random("blocks")
    search = Linearizable(CAS_REGISTER, engine=Engine.BREADTH)
    invalid = 0
    for _ in range(CASES):
        history = unique_registers(rng)
        kept = calls(history.operations, CAS_REGISTER.reads)

        finding = blocks.judge(kept, None)

        assert finding is not None
        expected = search(history, Budget()).verdict
        assert (finding.order is None) == (expected is Verdict.INVALID), history
        if finding.order is not None:
            indices = [kept[i].operation.invocation.index for i in finding.order]
            assert flaw(CAS_REGISTER, history.operations, indices) is None, history
        else:
            invalid += 1
    assert 0.05 < invalid / CASES < 0.6


def test_conflict_alone_is_invalid_or_a_cycle(
    unique_registers: Callable[[Random], History],
) -> None:
    rng = Random("conflicts")
    for _ in range(2_000):
        kept = calls(unique_registers(rng).operations, CAS_REGISTER.reads)
        finding = blocks.judge(kept, None)

        assert finding is not None
        assert (finding.order is None) == bool(finding.conflict)


def test_compare_and_sets_that_need_each_other_are_invalid() -> None:
    events = [
        Event(0, 0, 0, Type.INVOKE, "cas", [1, 2]),
        Event(1, 1, 1, Type.INVOKE, "cas", [2, 1]),
        Event(2, 2, 0, Type.OK, "cas", [1, 2]),
        Event(3, 3, 1, Type.OK, "cas", [2, 1]),
    ]

    finding = blocks.judge(calls(History(tuple(events)).operations, frozenset()), None)

    assert finding is not None
    assert finding.order is None
    assert len(finding.conflict) == 2


def test_values_set_twice_are_left_to_the_search() -> None:
    events = [
        Event(0, 0, 0, Type.INVOKE, "write", 1),
        Event(1, 1, 0, Type.OK, "write", 1),
        Event(2, 2, 0, Type.INVOKE, "write", 1),
        Event(3, 3, 0, Type.OK, "write", 1),
    ]

    assert blocks.judge(calls(History(tuple(events)).operations, frozenset()), None) is None
