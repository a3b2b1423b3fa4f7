"""Containers straight from columns, against the monitors that are asked call by call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest

from dissever.checkers.linearizability import Linearizable
from dissever.checkers.linearizability.calls import calls
from dissever.checkers.linearizability.model import Model
from dissever.checkers.linearizability.models import MODELS
from dissever.checkers.linearizability.monitors import containers
from dissever.harness.history import Event, History, Type, columns_of
from dissever.harness.results import Budget, Verdict
from dissever.native.columns import Columns

CASES = 400
NAMES = ("queue", "unordered-queue", "stack", "priority-queue")

Simulated = Callable[..., History]


def _has_order(columns: Columns, rows: Sequence[int], model: Model) -> bool:
    assert model.family.has_order is not None
    return model.family.has_order(columns, rows, model)


def _has_ties(history: History) -> bool:
    times = [
        event.time
        for operation in history.operations
        if operation.type is not Type.FAIL
        for event in (operation.invocation, operation.completion)
        if event is not None and event.type in (Type.INVOKE, Type.OK)
    ]
    return len(set(times)) < len(times)


@pytest.mark.parametrize("name", NAMES)
def test_both_find_an_order_or_neither(
    name: str, simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "COLUMN_OPERATIONS_MIN", 1)
    rng, model, found = Random(f"columns {name}"), MODELS[name], 0
    for _ in range(CASES):
        history = simulated(name, rng, operations_max=14)
        columns = columns_of(history.operations)
        assert model.family.monitor is not None
        finding = model.family.monitor.judge(calls(history.operations, model.reads), model)
        is_valid = finding is not None and finding.order is not None

        has_order = _has_order(columns, range(len(columns)), model)

        assert has_order == (is_valid and not _has_ties(history)), history
        found += has_order
    assert 0.2 < found / CASES < 0.9


def _large(name: str, rng: Random, simulated: Simulated, *, wrong: float) -> History:
    """Many small histories of as many objects, one event of each by turns, far apart."""
    events: list[Event] = []
    for key in range(3):
        for event in simulated(name, rng, operations_max=2000, crashes=False, wrong=wrong).events:
            events.append(
                Event(
                    0, 3 * event.index + key, 10_000 * key + event.process, event.type,
                    event.f, event.value, key,
                )
            )  # fmt: skip
    events.sort(key=lambda event: event.time)
    return History(
        tuple(
            Event(i, e.time, e.process, e.type, e.f, e.value, e.key) for i, e in enumerate(events)
        )
    )


@pytest.mark.parametrize("wrong", [0.0, 0.01])
@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_that_of_the_long_way(
    name: str, wrong: float, simulated: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "COLUMN_OPERATIONS_MIN", 1 << 30)
    model = MODELS[name]
    history = _large(name, Random(f"large {name}"), simulated, wrong=wrong)
    expected = Linearizable(model)(history, Budget())
    straight: list[bool] = []

    def spied(columns: Columns, rows: Sequence[int], _: Model) -> bool:
        straight.append(_has_order(columns, rows, model))
        return straight[-1]

    spying = replace(model, family=replace(model.family, has_order=spied))
    monkeypatch.setattr(containers, "COLUMN_OPERATIONS_MIN", 1)

    result = Linearizable(spying)(history, Budget())

    assert (result.verdict, result.why, result.details) == (
        expected.verdict, expected.why, expected.details,
    )  # fmt: skip
    assert len(straight) == 3
    assert any(straight) or wrong > 0.0
    assert not (all(straight) and expected.verdict is Verdict.INVALID)


@pytest.mark.parametrize(
    ("f", "value"), [("enqueue", None), ("push", 1)], ids=["nothing is put", "another kind"]
)
def test_what_is_odd_goes_the_long_way(
    f: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "COLUMN_OPERATIONS_MIN", 1)
    events = (Event(0, 0, 0, Type.INVOKE, f, value), Event(1, 1, 0, Type.OK, f, value))
    columns = columns_of(History(events).operations)

    assert not _has_order(columns, range(1), MODELS["queue"])
