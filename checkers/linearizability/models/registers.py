"""
Registers: one value, one value with compare-and-set, and several values changed together.

Source: Knossos, `model.clj`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from dissever.checkers.linearizability import register_anomalies
from dissever.checkers.linearizability.calls import Call
from dissever.checkers.linearizability.family import Family, Naming, Parts
from dissever.checkers.linearizability.model import (
    REFUSED,
    UNKNOWN,
    After,
    Misfit,
    Model,
    State,
    listed,
)
from dissever.harness.history import TXN
from dissever.harness.results import Budget
from dissever.harness.values import freeze, show
from dissever.native.columns import Columns
from dissever.native.registers import KeyOutcomes, judge_keys


def _register(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    if f == "read":
        return state if state == value_out else REFUSED
    if f == "write":
        return value_in
    raise Misfit(f"a register has no {f!r}")


def _cas_register(state: State, f: str, value_in: Hashable, value_out: Hashable) -> After:
    if f != "cas":
        return _register(state, f, value_in, value_out)
    if not isinstance(value_in, tuple) or len(value_in) != 2:
        raise Misfit(f"cas wants [old, new], got {show(value_in)}")
    old, new = value_in
    return new if state == old else REFUSED


def _multi_register(
    state: State, f: str, value_in: Hashable, value_out: Hashable, *, ignores_nil: bool = False
) -> After:
    """
    Micro-operations ["r", k, v] and ["w", k, v], done at one instant in their order.

    "read" and "write" are the same words. An ok transaction answers its list with what it read; a
    register that was never written holds None. The state is the set of (register, value) for all
    that do not hold None.
    """
    assert isinstance(state, frozenset)
    if f != TXN:
        raise Misfit(f"a multi-register has no {f!r}")
    is_known = value_out is not UNKNOWN
    done = value_out if is_known else value_in
    if not isinstance(done, tuple):
        raise Misfit(f"txn wants a list of micro-operations, got {show(done)}")
    held = dict(state)
    is_refused = False
    for each in done:
        if not isinstance(each, tuple) or len(each) != 3:
            raise Misfit(f"a micro-operation is [f, register, value], got {show(each)}")
        what, key, value = each
        if what in ("w", "write"):
            held[key] = value
        elif what not in ("r", "read"):
            raise Misfit(f"a micro-operation reads or writes, got {show(what)}")
        elif is_known and held.get(key) != value and not (ignores_nil and value is None):
            is_refused = True
    if is_refused:
        return REFUSED
    return frozenset((key, value) for key, value in held.items() if value is not None)


def _registers(initial: Hashable) -> State:
    """From {register: value}, or from a list of such pairs, where registers are not only texts."""
    is_map = isinstance(initial, tuple) and initial[:1] == (dict,)
    pairs = initial[1] if isinstance(initial, tuple) and is_map else initial
    found = listed(pairs)
    held = [each for each in found or () if isinstance(each, tuple) and len(each) == 2]
    if found is None or len(held) < len(found):
        raise Misfit("registers begin with {register: value, …}")
    return frozenset((key, value) for key, value in held if value is not None)


def _show_registers(state: State) -> str:
    assert isinstance(state, frozenset)
    held = sorted((f"{show(key)}: {show(value)}" for key, value in state), key=str)
    return "{" + ", ".join(held) + "}"


CELLS_MAX: Final = 1 << 26
"""All states of a register may be needed, and whole tables tell which crashes matter."""


def _judge_keys(columns: Columns, model: Model, budget: Budget, threads: int | None) -> KeyOutcomes:
    return judge_keys(
        columns,
        initial=_id_of(model.initial, columns.values),
        has_cas=_has_cas(model),
        configurations_max=budget.configurations,
        bytes_max=budget.memory_bytes,
        threads=threads,
    )


def _id_of(initial: Hashable, values: Sequence[Any]) -> int:
    """Cheap for None, which every history numbers 0; else linear."""
    if initial is None:
        return 0
    return next((i for i, value in enumerate(values) if freeze(value) == initial), -1)


def _has_cas(model: Model) -> bool:
    try:
        model.step(model.initial, "cas", (model.initial, model.initial), UNKNOWN)
    except Misfit:
        return False
    return True


def _needs(call: Call) -> Iterable[Hashable]:
    """The last producer before a question stays, so nothing stands between them."""
    if call.f == "read":
        yield call.value_out
    elif call.f == "cas" and isinstance(call.value_in, tuple):
        yield call.value_in[0]


def _helps(call: Call) -> Iterable[Hashable]:
    if call.f == "write":
        yield call.value_in
    elif call.f == "cas" and isinstance(call.value_in, tuple):
        yield call.value_in[1]


def _value(initial: Hashable) -> State:
    return initial


def _ignoring_nil(model: Model) -> Model:
    return replace(model, ignores_nil=True)


REGISTERS: Final = Family(
    judge_keys=_judge_keys,
    parts=Parts(_needs, _helps),
    naming=Naming(
        register_anomalies.prove, register_anomalies.unwritten, register_anomalies.connected
    ),
    cells_max=CELLS_MAX,
)

MODELS: Final = (
    Model(
        "register",
        None,
        _register,
        writes=frozenset({"write"}),
        noun="register",
        family=REGISTERS,
        start=_value,
        knossos=_ignoring_nil,
        description="read -> value, write value",
    ),
    Model(
        "cas-register",
        None,
        _cas_register,
        writes=frozenset({"write"}),
        noun="register",
        family=REGISTERS,
        start=_value,
        knossos=_ignoring_nil,
        description="a register with cas [old, new]",
    ),
    Model(
        "multi-register",
        frozenset(),
        _multi_register,
        reads=frozenset(),
        noun="set of registers",
        holds=_show_registers,
        start=_registers,
        knossos=lambda model: replace(model, step=partial(_multi_register, ignores_nil=True)),
        description='txn [["r", k, v], ["w", k, v], ...] over several registers at one instant',
    ),
)
