"""Objects that begin with something, reads of nil that say nothing, takes asked with a value."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from dissever.checkers import Linearizable
from dissever.checkers.linearizability import model_named
from dissever.checkers.linearizability.model import Misfit
from dissever.checkers.linearizability.models import MODELS
from dissever.harness.history import History
from dissever.harness.results import Budget, Verdict
from dissever.native import Engine

Notation = Callable[[str], History]

FIRST: dict[str, tuple[Any, str]] = {
    "register": (7, "0 invoke read\n0 ok read 7"),
    "cas-register": (7, "0 invoke cas [7, 8]\n0 ok cas [7, 8]\n0 invoke read\n0 ok read 8"),
    "multi-register": (
        {"x": 7},
        '0 invoke txn [["r", "x", None]]\n0 ok txn [["r", "x", 7], ["r", "y", None]]',
    ),
    "mutex": ("held", "0 invoke release\n0 ok release"),
    "owned-mutex": (7, "0 invoke release 7\n0 ok release 7"),
    "reentrant-mutex": (7, "0 invoke release 7\n0 ok release 7"),
    "semaphore": (
        1,
        "0 invoke acquire\n0 ok acquire\n0 invoke release\n0 ok release"
        "\n0 invoke release\n0 ok release",
    ),
    "counter": (7, "0 invoke add 1\n0 ok add 1\n0 invoke read\n0 ok read 8"),
    "set": ([7], "0 invoke add 1\n0 ok add 1\n0 invoke read\n0 ok read [1, 7]"),
    "removable-set": ([7], "0 invoke contains 7\n0 ok contains [7, True]"),
    "queue": ([7, 8], "0 invoke dequeue\n0 ok dequeue 7\n0 invoke dequeue\n0 ok dequeue 8"),
    "unordered-queue": ([7, 8], "0 invoke dequeue\n0 ok dequeue 8"),
    "stack": ([7, 8], "0 invoke pop\n0 ok pop 8\n0 invoke pop\n0 ok pop 7"),
    "priority-queue": ([7, 9, 8], "0 invoke remove-max\n0 ok remove-max 9"),
    "log": ([7, 8], "0 invoke append 9\n0 ok append 9\n0 invoke read\n0 ok read [7, 8, 9]"),
    "text": ("ab", "0 invoke append 'c'\n0 ok append 'c'\n0 invoke get\n0 ok get 'abc'"),
}
"""Model -> what an object holds at first, and a history that only such an object gives."""


@pytest.mark.parametrize("name", FIRST)
def test_an_object_begins_with_its_initial_value(history: Notation, name: str) -> None:
    initial, text = FIRST[name]

    with_it = Linearizable(model_named(name, initial=initial))(history(text), Budget())
    without = Linearizable(model_named(name))(history(text), Budget())

    assert with_it.verdict is Verdict.VALID, with_it.why
    assert without.verdict is Verdict.INVALID, without.why


def test_a_fenced_mutex_begins_with_its_last_token(history: Notation) -> None:
    text = "0 invoke acquire\n0 ok acquire 7"

    assert Linearizable(model_named("fenced-mutex", initial=6))(
        history(text), Budget()
    ).verdict is (Verdict.VALID)
    assert Linearizable(model_named("fenced-mutex", initial=7))(
        history(text), Budget()
    ).verdict is (Verdict.INVALID)


def test_every_model_can_begin_with_something() -> None:
    assert {name for name, model in MODELS.items() if model.start} == {*FIRST, "fenced-mutex"}


@pytest.mark.parametrize("name", ["queue", "set", "log", "counter", "text", "multi-register"])
def test_what_an_object_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(Misfit, match=r"begin.*with.*, got true"):
        model_named(name, initial=True)


@pytest.mark.parametrize("name", ["set", "log", "queue", "unordered-queue", "stack", "counter"])
def test_with_an_initial_value_engines_agree(simulated: Callable[..., History], name: str) -> None:
    """What a longer history had put in by some time is what a later one begins with."""
    rng, initial = Random(f"initial {name}"), 3 if name == "counter" else [101, 102]
    checkers = [
        Linearizable(model_named(name, initial=initial), engine=engine) for engine in Engine
    ]
    found = []
    for _ in range(150):
        some = simulated(name, rng, operations_max=6)
        verdicts = {checker(some, Budget()).verdict for checker in checkers}

        assert len(verdicts) == 1, some.events
        found += verdicts
    assert Verdict.INVALID in found


NIL = """
    0 invoke write 1
    0 ok     write 1
    0 invoke read
    0 ok     read None
    0 invoke read
    0 ok     read {last}
