"""
A history as columns, what the fast engines read, and back again, what an explanation reads.

The one decision that is not obvious: values are interned by type and value, as `freeze` tells them
apart, so that equal ids are equal values and nothing else.

Source: `native/columns.h`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final

from dissever.harness.history import Event, History, Operation, Type
from dissever.harness.values import freeze
from dissever.native.columns import FAIL, INFO, NONE, OK, TYPE_CODES, Columns
from dissever.native.load import Details

CAS: Final = "cas"

_TYPES: Final = {Type.OK: OK, Type.FAIL: FAIL, Type.INFO: INFO}
_NAMES: Final = {number: name for name, number in _TYPES.items()}


def columns_of(history: History) -> Columns:
    """
    The operations of the clients.

    Raises:
        MalformedHistory: When the events do not pair up; see `History.operations`.
        OverflowError: When a process, an index or a time is too large for its column.
    """
    fs: dict[str, int] = {}
    keys, values = _Interned(), _Interned()
    columns: dict[str, list[int]] = {name: [] for name in TYPE_CODES}
    appends = [column.append for column in columns.values()]
    for operation in history.operations:
        for append, number in zip(appends, _row(operation, fs, keys, values), strict=True):
            append(number)
    return Columns.of(columns, fs=tuple(fs), keys=keys.values, values=tuple(values.values))


def history_of(
    columns: Columns, details: Details | None = None, operations: Iterable[int] | None = None
) -> History:
    """
    The events of clients.

    Args:
        details: Of the file that the columns came from. Without them an operation that is info has
            no completion, a failed one repeats what was asked, and there are no nodes or errors.
        operations: Positions in the columns; None for all. Each costs some microseconds.
    """
    chosen = range(len(columns)) if operations is None else operations
    events = [event for each in chosen for event in _events(columns, details, each)]
    return History(tuple(sorted(events, key=lambda event: event.index)))


def operation_of(columns: Columns, details: Details | None, at: int) -> Operation:
    """The operation at a position, with its events; see `history_of`."""
    invocation, *completion = _events(columns, details, at)
    return Operation(invocation, completion[0] if completion else None)


class ColumnsHistory(History):
    """The operations of clients that columns hold, each made when it is asked for."""

    def __init__(self, columns: Columns, details: Callable[[], Details] | None = None) -> None:
        super().__init__(())
        self.__dict__["columns"] = columns
        self.__dict__["_details"] = cache(details) if details else lambda: None

    def operation(self, at: int, *, in_detail: bool = False) -> Operation:
        """The operation at a position; see `history_of` for what it lacks without details."""
        return operation_of(self.columns, self.__dict__["_details"]() if in_detail else None, at)


class _Interned:
    """Values by id in order of first use; None is 0."""

    def __init__(self) -> None:
        self.values: list[Any] = [None]
        self._ids: dict[Hashable, int] = {None: 0}

    def id_of(self, value: Any) -> int:
        found = self._ids.setdefault(freeze(value), len(self.values))
        if found == len(self.values):
            self.values.append(value)
        return found


def _row(
    operation: Operation, fs: dict[str, int], keys: _Interned, values: _Interned
) -> Sequence[int]:
    """The integers of one operation, in the order of TYPE_CODES."""
    invocation, completion = operation.invocation, operation.completion
    assert isinstance(invocation.process, int)
    value_in = values.id_of(invocation.value)
    a, b = value_in, NONE
    if invocation.f == CAS and isinstance(invocation.value, list) and len(invocation.value) == 2:
        a, b = (values.id_of(part) for part in invocation.value)
    is_ok = operation.type is Type.OK
    has_ret = completion is not None and operation.type is not Type.INFO
    return (
        _TYPES[operation.type],
        invocation.process,
        fs.setdefault(invocation.f, len(fs)),
        keys.id_of(invocation.key),
        value_in,
        values.id_of(operation.value) if is_ok else NONE,
        a,
        b,
        invocation.index,
        completion.index if completion is not None and has_ret else NONE,
        invocation.time,
        completion.time if completion is not None else 0,
    )


def _events(columns: Columns, details: Details | None, at: int) -> Iterator[Event]:
    """The one or two events of an operation."""
    node = details.nodes[details.node[at]] if details else None
    detail = details.invocations.get(at) if details else None
    invocation = Event(
        columns.inv[at],
        columns.inv_time[at],
        columns.process[at],
        Type.INVOKE,
        columns.fs[columns.f[at]],
        columns.values[columns.value_in[at]],
        columns.keys[columns.key[at]],
        node,
        columns.values[detail.error] if detail else None,
    )
    yield invocation
    yield from _completions(columns, details, at, invocation)


def _completions(
    columns: Columns, details: Details | None, at: int, invocation: Event
) -> Iterator[Event]:
    """The event that completes an invocation, if there is one."""
    detail = details.completions.get(at) if details else None
    index = detail.event if detail else columns.ret[at]
    if index == NONE:
        return
    value = detail.value if detail else columns.value_out[at]
    yield Event(
        index,
        columns.ret_time[at],
        invocation.process,
        _NAMES[columns.type[at]],
        invocation.f,
        columns.values[value] if value != NONE else invocation.value,
        columns.values[detail.key] if detail else invocation.key,
        detail.node if detail else invocation.node,
        columns.values[detail.error] if detail else None,
    )
