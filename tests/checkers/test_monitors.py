"""Monitors against the search on random small histories; the smallest guilty ones, and twins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from dissever.checkers.calls import Call, calls
from dissever.checkers.certificate import flaw
from dissever.checkers.lazy import TooManyStates
from dissever.checkers.models import MODELS
from dissever.checkers.monitors import MONITORS, replay
from dissever.checkers.table import states_of
from dissever.harness.history import History
from dissever.native import Engine, Status, search

Simulated = Callable[..., History]
Notation = Callable[[str], History]

CASES = 5_000
JUDGES = ("queue", "stack", "priority-queue", "set", "log", "removable-set")


def _status(name: str, kept: Sequence[Call], engine: Engine) -> Status:
    """What the search says; MEMORY where it is too hard."""
    table = states_of(MODELS[name], kept, 1 << 26)
    try:
        return search(
            table.problem(kept), configurations_max=1_000_000, bytes_max=1 << 26, engine=engine
        ).status
    except TooManyStates:
        return Status.MEMORY


@pytest.mark.parametrize("operations_max", [8, 14])
@pytest.mark.parametrize("name", JUDGES)
def test_monitor_and_search_agree(name: str, operations_max: int, simulated: Simulated) -> None:
    rng = Random(f"monitors {name} {operations_max}")
    model, engines = MODELS[name], list(Engine)[1:]
    applied, invalid, unordered, hard = 0, 0, 0, 0
    for case in range(CASES):
        history = simulated(name, rng, operations_max=operations_max)
        kept = calls(history.operations, model.reads)

        finding = MONITORS[model.family].judge(kept, model)

        if finding is None:
            continue
        applied += 1
        expected = _status(name, kept, engines[case % 2])
        hard += expected not in (Status.VALID, Status.INVALID)
        assert expected is not (Status.INVALID if finding.is_valid else Status.VALID), history
        invalid += not finding.is_valid
        if not finding.is_valid:
            assert _status(name, finding.part, Engine.BREADTH) is Status.INVALID, history
        elif finding.order is None:
            unordered += 1
        else:
            assert flaw(model, kept, finding.order) is None, history
            assert replay.flaw(model, kept, finding.order) is None, history
    assert applied > 0.95 * CASES
    assert 0.05 < invalid / applied < 0.6
    assert unordered < 0.01 * applied
    assert hard <= 5