"""


@pytest.mark.parametrize("name", ["register", "cas-register"])
@pytest.mark.parametrize("last", [1, 2])
def test_a_read_of_an_unknown_nil_says_nothing(history: Notation, name: str, last: int) -> None:
    some = history(NIL.format(last=last))

    strict = Linearizable(model_named(name))(some, Budget())
    knossos = Linearizable(model_named(name, nil_is_unknown=True))(some, Budget())

    assert strict.verdict is Verdict.INVALID
    assert knossos.verdict is (Verdict.VALID if last == 1 else Verdict.INVALID)


def test_a_transaction_that_reads_an_unknown_nil_says_nothing_of_that_register(
    history: Notation,
) -> None:
    text = """
        0 invoke txn [["w", "x", 1], ["w", "y", 1]]
        0 ok     txn [["w", "x", 1], ["w", "y", 1]]
        0 invoke txn [["r", "x", None], ["r", "y", None]]
        0 ok     txn [["r", "x", None], ["r", "y", 2]]
    """
    model = model_named("multi-register", nil_is_unknown=True)

    assert Linearizable(model)(history(text), Budget()).verdict is Verdict.INVALID
    right = history(text.replace('"y", 2', '"y", 1'))
    assert Linearizable(model)(right, Budget()).verdict is Verdict.VALID


@pytest.mark.parametrize("name", ["queue", "set", "counter", "mutex", "text"])
def test_nil_is_a_value_of_all_other_objects(name: str) -> None:
    with pytest.raises(Misfit, match="only a read of a register"):
        model_named(name, nil_is_unknown=True)


TAKES = {
    "queue": ("enqueue", "dequeue"),
    "unordered-queue": ("enqueue", "dequeue"),
    "stack": ("push", "pop"),
    "priority-queue": ("insert", "remove-max"),
}


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("name", TAKES)
@pytest.mark.parametrize("answer", [1, 2, None])
def test_what_a_take_was_asked_with_is_not_looked_at(
    history: Notation, name: str, engine: Engine, answer: int | None
) -> None:
    put, take = TAKES[name]
    some = history(f"""
        1 invoke {put} 1
        1 ok     {put} 1
        3 invoke {take} 1
        3 ok     {take} {answer}
    """)

    result = Linearizable(MODELS[name], engine=engine)(some, Budget())

    assert result.verdict is (Verdict.VALID if answer == 1 else Verdict.INVALID), result.why


@pytest.mark.parametrize("name", TAKES)
def test_a_take_that_crashed_may_have_taken_another_value_than_it_names(
    history: Notation, name: str
) -> None:
    put, take = TAKES[name]
    some = history(f"""
        1 invoke {put} 1
        1 ok     {put} 1
        2 invoke {take} 5
        2 info   {take} 5
        3 invoke {take}
        3 ok     {take} None
    """)

    assert Linearizable(MODELS[name])(some, Budget()).verdict is Verdict.VALID


@pytest.mark.parametrize("name", ["unordered-queue", "priority-queue"])
def test_what_a_take_was_asked_with_does_not_keep_a_crashed_one_from_another_value(
    history: Notation, name: str
) -> None:
    put, take = TAKES[name]
    first, last = ("2", "1") if name == "priority-queue" else ("1", "2")
    some = history(f"""
        1 invoke {put} {first}
        1 ok     {put} {first}
        1 invoke {put} {last}
        1 ok     {put} {last}
        2 invoke {take}
        2 info   {take}
        3 invoke {take} {last}
        3 ok     {take} {last}
        3 invoke {take}
        3 ok     {take} None
    """)

    result = Linearizable(MODELS[name])(some, Budget())

    assert result.verdict is Verdict.VALID, result.why
