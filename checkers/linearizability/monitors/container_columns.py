"""
Large containers judged straight from columns: no object is made of an operation.

The one decision that is not obvious: this says valid or nothing. What is not, or not clearly, goes
the long way, which explains it; so do histories with events of one time, which it puts in order.

Cost: 1 to 2.5 µs an operation, of which C takes 0.1 to 0.3, where the long way takes 13.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import compress
from typing import Final

from dissever.checkers.linearizability.family import HasOrder
from dissever.checkers.linearizability.model import Misfit, Model
from dissever.checkers.linearizability.monitors.containers import Container, flat
from dissever.harness.values import freeze
from dissever.native.columns import FAIL, OK, Columns
from dissever.native.containers import (
    NEVER,
    Operations,
    judge_container,
    replays,
)

OPERATIONS_MIN: Final = 1000
"""Fewer go the long way, where their order is validated in Python."""

_NONE: Final = 0
"""The id of None among the values of columns."""


def has_order(container: Container) -> HasOrder:
    """Whether C found an order of some operations, and replayed it; False where it is not known."""

    def decide(columns: Columns, rows: Sequence[int], model: Model) -> bool:
        if len(rows) < OPERATIONS_MIN or model.initial != container.initial:
            return False
        try:
            operations = _operations(columns, rows, container)
        except Misfit:
            return False
        if operations is None:
            return False
        judged = judge_container(container.kind, operations)
        return judged.is_valid is True and replays(container.kind, operations, judged.order)

    return decide


def _operations(columns: Columns, rows: Sequence[int], container: Container) -> Operations | None:
    """None where an operation is of another kind, or two events are of one time."""
    kept = [i for i in rows if columns.type[i] != FAIL]
    names = {name: number for number, name in enumerate(columns.fs)}
    put, take = names.get(container.put), names.get(container.take)
    f = [columns.f[i] for i in kept]
    if not {put, take}.issuperset(f):
        return None
    is_ok = [columns.type[i] == OK for i in kept]
    times = [columns.inv_time[i] for i in kept]
    times += [columns.ret_time[i] for i in compress(kept, is_ok)]
    if len(set(times)) < len(times):
        return None
    held: list[int] = []
    for i, name, is_known in zip(kept, f, is_ok, strict=True):
        held.append(
            columns.value_in[i] if name == put else columns.value_out[i] if is_known else _NONE
        )
        if held[-1] == _NONE and name == put:
            return None
    inv = array("i", [columns.inv[i] for i in kept])
    ret = array(
        "i", [columns.ret[i] if known else NEVER for i, known in zip(kept, is_ok, strict=True)]
    )
    is_take = bytes([name == take for name in f])
    return flat(
        container, is_take, held, _NONE, inv, ret, lambda value: freeze(columns.values[value])
    )
