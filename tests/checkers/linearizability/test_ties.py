"""
Events of one time: processes are concurrent with each other, and none with itself.

A moment ends where the time changes, or where a process calls that has returned in it. So the order
that counts is never more than the order of the events, and never less than that of the times and of
each process alone.
"""

from __future__ import annotations

from random import Random

import pytest

from dissever.checkers import Linearizable
from dissever.checkers.linearizability.model import REFUSED, Model
from dissever.checkers.linearizability.models import MODELS
from dissever.harness.history import Event, History, Operation, Process, Type
from dissever.harness.results import Budget, Verdict
from dissever.harness.values import freeze
from dissever.native import Engine

CASES = 600

ASKED = {
    "register": [("read", None), ("write", 0), ("write", 1)],
    "cas-register": [("read", None), ("write", 0), ("cas", [0, 1]), ("cas", [1, 0])],
    "text": [("get", None), ("append", "x"), ("append", "y"), ("put", "z")],
    "set": [("read", None), ("add", 0), ("add", 1)],
    "queue": [("dequeue", None), ("enqueue", 0), ("enqueue", 1)],
}
ANSWERS = {
    "read": [None, 0, 1], "get": ["", "x", "y", "xy", "z"], "dequeue": [0, 1],
}  # fmt: skip
READS_OF_SETS = [[], [0], [1], [0, 1]]


def _random_history(name: str, rng: Random) -> History:
    """Three processes that go on and on, with many events of one time."""
    events: list[Event] = []
    pending: dict[int, tuple[str, object]] = {}
    time = 0
    for _ in range(rng.randrange(3, 11)):
        time += rng.random() < 0.3
        process = rng.randrange(3)
        if process not in pending:
            f, value = pending[process] = rng.choice(ASKED[name])
            events.append(Event(len(events), time, process, Type.INVOKE, f, value))
            continue
        f, value = pending.pop(process)
        kind = rng.choice([Type.OK] * 8 + [Type.FAIL])
        answers = READS_OF_SETS if (name, f) == ("set", "read") else ANSWERS.get(f, [value])
        events.append(Event(len(events), time, process, kind, f, rng.choice(answers)))
    return History(events)


def _moments(kept: list[Operation]) -> dict[int, int]:
    """Event index -> moment, of the operations that count: their calls, and their ok returns."""
    events: list[tuple[int, Event]] = []
    for each in kept:
        done = each.completion
        if each.type is Type.OK and done is not None:
            events.append((done.index, done))
        events.append((each.invocation.index, each.invocation))
    moments: dict[int, int] = {}
    returned: set[Process] = set()
    moment, time = 0, None
    for index, event in sorted(events, key=lambda each: each[0]):
        is_call = event.type is Type.INVOKE
        if event.time != time or (is_call and event.process in returned):
            moment, returned, time = moment + 1, set(), event.time
        if not is_call:
            returned.add(event.process)
        moments[index] = moment
    return moments


def _is_linearizable(model: Model, history: History) -> bool:
    kept = [
        each
        for each in history.operations
        if each.type is Type.OK or (each.type is Type.INFO and each.f not in model.reads)
    ]
    moments = _moments(kept)

    def before(late: int) -> set[int]:
        asked = moments[kept[late].invocation.index]
        done = [each.completion if each.type is Type.OK else None for each in kept]
        return {i for i, each in enumerate(done) if each and moments[each.index] < asked}

    def search(done: frozenset[int], state: object) -> bool:
        if all(i in done or each.type is not Type.OK for i, each in enumerate(kept)):
            return True
        for i, each in enumerate(kept):
            if i in done or not before(i) <= done:
                continue
            asked = None if each.f in model.answers else freeze(each.invocation.value)
            outs = [freeze(each.value)] if each.type is Type.OK else map(freeze, _outs(each.f))
            for out in outs:
                after = model.step(state, each.f, asked, out)
                if after is not REFUSED and search(done | {i}, after):
                    return True
        return False

    return search(frozenset(), model.initial)


def _outs(f: str) -> list[object]:
    return list(ANSWERS.get(f, [None]))


@pytest.mark.parametrize("name", ASKED)
def test_every_engine_orders_ties_as_the_definition_does(name: str) -> None:
    model, rng = MODELS[name], Random(f"ties {name}")
    checkers = [Linearizable(model, engine=engine) for engine in Engine]
    invalid = unknown = 0
    for case in range(CASES):
        history = _random_history(name, rng)
        is_empty = all(each.type is Type.FAIL for each in history.operations)
        expected = is_empty or _is_linearizable(model, history)
        invalid += not expected

        for checker in (checkers[0], checkers[case % len(checkers)]):
            result = checker(history, Budget())

            if result.verdict is not Verdict.UNKNOWN:  # Of what says nothing, no order is judged.
                assert (result.verdict is Verdict.VALID) is expected, (history.events, result.why)
            unknown += result.verdict is Verdict.UNKNOWN
    assert 0.1 < invalid / CASES < 0.9
    assert unknown < 1.5 * CASES  # Of two verdicts each.


def test_many_processes_at_one_time_take_no_longer_than_few() -> None:
    """100,000 processes, one after the other, all at one time: what returned is looked up."""
    events = []
    for process in range(100_000):
        events.append(Event(2 * process, 0, process, Type.INVOKE, "write", process))
        events.append(Event(2 * process + 1, 0, process, Type.OK, "write", process))
    events.append(Event(200_000, 1, 0, Type.INVOKE, "read"))
    events.append(Event(200_001, 2, 0, Type.OK, "read", 5))

    assert Linearizable(MODELS["register"])(History(events), Budget()).verdict is Verdict.VALID
