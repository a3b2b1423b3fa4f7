"""
Operations of clients as columns, and columns as operations.

The engines read columns, and the reader of files makes them; people and checkers read operations.
An operation of a file is made from its row when it is asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from dissever.harness.events import Event, Key, Operation, Type
from dissever.harness.values import freeze
from dissever.native import load
from dissever.native.columns import FAIL, INFO, NONE, OK, TYPE_CODES, Columns, Micro
from dissever.native.load import Details

CAS: Final = "cas"

_TYPES: Final = {Type.OK: OK, Type.FAIL: FAIL, Type.INFO: INFO}
_NAMES: Final = {number: name for name, number in _TYPES.items()}
_EVENT_TYPES: Final = {
    load.INVOKE: Type.INVOKE,
    load.OK: Type.OK,
    load.FAIL: Type.FAIL,
    load.INFO: Type.INFO,
}


@dataclass(frozen=True, slots=True)
class Times:
    """
    The operations of clients by invocation, as columns: types as in `native.columns`, and times.

    `end_ns` is 0 without a completion.
    """

    type: Sequence[int]
    start_ns: Sequence[int]
    end_ns: Sequence[int]


def times_of(operations: Sequence[Operation]) -> Times:
    """Operations of clients, by invocation, as times."""
    ends = (each.completion.time if each.completion else 0 for each in operations)
    return Times(
        array("b", (_TYPES[each.type] for each in operations)),
        array("q", (each.invocation.time for each in operations)),
        array("q", ends),
    )


def columns_of(operations: Iterable[Operation]) -> Columns:
    """
    Operations of clients, by invocation, as columns.

    Raises:
        OverflowError: When a process, an index or a time is too large for its column.
    """
    fs: dict[str, int] = {}
    keys, values = _Interned(), _Interned()
    columns: dict[str, list[int]] = {name: [] for name in TYPE_CODES}
    appends = [column.append for column in columns.values()]
    for operation in operations:
        for append, number in zip(appends, _row(operation, fs, keys, values), strict=True):
            append(number)
    return Columns.of(columns, fs=tuple(fs), keys=keys.values, values=tuple(values.values))


@dataclass(frozen=True)
class Rows:
    """
    Operations of a file, as a history needs them: all of them, or those at some positions.

    `whole` are the columns of the whole file, and `positions` are rising positions in them. `file`
    is None for a part of a file, which has no events of nemeses.
    """

    whole: Columns
    details: Callable[[], Details | None]
    positions: Sequence[int]
    file: load.Loaded | None = None

    @classmethod
    def of(cls, loaded: load.Loaded) -> Rows:
        """A whole file."""
        return cls(loaded.columns, cache(loaded.details), range(len(loaded.columns)), loaded)

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def micro(self) -> Micro | None:
        """Of a whole file that was read as transactions; else None."""
        return self.file.micro if self.file is not None else None

    @cached_property
    def columns(self) -> Columns:
        """The columns of these operations alone; ids stay what they are."""
        if len(self.positions) == len(self.whole):
            return self.whole
        return self.whole.chosen(self.positions)

    @classmethod
    def of_columns(cls, columns: Columns) -> Rows:
        """Columns that came from no file: there are no details."""
        return cls(columns, lambda: None, range(len(columns)))

    def operation(self, position: int, *, in_detail: bool) -> Operation:
        """As `History.operation`."""
        details = self.details() if in_detail else None
        at = self.positions[position]
        row = tuple(getattr(self.whole, name)[at] for name in TYPE_CODES)
        return _operation(self.whole, self.whole.values, details, at, row)

    def operations(self) -> Iterator[Operation]:
        """All of these operations, each made when it is reached."""
        rows = zip(*(getattr(self.columns, name) for name in TYPE_CODES), strict=True)
        details, values = self.details(), self.whole.values
        if len(self) == len(self.whole) and self.micro is None:
            values = list(values)  # Many operations share one: decode each once.
        for at, row in zip(self.positions, rows, strict=True):
            yield _operation(self.whole, values, details, at, row)

    def by_key(self) -> dict[Key | None, Rows]:
        """The operations of each key, in order of first use."""
        found: dict[int, array[int]] = {}
        for at in self.positions:
            key = self.whole.key[at]
            if key not in found:
                found[key] = array("i")
            found[key].append(at)
        return {
            self.whole.keys[key]: Rows(self.whole, self.details, positions)
            for key, positions in found.items()
        }

    def nemesis_events(self) -> Iterator[Event]:
        """The events of nemeses, in order."""
        for event in self.file.nemesis_events() if self.file is not None else ():
            fields = {name: getattr(event, name) for name in Event.__struct_fields__}
            yield Event(**fields | {"type": _EVENT_TYPES[event.type]})


def _operation(
    columns: Columns,
    values: Sequence[Any],
    details: Details | None,
    at: int,
    row: tuple[int, ...],
) -> Operation:
    """The operation at a position, whose integers stand in the order of TYPE_CODES."""
    kind, process, f_id, key_id, value_in, value_out, _, _, inv, ret, inv_time, ret_time = row
    f, key = columns.fs[f_id], columns.keys[key_id]
    value, node, error, detail = values[value_in], None, None, None
    if details is not None:
        node = details.nodes[details.node[at]]
        detail = details.completions.get(at)
        if at in details.invocations:
            error = values[details.invocations[at].error]
    invocation = Event(inv, inv_time, process, Type.INVOKE, f, value, key, node, error)
    if detail is not None:
        index, answer, node = detail.event, values[detail.value], detail.node
        key, error = values[detail.key], values[detail.error]
    elif ret == NONE:
        return Operation(invocation)
    else:
        index, answer, error = ret, value if value_out == NONE else values[value_out], None
    completion = Event(index, ret_time, process, _NAMES[kind], f, answer, key, node, error)
    return Operation(invocation, completion)


class _Interned:
    """
    Values by id in order of first use; None is 0.

    They are interned by type and value, as `freeze` distinguishes them, so that two values are
    equal exactly when their ids are. Source: `native/columns/columns.h`.
    """

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
