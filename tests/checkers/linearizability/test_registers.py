"""Registers whose values are each set once: what C decides, against the search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from dissever.checkers import CAS_REGISTER, Linearizable
from dissever.checkers.linearizability import refutation, register_anomalies
from dissever.checkers.linearizability.calls import Call, calls
from dissever.checkers.linearizability.certificate import flaw
from dissever.checkers.linearizability.models.registers import REGISTERS
from dissever.checkers.linearizability.register_anomalies import connected
from dissever.checkers.linearizability.states import states_of
from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.results import Budget, Verdict
from dissever.native import Engine, Status, search
from dissever.native.registers import KeyEngine, KeyOutcome, KeyVerdict

CASES = 20_000


def _outcome(history: History) -> KeyOutcome:
    assert REGISTERS.judge_keys is not None
    return REGISTERS.judge_keys(history.columns, CAS_REGISTER, Budget(), 1)[0]


def _status(kept: tuple[Call, ...]) -> Status:
    problem = states_of(CAS_REGISTER, kept, 1 << 24).problem(kept)
    limits = {"configurations_max": 100_000, "bytes_max": 1 << 24}
    return search(problem, engine=Engine.BREADTH, **limits).status


def test_zones_and_search_agree_and_the_orders_are_linearizations(
    unique_registers: Callable[[Random], History],
) -> None:
    rng, searched = Random("blocks"), Linearizable(CAS_REGISTER, engine=Engine.BREADTH)
    invalid = 0
    for _ in range(CASES):
        history = unique_registers(rng)

        found = _outcome(history)

        expected = searched(history, Budget()).verdict
        assert (found.verdict is KeyVerdict.INVALID) == (expected is Verdict.INVALID), history
        if found.verdict is KeyVerdict.VALID and found.order is not None:
            assert found.engine in (KeyEngine.NONE, KeyEngine.ZONES, KeyEngine.CHAINS)
            order = [history.operations[i].invocation.index for i in found.order]
            assert not found.operations or flaw(CAS_REGISTER, history.operations, order) is None
        invalid += expected is Verdict.INVALID
    assert 0.05 < invalid / CASES < 0.6


def _conflicts(
    drawn: Callable[[Random], History],
) -> Iterator[tuple[tuple[Call, ...], list[Operation]]]:
    """The calls of registers that C calls invalid, and the operations that it names."""
    rng = Random("conflicts")
    for _ in range(5_000):
        history = drawn(rng)
        found = _outcome(history)
        if found.verdict is KeyVerdict.INVALID:
            kept = calls(history.operations, CAS_REGISTER.reads)
            yield kept, [history.operations[i] for i in found.witness]


def _is_evidence(kept: tuple[Call, ...], part: tuple[Call, ...]) -> bool:
    if _status(part) is not Status.INVALID:
        return False
    return refutation.witness_flaw(CAS_REGISTER, kept, part) is None


def test_calls_on_the_values_of_a_conflict_are_invalid_alone(
    unique_registers: Callable[[Random], History],
) -> None:
    smaller = invalid = 0
    for kept, witness in _conflicts(unique_registers):
        part = connected(kept, witness)

        assert _is_evidence(kept, part), kept
        invalid += 1
        smaller += len(part) < len(kept)
    assert smaller > 0.1 * invalid > 10


MUTANTS = {
    "swaps join nothing": ("waiting += joined[value]", "continue"),
    "what a call wants is none of its values": ("*(wanted(call) or ())", "*()"),
    "what a call writes is none of its values": ("*(written(call.f, call.value_in) or ())", "*()"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_connected_calls_broken_on_purpose_are_no_evidence(
    name: str, unique_registers: Callable[[Random], History]
) -> None:
    sound, broken = MUTANTS[name]
    text = Path(register_anomalies.__file__).read_text(encoding="utf-8")
    assert text.count(sound) == 1
    module = ModuleType("mutant")
    exec(compile(text.replace(sound, broken), "mutant", "exec"), module.__dict__)

    assert not all(
        _is_evidence(kept, module.connected(kept, witness))
        for kept, witness in _conflicts(unique_registers)
    )


def test_calls_on_some_values_of_a_valid_register_are_valid_alone(
    unique_registers: Callable[[Random], History],
) -> None:
    rng, smaller = Random("parts"), 0
    for _ in range(5_000):
        history = unique_registers(rng)
        kept = calls(history.operations, CAS_REGISTER.reads)
        if not kept or _status(kept) is not Status.VALID:
            continue

        part = connected(kept, [rng.choice(kept).operation])

        assert _status(part) is Status.VALID, history
        smaller += len(part) < len(kept)
    assert smaller > 500


def test_compare_and_sets_that_need_each_other_are_invalid() -> None:
    events = [
        Event(0, 0, 0, Type.INVOKE, "cas", [1, 2]),
        Event(1, 1, 1, Type.INVOKE, "cas", [2, 1]),
        Event(2, 2, 0, Type.OK, "cas", [1, 2]),
        Event(3, 3, 1, Type.OK, "cas", [2, 1]),
    ]

    found = _outcome(History(tuple(events)))

    assert (found.verdict, found.engine) == (KeyVerdict.INVALID, KeyEngine.CHAINS)
    assert len(found.witness) == 2


def test_values_set_twice_are_left_to_the_search() -> None:
    events = [
        Event(0, 0, 0, Type.INVOKE, "write", 1),
        Event(1, 1, 0, Type.OK, "write", 1),
        Event(2, 2, 0, Type.INVOKE, "write", 1),
        Event(3, 3, 0, Type.OK, "write", 1),
    ]

    assert _outcome(History(tuple(events))).engine is KeyEngine.DEPTH
