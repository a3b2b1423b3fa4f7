"""Columns of a history, and the history again."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from dissever.harness.history import Event, History, Rows, Type
from dissever.native.columns import FAIL, INFO, NONE, OK, TYPE_CODES, Columns
from dissever.native.load import load

HISTORY = History(
    (
        Event(0, 10, 0, Type.INVOKE, "write", 1, key="x"),
        Event(1, 20, "kill", Type.INVOKE, "kill", ["n1"]),
        Event(2, 30, 1, Type.INVOKE, "cas", [1, 2], key="x"),
        Event(4, 40, 0, Type.OK, "write", 1, key="x"),
        Event(5, 50, 2, Type.INVOKE, "read"),
        Event(7, 60, 1, Type.FAIL, "cas", [1, 2], key="x"),
        Event(8, 70, 2, Type.OK, "read", 1.0),
        Event(9, 80, 0, Type.INVOKE, "read"),
    )
)


def _column(columns: Columns, name: str) -> list[int]:
    return list(getattr(columns, name))


def _values(columns: Columns, name: str) -> list[Any]:
    return [None if each == NONE else columns.values[each] for each in getattr(columns, name)]


def test_columns_hold_each_operation_by_invocation() -> None:
    columns = HISTORY.columns

    assert _column(columns, "type") == [OK, FAIL, OK, INFO]
    assert _column(columns, "process") == [0, 1, 2, 0]
    assert [columns.fs[f] for f in columns.f] == ["write", "cas", "read", "read"]
    assert [columns.keys[key] for key in columns.key] == ["x", "x", None, None]
    assert _column(columns, "inv") == [0, 2, 5, 9]
    assert _column(columns, "ret") == [4, 7, 8, NONE]
    assert _column(columns, "inv_time") == [10, 30, 50, 80]
    assert _column(columns, "ret_time") == [40, 60, 70, 0]
    assert _values(columns, "value_in") == [1, [1, 2], None, None]
    assert _values(columns, "value_out") == [1, None, 1.0, None]
    assert _values(columns, "a") == [1, 1, None, None]
    assert _values(columns, "b") == [None, 2, None, None]


def test_ids_are_equal_when_type_and_value_are() -> None:
    values = [1, 1.0, "1", True, [1], [1.0], [True], {"a": 1}, {"a": 1.0}, None, False, 0, [], {}]
    written = [
        Event(i, i, i, Type.INVOKE, "write", value) for i, value in enumerate([*values, *values])
    ]

    ids = _column(History(written).columns, "value_in")

    assert len(set(ids)) == len(values)
    assert ids[: len(values)] == ids[len(values) :]
    assert ids[values.index(None)] == 0


def test_no_operation_is_a_valid_struct() -> None:
    columns = Columns.empty()

    assert len(columns) == 0
    assert columns.pointer().n == 0


def test_struct_shows_the_columns_to_c() -> None:
    columns = HISTORY.columns
    struct = columns.pointer()

    assert struct.n == 4
    for name in TYPE_CODES:
        assert list(getattr(struct, name)[0:4]) == _column(columns, name)


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"type": ()}, ValueError),
        (dict.fromkeys(TYPE_CODES, ()) | {"f": (1,)}, ValueError),
        (dict.fromkeys(TYPE_CODES, (2**40,)), OverflowError),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Columns.of(columns)


def test_operations_again_have_what_columns_say() -> None:
    columns = HISTORY.columns

    rows = Rows.of_columns(columns)
    again = tuple(rows.operation(at, in_detail=False) for at in range(len(columns)))

    assert again == HISTORY.operations


def test_chosen_columns_share_names_keys_and_values() -> None:
    chosen = HISTORY.columns.chosen([2, 0])

    assert _column(chosen, "inv") == [5, 0]
    assert _values(chosen, "value_out") == [1.0, 1]
    assert [chosen.fs[f] for f in chosen.f] == ["read", "write"]


def test_memory_outlives_what_it_was_loaded_with() -> None:
    inv = load(b'{"index":7,"time":0,"process":1,"type":"invoke","f":"read"}').columns.inv
    gc.collect()

    assert list(inv) == [7]
