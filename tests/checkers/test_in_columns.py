"""Containers straight from columns, against the monitors that are asked call by call."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from dissever.checkers import from_columns
from dissever.checkers.calls import calls
from dissever.checkers.from_columns import judge_columns
from dissever.checkers.linearizable import Linearizable
from dissever.checkers.models import MODELS
from dissever.checkers.monitors import MONITORS, in_columns
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Verdict

CASES = 400
NAMES = ("queue", "unordered-queue", "stack", "priority-queue")

Simulated = Callable[..., History]


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
def test_both_find_an_order_or_neither(name: str, simulated: Simulated) -> None:
    rng, model, found = Random(f"columns {name}"), MODELS[name], 0
    for _ in range(CASES):
        history = simulated(name, rng, operations_max=14)
        columns = history.columns
        finding = MONITORS[model.family].judge(calls(history.operations, model.reads), model)
        is_valid = finding is not None and finding.is_valid

        has_order = in_columns.has_order(columns, range(len(columns)), model)

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
    model = MODELS[name]
    history = _large(name, Random(f"large {name}"), simulated, wrong=wrong)
    straight: list[bool] = []

    def spied(*asked: object) -> bool:
        straight.append(has_order(*asked))  # type: ignore[arg-type]
        return straight[-1]

    has_order = in_columns.has_order
    monkeypatch.setattr(from_columns.in_columns, "has_order", spied)
    monkeypatch.setattr(from_columns, "STRAIGHT_OPERATIONS_MIN", 1)

    result = judge_columns(history.columns, model, Budget())

    expected = Linearizable(model)(history, Budget())
    assert (result.verdict, result.why, result.details) == (
        expected.verdict, expected.why, expected.details,
    )  # fmt: skip
    assert len(straight) == 3
    assert any(straight) or wrong > 0.0
    assert not (all(straight) and expected.verdict is Verdict.INVALID)


@pytest.mark.parametrize(
    ("f", "value"), [("enqueue", None), ("push", 1)], ids=["nothing is put", "another kind"]
)
def test_what_is_odd_goes_the_long_way(f: str, value: object) -> None:
    events = (Event(0, 0, 0, Type.INVOKE, f, value), Event(1, 1, 0, Type.OK, f, value))
    columns = History(events).columns

    assert not in_columns.has_order(columns, range(1), MODELS["queue"])
