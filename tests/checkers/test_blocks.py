"""Blocks against the search, on random registers whose values are each set once."""

from __future__ import annotations

from random import Random

from dissever.checkers import CAS_REGISTER, Linearizable, blocks
from dissever.checkers.calls import calls
from dissever.checkers.certificate import flaw
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Verdict
from dissever.native import Engine

CASES = 20_000


def _random_history(rng: Random) -> History:
    """Up to 9 operations; new values are unique, and every read or expected one is a guess."""
    events: list[Event] = []
    pending: dict[int, tuple[str, object]] = {}
    values: list[int | None] = [None]
    state: int | None = None
    time, tie, crash = 0, rng.choice((0.0, 0.3)), rng.choice((0.0, 0.2, 0.5))
    left, process = rng.randrange(1, 10), 0
    while left or pending:
        time += rng.random() >= tie
        if left and (not pending or (len(pending) < 5 and rng.random() < 0.5)):
            f = rng.choice(("read", "read", "write", "cas"))
            new = len(values)
            old = state if rng.random() < 0.7 else rng.choice(values)
            value: object = {"read": None, "write": new, "cas": [old, new]}[f]
            if f != "read":
                values.append(new)
            pending[process] = f, value
            events.append(Event(len(events), time, process, Type.INVOKE, f, value))
            left, process = left - 1, process + 1
            continue
        who = rng.choice(list(pending))
        f, value = pending.pop(who)
        kind = Type.INFO if rng.random() < crash else Type.OK
        if rng.random() < 0.05:
            kind = Type.FAIL
        if f == "read" and kind is Type.OK:
            value = state if rng.random() < 0.85 else rng.choice(values)
        if f != "read" and kind is not Type.FAIL and (kind is Type.OK or rng.random() < 0.5):
            state = value[1] if isinstance(value, list) else value  # type: ignore[assignment]
        events.append(Event(len(events), time, who, kind, f, value))
    return History(tuple(events))


def test_blocks_and_search_agree_and_their_orders_are_linearizations() -> None:
    rng = Random("blocks")
    search = Linearizable(CAS_REGISTER, engine=Engine.BREADTH)
    invalid = 0
    for _ in range(CASES):
        history = _random_history(rng)
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


def test_conflict_alone_is_invalid_or_a_cycle() -> None:
    rng = Random("conflicts")
    for _ in range(2_000):
        kept = calls(_random_history(rng).operations, CAS_REGISTER.reads)
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
