"""The whole checker, events to verdict, against all orders of small random histories."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from random import Random

import pytest

from dissever.checkers import CAS_REGISTER, MUTEX, REGISTER, SET, Linearizable, Model
from dissever.checkers.linearizability.model import REFUSED
from dissever.checkers.linearizability.models import MODELS
from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.results import Budget, Verdict
from dissever.native import Engine
from tests.checkers.settled import settled

CASES = 25_000
VALUES = 3


def _asked(model: Model, rng: Random) -> tuple[str, object]:
    if model is MUTEX:
        return rng.choice(("acquire", "release")), None
    if model is SET:
        return ("add", rng.randrange(VALUES)) if rng.random() < 0.5 else ("read", None)
    f = rng.choice(("read", "read", "write", "cas") if model is CAS_REGISTER else ("read", "write"))
    if f == "cas":
        return f, [rng.randrange(VALUES), rng.randrange(VALUES)]
    return f, None if f == "read" else rng.randrange(VALUES)


def _answer(model: Model, f: str, value: object, rng: Random, state: list[object]) -> object:
    """A likely answer: that of a sequential object most of the time."""
    if model is SET:
        seen = state[0]
        assert isinstance(seen, frozenset)
        if f == "add":
            state[0] = seen | {value}
            return value
        noise = {rng.randrange(VALUES)} if rng.random() < 0.15 else set()
        return sorted(seen ^ noise)
    if f == "read":
        return state[0] if rng.random() < 0.8 else rng.choice([None, 0, 1, 2])
    if f == "write":
        state[0] = value
    if f == "cas" and isinstance(value, list):
        state[0] = value[1]
    return value


def _random_history(model: Model, rng: Random) -> History:
    events: list[Event] = []
    pending: dict[int, tuple[str, object]] = {}
    state: list[object] = [model.initial]
    process, time, operations = 0, 0, rng.randrange(1, 7)
    crash, tie = rng.choice((0.0, 0.2, 0.5)), rng.choice((0.0, 0.3))
    while operations or pending:
        time += rng.random() >= tie
        if operations and (not pending or (len(pending) < 4 and rng.random() < 0.5)):
            f, value = _asked(model, rng)
            pending[process] = (f, value)
            events.append(Event(len(events), time, process, Type.INVOKE, f, value))
            process, operations = process + 1, operations - 1
            continue
        who = rng.choice(list(pending))
        f, value = pending.pop(who)
        drawn = rng.random()
        if drawn < crash:
            if rng.random() < 0.5:
                events.append(Event(len(events), time, who, Type.INFO, f, value))
        elif drawn < crash + 0.1:
            events.append(Event(len(events), time, who, Type.FAIL, f, value))
        else:
            answer = _answer(model, f, value, rng, state)
            events.append(Event(len(events), time, who, Type.OK, f, answer))
    return History(tuple(events))


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _is_before(earlier: Operation, later: Operation) -> bool:
    done, asked = earlier.completion, later.invocation
    if done is None or earlier.type is not Type.OK:
        return False
    return done.index < asked.index and done.time < asked.time


def _is_linearizable(model: Model, history: History) -> bool:
    kept = [each for each in history.operations if each.type is not Type.FAIL]
    must = {i for i, each in enumerate(kept) if each.type is Type.OK}
    before = [{j for j, other in enumerate(kept) if _is_before(other, each)} for each in kept]

    def search(done: frozenset[int], state: object) -> bool:
        if must <= done:
            return True
        for i, each in enumerate(kept):
            if i in done or not before[i] <= done:
                continue
            if i not in must and each.f in model.reads:
                continue
            value = _frozen(each.invocation.value)
            after = model.step(state, each.f, value, _frozen(each.value))
            if after is not REFUSED and search(done | {i}, after):
                return True
        return False

    return search(frozenset(), model.initial)


@pytest.mark.parametrize("model", [REGISTER, CAS_REGISTER, MUTEX, SET], ids=lambda each: each.name)
def test_verdicts_are_those_of_brute_force(model: Model) -> None:
    with ProcessPoolExecutor(2) as pool:  # Half of the cases each.
        invalid = sum(pool.map(_check_half, [model.name] * 2, range(2)))

    assert 0.05 < invalid / CASES < 0.6


def _check_half(name: str, half: int) -> int:
    """How many of every second case are invalid; each must be judged as brute force does."""
    model, rng = MODELS[name], Random(f"brute force {name} {half}")
    checkers = [Linearizable(model, engine=engine) for engine in Engine]
    invalid = 0
    for case in range(half, CASES, 2):
        history = _random_history(model, rng)
        expected = not history.operations or _is_linearizable(model, history)
        invalid += not expected

        result = checkers[case // 2 % len(checkers)](history, Budget())

        assert settled(result) is (Verdict.VALID if expected else Verdict.INVALID), history
        if not expected:
            assert result.details["invalid_keys"]["-"]["confirmed"], history
            _check_context(model, history, result.anomalies[0].context)
    return invalid


def _check_context(model: Model, history: History, context: tuple[int, ...]) -> None:
    """The events of the context alone are invalid too: nothing that matters was dropped."""
    small = History(tuple(history.events[index] for index in context))

    assert not _is_linearizable(model, small), history
