"""Monitors against the search on random small histories; the smallest guilty ones, and twins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from dissever.checkers import Linearizable
from dissever.checkers.linearizability.calls import Call, calls
from dissever.checkers.linearizability.certificate import flaw
from dissever.checkers.linearizability.family import Monitor
from dissever.checkers.linearizability.model import Model
from dissever.checkers.linearizability.models import MODELS
from dissever.checkers.linearizability.refutation import witness_flaw
from dissever.checkers.linearizability.states import TooManyStates, states_of
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Verdict
from dissever.native import Engine, Status, search
from tests.checkers.settled import settled

Simulated = Callable[..., History]
Notation = Callable[[str], History]

CASES = 2_000
JUDGES = (
    "queue",
    "unordered-queue",
    "stack",
    "priority-queue",
    "set",
    "log",
    "removable-set",
)


def _status(name: str, kept: Sequence[Call], engine: Engine) -> Status:
    """What the search says; MEMORY where it is too hard."""
    table = states_of(MODELS[name], kept, 1 << 26)
    try:
        return search(
            table.problem(kept), configurations_max=1_000_000, bytes_max=1 << 26, engine=engine
        ).status
    except TooManyStates:
        return Status.MEMORY


def _monitor(model: Model) -> Monitor:
    assert model.family.monitor is not None
    return model.family.monitor


def _indices(kept: Sequence[Call], order: Sequence[int]) -> list[int]:
    return [kept[i].operation.invocation.index for i in order]


@pytest.mark.parametrize("operations_max", [8, 14])
@pytest.mark.parametrize("name", JUDGES)
def test_monitor_and_search_agree(name: str, operations_max: int, simulated: Simulated) -> None:
    rng = Random(f"monitors {name} {operations_max}")
    model, engines = MODELS[name], list(Engine)[1:]
    applied, invalid, hard = 0, 0, 0
    for case in range(CASES):
        history = simulated(name, rng, operations_max=operations_max)
        kept = calls(history.operations, model.reads)

        finding = _monitor(model).judge(kept, model)

        if finding is None:
            continue
        applied += 1
        expected = _status(name, kept, engines[case % 2])
        hard += expected not in (Status.VALID, Status.INVALID)
        assert expected is not (Status.INVALID if finding.order is not None else Status.VALID), (
            history
        )
        invalid += finding.order is None
        if finding.order is None:
            assert _status(name, finding.part, Engine.BREADTH) is Status.INVALID, history
            assert witness_flaw(model, kept, finding.part) is None, history
        else:
            assert finding.order is not None
            assert flaw(model, history.operations, _indices(kept, finding.order)) is None, history
            indices = _indices(kept, finding.order)
            assert flaw(model, history.operations, indices, in_place=True) is None, history
    assert applied > 0.95 * CASES
    assert 0.05 < invalid / applied < 0.6
    assert hard <= 5


GUILTY = {
    ("queue", "phantom", "VFresh"): """
        1 invoke dequeue
        1 ok     dequeue 5
    """,
    ("queue", "future-read", "VFresh"): """
        1 invoke dequeue
        1 ok     dequeue 5
        0 invoke enqueue 5
        0 ok     enqueue 5
    """,
    ("queue", "duplicate-delivery", "VRepet"): """
        0 invoke enqueue 5
        0 ok     enqueue 5
        1 invoke dequeue
        1 ok     dequeue 5
        1 invoke dequeue
        1 ok     dequeue 5
    """,
    ("queue", "out-of-order", "VOrd"): """
        0 invoke enqueue 1
        0 ok     enqueue 1
        0 invoke enqueue 2
        0 ok     enqueue 2
        1 invoke dequeue
        1 ok     dequeue 2
    """,
    ("queue", "false-empty", "VWit"): """
        0 invoke enqueue 1
        0 ok     enqueue 1
        1 invoke dequeue
        1 ok     dequeue
    """,
    ("unordered-queue", "false-empty", "VWit"): """
        0 invoke enqueue 1
        0 ok     enqueue 1
        0 invoke enqueue 2
        0 ok     enqueue 2
        2 invoke dequeue
        2 info   dequeue
        1 invoke dequeue
        1 ok     dequeue
    """,
    ("stack", "out-of-order", "deadlines"): """
        0 invoke push 1
        0 ok     push 1
        0 invoke push 2
        0 ok     push 2
        0 invoke push 3
        0 ok     push 3
        2 invoke pop
        2 info   pop
        1 invoke pop
        1 ok     pop 1
        3 invoke pop
        3 info   pop
    """,
    ("stack", "out-of-order", "no bottom"): """
        0 invoke push 1
        0 ok     push 1
        0 invoke push 2
        0 ok     push 2
        1 invoke pop
        1 ok     pop 1
        1 invoke pop
        1 ok     pop 2
    """,
    ("stack", "false-empty", "VWit"): """
        0 invoke push 1
        0 ok     push 1
        1 invoke pop
        1 ok     pop
    """,
    ("priority-queue", "out-of-order", "covered"): """
        0 invoke insert 1
        0 ok     insert 1
        0 invoke insert 2
        0 ok     insert 2
        1 invoke remove-max
        1 ok     remove-max 1
    """,
    ("priority-queue", "false-empty", "no free instant"): """
        0 invoke insert 1
        0 ok     insert 1
        1 invoke remove-max
        1 ok     remove-max
    """,
    ("set", "phantom", "phantom"): """
        1 invoke read
        1 ok     read [3]
    """,
    ("set", "incompatible-order", "incomparable"): """
        0 invoke add 1
        1 invoke add 2
        2 invoke read
        3 invoke read
        2 ok     read [1]
        3 ok     read [2]
    """,
    ("set", "stale-read", "forced order"): """
        0 invoke add 1
        0 ok     add 1
        1 invoke read
        1 ok     read []
    """,
    ("set", "future-read", "forced order"): """
        1 invoke read
        1 ok     read [1]
        0 invoke add 1
        0 ok     add 1
    """,
    ("set", "out-of-order", "forced order"): """
        2 invoke read
        0 invoke add 1
        0 ok     add 1
        0 invoke add 2
        0 ok     add 2
        2 ok     read [2]
    """,
    ("log", "duplicate-elements", "twice"): """
        0 invoke append 1
        0 ok     append 1
        1 invoke read
        1 ok     read [1, 1]
    """,
    ("log", "incompatible-order", "incomparable"): """
        0 invoke append 1
        1 invoke append 2
        2 invoke read
        3 invoke read
        2 ok     read [1, 2]
        3 ok     read [2]
    """,
    ("log", "out-of-order", "forced order"): """
        0 invoke append 1
        0 ok     append 1
        0 invoke append 2
        0 ok     append 2
        1 invoke read
        1 ok     read [2, 1]
    """,
    ("counter", "out-of-bounds", "bounds"): """
        0 invoke add 2
        0 ok     add 2
        1 invoke read
        1 ok     read 1
    """,
    ("counter", "nonlinearizable", "same adds"): """
        0 invoke add 1
        0 ok     add 1
        2 invoke add 1
        1 invoke read
        1 ok     read 2
        1 invoke read
        1 ok     read 1
    """,
    ("removable-set", "nonlinearizable", "one element"): """
        0 invoke add 1
        0 ok     add 1
        1 invoke contains 1
        1 ok     contains [1, False]
    """,
}

INNOCENT = {
    ("queue", "phantom", "VFresh"): """
        0 invoke enqueue 5
        0 info   enqueue 5
        1 invoke dequeue
        1 ok     dequeue 5
    """,
    ("queue", "future-read", "VFresh"): """
        1 invoke dequeue
        0 invoke enqueue 5
        1 ok     dequeue 5
        0 ok     enqueue 5
    """,
    ("queue", "duplicate-delivery", "VRepet"): """
        0 invoke enqueue 5
        0 ok     enqueue 5
        1 invoke dequeue
        1 ok     dequeue 5
        1 invoke dequeue
        1 ok     dequeue
    """,
    ("queue", "out-of-order", "VOrd"): """
        0 invoke enqueue 1
        2 invoke enqueue 2
        0 ok     enqueue 1
        2 ok     enqueue 2
        1 invoke dequeue
        1 ok     dequeue 2
    """,
    ("queue", "false-empty", "VWit"): """
        0 invoke enqueue 1
        1 invoke dequeue
        0 ok     enqueue 1
        1 ok     dequeue
    """,
    ("unordered-queue", "false-empty", "VWit"): """
        0 invoke enqueue 1
        0 ok     enqueue 1
        0 invoke enqueue 2
        0 ok     enqueue 2
        2 invoke dequeue
        2 info   dequeue
        3 invoke dequeue
        1 invoke dequeue
        1 ok     dequeue
    """,
    ("stack", "out-of-order", "deadlines"): """
        0 invoke push 1
        0 ok     push 1
        0 invoke push 2
        0 ok     push 2
        0 invoke push 3
        0 ok     push 3
        2 invoke pop
        2 info   pop
        1 invoke pop
        3 invoke pop
        1 ok     pop 1
        3 info   pop
    """,
    ("stack", "out-of-order", "no bottom"): """
        0 invoke push 1
        0 ok     push 1
        0 invoke push 2
        1 invoke pop
        0 ok     push 2
        1 ok     pop 1
        1 invoke pop
        1 ok     pop 2
    """,
    ("stack", "false-empty", "VWit"): """
        0 invoke push 1
        0 ok     push 1
        1 invoke pop
        2 invoke pop
        1 ok     pop
        2 ok     pop 1
    """,
    ("priority-queue", "out-of-order", "covered"): """
        0 invoke insert 1
        0 ok     insert 1
        0 invoke insert 2
        0 info   insert 2
        1 invoke remove-max
        1 ok     remove-max 1
    """,
    ("priority-queue", "false-empty", "no free instant"): """
        1 invoke remove-max
        0 invoke insert 1
        0 ok     insert 1
        1 ok     remove-max
    """,
    ("set", "phantom", "phantom"): """
        0 invoke add 3
        0 info   add 3
        1 invoke read
        1 ok     read [3]
    """,
    ("set", "incompatible-order", "incomparable"): """
        0 invoke add 1
        1 invoke add 2
        2 invoke read
        3 invoke read
        2 ok     read [1]
        3 ok     read [2, 1]
    """,
    ("set", "stale-read", "forced order"): """
        0 invoke add 1
        1 invoke read
        0 ok     add 1
        1 ok     read []
    """,
    ("set", "future-read", "forced order"): """
        1 invoke read
        0 invoke add 1
        1 ok     read [1]
        0 ok     add 1
    """,
    ("set", "out-of-order", "forced order"): """
        2 invoke read
        0 invoke add 1
        1 invoke add 2
        0 ok     add 1
        1 ok     add 2
        2 ok     read [2]
    """,
    ("log", "duplicate-elements", "twice"): """
        0 invoke append 1
        0 ok     append 1
        1 invoke read
        1 ok     read [1]
    """,
    ("log", "incompatible-order", "incomparable"): """
        0 invoke append 1
        1 invoke append 2
        2 invoke read
        3 invoke read
        2 ok     read [2, 1]
        3 ok     read [2]
    """,
    ("log", "out-of-order", "forced order"): """
        0 invoke append 1
        2 invoke append 2
        0 ok     append 1
        2 ok     append 2
        1 invoke read
        1 ok     read [2, 1]
    """,
    ("counter", "out-of-bounds", "bounds"): """
        0 invoke add 2
        2 invoke add -1
        2 info   add -1
        0 ok     add 2
        1 invoke read
        1 ok     read 1
    """,
    ("counter", "nonlinearizable", "same adds"): """
        0 invoke add 1
        0 ok     add 1
        2 invoke add 1
        1 invoke read
        3 invoke read
        1 ok     read 2
        3 ok     read 1
    """,
    ("removable-set", "nonlinearizable", "one element"): """
        0 invoke add 1
        0 ok     add 1
        2 invoke remove 1
        1 invoke contains 1
        1 ok     contains [1, False]
    """,
}


@pytest.mark.parametrize("sort", GUILTY, ids=" ".join)
def test_smallest_guilty_history(sort: tuple[str, str, str], history: Notation) -> None:
    name, anomaly, rule = sort

    result = Linearizable(MODELS[name])(history(GUILTY[sort]), Budget())

    assert result.verdict is Verdict.INVALID
    assert [each.name for each in result.anomalies] == [anomaly]
    details = result.details["invalid_keys"]["-"]
    assert (details["rule"], details["confirmed"]) == (rule, True)
    assert result.details["engines"] == {_monitor(MODELS[name]).name: 1}
    assert result.anomalies[0].steps[-1].text.count(", but ") == 1


@pytest.mark.parametrize("sort", INNOCENT, ids=" ".join)
def test_nearest_innocent_twin(sort: tuple[str, str, str], history: Notation) -> None:
    assert set(INNOCENT) == set(GUILTY)

    result = Linearizable(MODELS[sort[0]])(history(INNOCENT[sort]), Budget())

    assert result.verdict is Verdict.VALID


def test_answers_of_an_empty_queue_are_put_in_words(history: Notation) -> None:
    sort = ("queue", "false-empty", "VWit")

    anomaly = Linearizable(MODELS["queue"])(history(GUILTY[sort]), Budget()).anomalies[0]

    assert anomaly.summary == (
        "queue: process 1 found it empty at 0.002 s, but a value was surely there, put in before "
        "and taken later or never"
    )


NOT_FOR_MONITORS = {
    "queue": "0 invoke enqueue 1\n0 ok enqueue 1\n0 invoke enqueue 1\n0 info enqueue 1",
    "stack": "0 invoke push 1\n0 ok push 1\n0 invoke push 1\n0 ok push 1",
    "priority-queue": "0 invoke insert 1\n0 ok insert 1\n1 invoke insert 1\n1 ok insert 1",
    "set": "0 invoke add 1\n0 ok add 1\n0 invoke add 1\n0 ok add 1",
    "log": "0 invoke append 1\n0 ok append 1\n0 invoke append 1\n0 ok append 1",
    "removable-set": "0 invoke add 1\n0 ok add 1\n0 invoke read\n0 ok read [1]",
    "counter": "0 invoke add 1\n0 ok add 1\n0 invoke add 2\n0 ok add 2\n0 invoke read\n0 ok read 3",
}


@pytest.mark.parametrize("name", NOT_FOR_MONITORS)
def test_what_a_monitor_cannot_tell_is_searched(name: str, history: Notation) -> None:
    result = Linearizable(MODELS[name])(history(NOT_FOR_MONITORS[name]), Budget())

    assert settled(result) is Verdict.VALID
    assert list(result.details["engines"]) in (["depth"], ["breadth"])
    assert list(result.details["because"].values())


def test_counter_bounds_never_refuse_what_the_search_accepts(simulated: Simulated) -> None:
    rng, model = Random("bounds"), MODELS["counter"]
    found, invalid = 0, 0
    for _ in range(CASES):
        kept = calls(simulated("counter", rng, operations_max=9, wrong=0.4).operations, model.reads)
        finding = _monitor(model).judge(kept, model)
        expected = _status("counter", kept, Engine.BREADTH)

        assert finding is None or expected is not (
            Status.INVALID if finding.order is not None else Status.VALID
        )
        found += finding is not None and (finding.order is None)
        invalid += expected is Status.INVALID
    assert 0.05 < invalid / CASES < 0.6
    assert found > invalid / 2


def test_equal_adds_are_decided(simulated: Simulated) -> None:
    rng, model, invalid, inside = Random("equal adds"), MODELS["counter"], 0, 0
    for case in range(CASES):
        width = rng.choice((8, 12))
        history = simulated("counter of equal adds", rng, operations_max=width, wrong=0.3)
        kept = calls(history.operations, model.reads)

        finding = _monitor(model).judge(kept, model)

        if finding is None:
            assert not any(call.f == "add" for call in kept)
            continue
        expected = _status("counter", kept, list(Engine)[1 + case % 2])
        assert expected is (Status.VALID if finding.order is not None else Status.INVALID), history
        if finding.order is not None:
            assert flaw(model, history.operations, _indices(kept, finding.order)) is None, history
            indices = _indices(kept, finding.order)
            assert flaw(model, history.operations, indices, in_place=True) is None, history
        else:
            invalid += 1
            inside += finding.rule == "same adds"
            assert witness_flaw(model, kept, finding.part) is None, history
    assert 0.05 < invalid / CASES < 0.3
    assert inside >= 5


def test_replay_in_place_refuses_what_steps_of_the_model_refuse(simulated: Simulated) -> None:
    rng, refused = Random("replay"), 0
    for case in range(CASES):
        name = JUDGES[case % len(JUDGES)]
        model = MODELS[name]
        operations = simulated(name, rng, operations_max=6).operations
        kept = calls(operations, model.reads)
        order = rng.sample(range(len(kept)), len(kept))
        if rng.random() < 0.7:
            order.sort(key=lambda i: kept[i].inv)

        wrong = flaw(model, operations, _indices(kept, order))
        in_place = flaw(model, operations, _indices(kept, order), in_place=True)

        assert (in_place is None) == (wrong is None)
        refused += wrong is not None
    assert 0.2 < refused / CASES < 0.95


@pytest.mark.parametrize("depth", [1, 20_000])
def test_deep_stack_takes_no_recursion_and_no_square(depth: int) -> None:
    values = [("push", value) for value in range(1, depth + 1)]
    values += [("pop", value) for value in range(depth, 0, -1)]
    events: list[Event] = []
    for f, value in values:
        asked = value if f == "push" else None
        events.append(Event(len(events), len(events), 0, Type.INVOKE, f, asked))
        events.append(Event(len(events), len(events), 0, Type.OK, f, value))

    result = Linearizable(MODELS["stack"])(History(tuple(events)), Budget())

    assert result.verdict is Verdict.VALID
