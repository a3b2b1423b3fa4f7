"""Every model by hand, and the whole checker on it against all orders of small histories."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from dissever.checkers import Linearizable
from dissever.checkers.linearizability.model import REFUSED, UNKNOWN, Misfit, Model
from dissever.checkers.linearizability.models import ALIASES, MODELS, NAMES, model_named
from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.results import Budget, Verdict
from dissever.harness.values import freeze
from dissever.native import Engine
from tests.checkers.settled import settled

CASES = 1_500

YES, NO = True, False

STEPS: dict[str, list[tuple[str, Any, Any, bool]]] = {
    "register": [("read", None, None, YES), ("write", 1, 1, YES), ("read", None, None, NO)],
    "cas-register": [("write", 1, 1, YES), ("cas", [1, 2], [1, 2], YES), ("cas", [1, 2], None, NO)],
    "multi-register": [
        ("txn", [["w", 1, 5], ["r", 1, None]], [["w", 1, 5], ["r", 1, 5]], YES),
        ("txn", [["read", 1, None]], [["read", 1, None]], NO),
        ("txn", [["read", 2, None]], [["read", 2, None]], YES),
        ("txn", [["r", 1, None], ["write", 2, 6]], [["r", 1, 5], ["write", 2, 6]], YES),
        ("txn", [["r", 2, None]], [["r", 2, 6]], YES),
        ("txn", [["w", 2, 7], ["r", 1, None]], UNKNOWN, YES),
        ("txn", [["r", 2, None]], [["r", 2, 7]], YES),
    ],
    "mutex": [
        ("release", None, None, NO),
        ("acquire", None, None, YES),
        ("acquire", None, None, NO),
        ("release", None, None, YES),
    ],
    "owned-mutex": [
        ("acquire", 1, 1, YES),
        ("acquire", 1, 1, NO),
        ("release", 2, 2, NO),
        ("release", 1, 1, YES),
        ("release", 1, 1, NO),
        ("acquire", 2, UNKNOWN, YES),
    ],
    "reentrant-mutex": [
        ("acquire", 1, 1, YES),
        ("acquire", 1, 1, YES),
        ("acquire", 2, 2, NO),
        ("release", 1, 1, YES),
        ("acquire", 2, 2, NO),
        ("release", 1, 1, YES),
        ("release", 1, 1, NO),
        ("acquire", 2, 2, YES),
    ],
    "fenced-mutex": [
        ("acquire", None, 7, YES),
        ("release", 6, 6, NO),
        ("acquire", None, 8, NO),
        ("release", 7, 7, YES),
        ("release", 7, 7, NO),
        ("acquire", None, 7, NO),
        ("acquire", None, 9, YES),
        ("release", 9, 9, YES),
        ("acquire", None, UNKNOWN, YES),
        ("acquire", None, 10, NO),
        ("release", 9, 9, NO),
    ],
    "semaphore": [
        ("release", None, None, NO),
        ("acquire", None, None, YES),
        ("acquire", 2, 2, NO),
        ("acquire", 1, 1, YES),
        ("acquire", None, None, NO),
        ("release", 2, 2, YES),
    ],
    "counter": [
        ("read", None, 0, YES),
        ("add", 2, 2, YES),
        ("add", -3, -3, YES),
        ("read", None, -1, YES),
        ("read", None, 2, NO),
    ],
    "set": [
        ("read", None, [], YES),
        ("add", 1, 1, YES),
        ("add", 2, 2, YES),
        ("read", None, [2, 1], YES),
        ("read", None, [2], NO),
    ],
    "removable-set": [
        ("add", 1, 1, YES),
        ("contains", 1, [1, True], YES),
        ("contains", 1, [1, False], NO),
        ("remove", 2, 2, YES),
        ("read", None, [1], YES),
        ("remove", 1, 1, YES),
        ("contains", 1, [1, True], NO),
        ("read", None, [], YES),
    ],
    "queue": [
        ("dequeue", None, None, YES),
        ("enqueue", 1, 1, YES),
        ("enqueue", 2, 2, YES),
        ("dequeue", None, 2, NO),
        ("dequeue", None, None, NO),
        ("dequeue", None, 1, YES),
        ("dequeue", None, UNKNOWN, YES),
        ("dequeue", None, None, YES),
    ],
    "unordered-queue": [
        ("enqueue", 1, 1, YES),
        ("enqueue", 2, 2, YES),
        ("dequeue", None, 3, NO),
        ("dequeue", None, UNKNOWN, YES),
        ("dequeue", None, None, NO),
        ("dequeue", None, 2, YES),
        ("dequeue", None, 1, NO),
        ("dequeue", None, None, YES),
    ],
    "stack": [
        ("pop", None, None, YES),
        ("push", 1, 1, YES),
        ("push", 2, 2, YES),
        ("pop", None, 1, NO),
        ("pop", None, 2, YES),
        ("pop", None, UNKNOWN, YES),
        ("pop", None, None, YES),
    ],
    "priority-queue": [
        ("remove-max", None, None, YES),
        ("insert", 1, 1, YES),
        ("insert", [3, "a"], [3, "a"], YES),
        ("insert", [3, "b"], [3, "b"], YES),
        ("remove-max", None, 1, NO),
        ("remove-max", None, UNKNOWN, YES),
        ("remove-max", None, [3, "a"], YES),
        ("remove-max", None, [3, "b"], NO),
        ("remove-max", None, 1, YES),
    ],
    "log": [
        ("read", None, [], YES),
        ("append", 1, 1, YES),
        ("append", 2, 2, YES),
        ("read", None, [2, 1], NO),
        ("read", None, [1, 2], YES),
    ],
    "text": [
        ("get", None, "", YES),
        ("append", "x", "x", YES),
        ("append", "y", "y", YES),
        ("get", None, "xy", YES),
        ("put", "z", "z", YES),
        ("get", None, "xy", NO),
    ],
}

MISFITS = [
    ("register", "add", 1, 1),
    ("cas-register", "cas", 1, 1),
    ("multi-register", "txn", 1, 1),
    ("multi-register", "txn", [["x", 1, 2]], [["x", 1, 2]]),
    ("multi-register", "txn", [["r", 1]], [["r", 1]]),
    ("mutex", "lock", None, None),
    ("owned-mutex", "acquire", None, None),
    ("reentrant-mutex", "release", None, None),
    ("fenced-mutex", "release", None, None),
    ("fenced-mutex", "acquire", None, "x"),
    ("semaphore", "acquire", 0, 0),
    ("counter", "add", "x", "x"),
    ("set", "read", None, 1),
    ("removable-set", "contains", 1, True),
    ("queue", "enqueue", None, None),
    ("unordered-queue", "pop", None, 1),
    ("stack", "push", None, None),
    ("priority-queue", "insert", "x", "x"),
    ("log", "read", None, 1),
    ("text", "put", 1, 1),
]


@pytest.mark.parametrize("name", STEPS)
def test_steps(name: str) -> None:
    model = MODELS[name]
    state = model.initial
    for f, value_in, value_out, is_accepted in STEPS[name]:
        out = value_out if value_out is UNKNOWN else freeze(value_out)
        after = model.step(state, f, freeze(value_in), out)

        assert (after is not REFUSED) is is_accepted, (f, value_in, value_out, state)
        if after is not REFUSED:
            assert f not in model.reads or after == state
            assert model.holds(after)
            state = after


@pytest.mark.parametrize(("name", "f", "value_in", "value_out"), MISFITS)
def test_what_a_model_does_not_know_is_a_misfit(
    name: str, f: str, value_in: Any, value_out: Any
) -> None:
    with pytest.raises(Misfit):
        MODELS[name].step(MODELS[name].initial, f, freeze(value_in), freeze(value_out))


def test_every_model_is_described_and_tested() -> None:
    assert set(MODELS) == set(STEPS)
    assert len(MODELS) == 17
    assert all(model.description for model in MODELS.values())


def test_an_alias_is_no_model_of_its_own() -> None:
    assert not set(ALIASES) & set(MODELS)
    assert set(NAMES) == {*ALIASES, *MODELS}
    assert model_named("kv") is model_named("text") is MODELS["text"]


ASKED: dict[str, list[tuple[str, Any]]] = {
    "register": [("read", None), ("write", 1), ("write", 2)],
    "cas-register": [("read", None), ("write", 1), ("cas", [1, 2]), ("cas", [2, 1])],
    "multi-register": [
        ("txn", [["r", "x", None], ["w", "y", 1]]),
        ("txn", [["r", "y", None], ["w", "x", 1]]),
        ("txn", [["r", "x", None], ["r", "y", None]]),
    ],
    "mutex": [("acquire", None), ("release", None)],
    "owned-mutex": [(f, owner) for f in ("acquire", "release") for owner in (1, 2)],
    "reentrant-mutex": [(f, owner) for f in ("acquire", "release") for owner in (1, 2)],
    "fenced-mutex": [("acquire", None), ("acquire", None), ("release", 1), ("release", 2)],
    "semaphore": [("acquire", None), ("acquire", 2), ("release", None), ("release", 2)],
    "counter": [("read", None), ("read", None), ("add", 1), ("add", 2), ("add", -1)],
    "set": [("read", None), ("add", 1), ("add", 2)],
    "removable-set": [("read", None), ("contains", 1), ("add", 1), ("remove", 1), ("add", 2)],
    "queue": [("dequeue", None), ("dequeue", None), ("enqueue", 1), ("enqueue", 2)],
    "unordered-queue": [("dequeue", None), ("dequeue", None), ("enqueue", 1), ("enqueue", 2)],
    "stack": [("pop", None), ("pop", None), ("push", 1), ("push", 2)],
    "priority-queue": [("remove-max", None), ("remove-max", None)]
    + [("insert", value) for value in (1, 2, [2, "a"])],
    "log": [("read", None), ("append", 1), ("append", 2)],
    "text": [("get", None), ("append", "x"), ("put", "y")],
}

LISTS = [[], [1], [2], [1, 2], [2, 1], [1, 1]]

ANSWERS: dict[tuple[str, str], list[Any]] = {
    ("register", "read"): [None, 1, 2],
    ("cas-register", "read"): [None, 1, 2],
    ("fenced-mutex", "acquire"): [1, 2, 3],
    ("counter", "read"): [0, 1, 2, 3, -1],
    ("set", "read"): LISTS[:4],
    ("removable-set", "read"): LISTS[:4],
    ("removable-set", "contains"): [[1, True], [1, False]],
    ("queue", "dequeue"): [None, 1, 2],
    ("unordered-queue", "dequeue"): [None, 1, 2],
    ("stack", "pop"): [None, 1, 2],
    ("priority-queue", "remove-max"): [None, 1, 2, [2, "a"]],
    ("log", "read"): LISTS,
    ("text", "get"): ["", "x", "xx", "y", "yx"],
}


def _answers(name: str, f: str, value: Any) -> list[Any]:
    if name == "multi-register":
        (one, x, _), (other, y, new) = value
        if other == "w":
            return [[[one, x, old], [other, y, new]] for old in (None, 1)]
        return [[[one, x, a], [other, y, b]] for a in (None, 1) for b in (None, 1)]
    return ANSWERS.get((name, f), [value])


def _random_history(name: str, rng: Random) -> History:
    """Each operation takes effect when it returns, on a model; some answers are changed."""
    model, events = MODELS[name], list[Event]()
    pending: dict[int, tuple[str, Any]] = {}
    state, time, process, left = model.initial, 0, 0, rng.randrange(1, 7)
    crash, tie, wrong = rng.choice((0.0, 0.3)), rng.choice((0.0, 0.3)), rng.choice((0.1, 0.3))
    while left or pending:
        time += rng.random() >= tie
        if left and (not pending or (len(pending) < 4 and rng.random() < 0.5)):
            pending[process] = f, value = rng.choice(ASKED[name])
            events.append(Event(len(events), time, process, Type.INVOKE, f, value))
            process, left = process + 1, left - 1
            continue
        who = rng.choice(list(pending))
        f, value = pending.pop(who)
        possible = _answers(name, f, value)
        right = [
            answer
            for answer in possible
            if model.step(state, f, freeze(value), freeze(answer)) is not REFUSED
        ]
        drawn = rng.random()
        if drawn < crash:
            if f not in model.reads and rng.random() < 0.5:
                after = model.step(state, f, freeze(value), UNKNOWN)
                state = state if after is REFUSED else after
            events.append(Event(len(events), time, who, Type.INFO, f, value))
        elif drawn < crash + wrong or not right:
            kind = Type.OK if rng.random() < 0.5 else Type.FAIL
            events.append(Event(len(events), time, who, kind, f, rng.choice(possible)))
        else:
            answer = rng.choice(right)
            state = model.step(state, f, freeze(value), freeze(answer))
            events.append(Event(len(events), time, who, Type.OK, f, answer))
    return History(tuple(events))


def _is_before(earlier: Operation, later: Operation) -> bool:
    done, asked = earlier.completion, later.invocation
    if done is None or earlier.type is not Type.OK:
        return False
    return done.index < asked.index and done.time < asked.time


def _is_linearizable(model: Model, history: History) -> bool:
    kept = [each for each in history.operations if each.type is not Type.FAIL]
    must = {i for i, each in enumerate(kept) if each.type is Type.OK}
    before = [{j for j, other in enumerate(kept) if _is_before(other, each)} for each in kept]

    def search(done: frozenset[int], state: Any) -> bool:
        if must <= done:
            return True
        for i, each in enumerate(kept):
            if i in done or not before[i] <= done or (i not in must and each.f in model.reads):
                continue
            out = freeze(each.value) if i in must else UNKNOWN
            after = model.step(state, each.f, freeze(each.invocation.value), out)
            if after is not REFUSED and search(done | {i}, after):
                return True
        return False

    return search(frozenset(), model.initial)


@pytest.mark.parametrize("name", ASKED)
def test_verdicts_are_those_of_brute_force(name: str) -> None:
    rng = Random(f"models {name}")
    checkers = [Linearizable(MODELS[name], engine=engine) for engine in Engine]
    invalid = 0
    for case in range(CASES):
        history = _random_history(name, rng)
        expected = _is_linearizable(MODELS[name], history)
        invalid += not expected

        result = checkers[case % len(checkers)](history, Budget())

        assert settled(result) is (Verdict.VALID if expected else Verdict.INVALID), history
        if not expected:
            assert result.details["invalid_keys"]["-"]["confirmed"], history
    assert 0.05 < invalid / CASES < 0.6
