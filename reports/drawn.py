"""
The operations of a run as the page draws them: flat columns, without an object for each.

The one decision that is not obvious: words are kept apart. What was asked and answered is a code:
`4 * number + kind`. Most values are small integers, and need no text at all; each other text
stands once in a table. An operation that ended unusually is made as an object, because its error
and the value of a crashed completion are in no column.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any, Final, TypeVar

from dissever.harness.history import NONE, Columns, Details, Event, History, Key, Operation, Type
from dissever.reports.labels import answered, asked, error_text

OUTCOMES: Final = (Type.OK, Type.FAIL, Type.INFO)
"""By the numbers that columns have for them."""

NS_PER_US: Final = 1000

NOTHING, NUMBER, TEXT, ARROW_NUMBER = range(4)
"""The kinds of codes: no words, an integer, a text of the table, `→` and an integer."""

DIGITS_MAX: Final = 9
"""A longer integer stands in the table of texts."""

ARROW: Final = "→ "

_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True)
class Tables:
    """What the columns refer to by position, each once."""

    f: tuple[str, ...]
    key: tuple[Key | None, ...]
    node: tuple[str, ...]
    error: tuple[str, ...]
    text: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """
    Operations by invocation; all columns have one length.

    `done` is the distance from the index of the invocation to that of the completion, 0 without
    one. Times are in µs; what has no completion lasts to the end of the run. `type` is a position
    in OUTCOMES. `weight` says how many operations each stands for.
    """

    index: Sequence[int]
    done: Sequence[int]
    start_us: Sequence[int]
    end_us: Sequence[int]
    process: Sequence[int]
    type: Sequence[int]
    f: Sequence[int]
    key: Sequence[int]
    node: Sequence[int]
    error: Sequence[int]
    asked: Sequence[int]
    answered: Sequence[int]
    tables: Tables
    weight: Sequence[int] = field(default=())

    def __len__(self) -> int:
        return len(self.index)

    def weighed(self, weights: Sequence[int]) -> Drawn:
        """Those of weight > 0, each with its weight; the tables hold what these use."""
        chosen: dict[str, Sequence[int]] = {
            name: array("q", compress(getattr(self, name), weights)) for name in COLUMNS
        }
        texts, errors = _Numbers(), _Numbers()
        for name in ("asked", "answered"):
            chosen[name] = array(
                "q",
                (
                    4 * texts[self.tables.text[code >> 2]] + TEXT if code & 3 == TEXT else code
                    for code in chosen[name]
                ),
            )
        chosen["error"] = array("q", (errors[self.tables.error[each]] for each in chosen["error"]))
        tables = replace(self.tables, text=tuple(texts), error=tuple(errors))
        weight = array("q", (weight for weight in weights if weight))
        return Drawn(**chosen, tables=tables, weight=weight)


COLUMNS: Final = tuple(
    name for name in Drawn.__dataclass_fields__ if name not in ("tables", "weight")
)


def drawn(history: History) -> Drawn:
    """
    All operations of the clients.

    Raises:
        MalformedHistory: When no run can have recorded the history.
    """
    if history.details is None:
        return _of_objects(history.operations, end_us=history.duration_ns // NS_PER_US)
    return _of_columns(history, history.columns, history.details)


class _Numbers(dict[Any, int]):
    """Numbers things in order of first use."""

    def __missing__(self, thing: Any) -> int:
        self[thing] = number = len(self)
        return number


class _Words:
    """Codes for what was asked and answered, and the table of their texts."""

    def __init__(self) -> None:
        self.texts = _Numbers()
        self.errors = _Numbers()
        self.errors[""]  # Most operations have none: 0 packs best.

    def of(self, operation: Operation) -> tuple[int, int]:
        """The codes of one operation."""
        return self._code(asked(operation)), self._code(answered(operation))

    def error(self, operation: Operation) -> int:
        """The number of its error."""
        completion = operation.completion
        return self.errors[error_text(completion.error if completion else None)]

    def _code(self, text: str) -> int:
        if not text:
            return NOTHING
        digits = text.removeprefix(ARROW)
        # Only digits as `str` writes them come back as the same text.
        is_plain = len(digits) <= DIGITS_MAX and digits.isascii() and digits.isdecimal()
        if is_plain and str(int(digits)) == digits:
            return 4 * int(digits) + (NUMBER if digits == text else ARROW_NUMBER)
        return 4 * self.texts[text] + TEXT


def _of_columns(history: History, columns: Columns, details: Details) -> Drawn:
    """Operations of a file; few objects are made."""
    end_us = history.duration_ns // NS_PER_US
    words = _Words()
    memo = _Memo(columns, words)
    codes = [
        memo[each]
        for each in zip(columns.type, columns.f, columns.value_in, columns.value_out, strict=True)
    ]
    asked_codes = array("q", [each for each, _ in codes])
    answered_codes = array("q", [each for _, each in codes])
    del codes
    ret = zip(columns.inv, columns.ret, strict=True)
    done = array("q", (0 if end == NONE else end - start for start, end in ret))
    error = array("q", bytes(8 * len(columns)))
    for position in {**details.completions, **details.invocations}:
        operation = history.operation(position)
        asked_codes[position], answered_codes[position] = words.of(operation)
        error[position] = words.error(operation)
        first, last = operation.indices[0], operation.indices[-1]
        done[position] = last - first
    ends = zip(done, columns.ret_time, strict=True)
    fs, f = _used(columns.f, columns.fs)
    keys, key = _used(columns.key, columns.keys)
    nodes, node = _used(details.node, tuple(name or "" for name in details.nodes))
    return Drawn(
        index=columns.inv,
        done=done,
        start_us=array("q", (time // NS_PER_US for time in columns.inv_time)),
        end_us=array("q", (time // NS_PER_US if has else end_us for has, time in ends)),
        process=columns.process,
        type=columns.type,
        f=f,
        key=key,
        node=node,
        error=error,
        asked=asked_codes,
        answered=answered_codes,
        tables=Tables(fs, keys, nodes, tuple(words.errors), tuple(words.texts)),
    )


class _Memo(dict[tuple[int, int, int, int], tuple[int, int]]):
    """Type, f and values of an operation without details -> the codes of its words."""

    def __init__(self, columns: Columns, words: _Words) -> None:
        super().__init__()
        self._columns, self._words = columns, words

    def __missing__(self, row: tuple[int, int, int, int]) -> tuple[int, int]:
        kind, f_id, value_in, value_out = row
        f, values = self._columns.fs[f_id], self._columns.values
        value = values[value_in]
        answer = value if value_out == NONE else values[value_out]
        invocation = Event(0, 0, 0, Type.INVOKE, f, value)
        completion = Event(1, 0, 0, OUTCOMES[kind], f, answer)
        self[row] = codes = self._words.of(Operation(invocation, completion))
        return codes


def _used(column: Sequence[int], names: Sequence[_Name]) -> tuple[tuple[_Name, ...], Sequence[int]]:
    """Names in order of first use, and the column with their places."""
    ids = dict.fromkeys(column)
    places = {each: place for place, each in enumerate(ids)}
    return tuple(names[each] for each in ids), array("q", map(places.__getitem__, column))


def _of_objects(operations: Iterable[Operation], *, end_us: int) -> Drawn:
    """Operations that were made of events."""
    words = _Words()
    numbers = {name: _Numbers() for name in ("f", "key", "node")}
    rows = [_row(operation, numbers, words, end_us) for operation in operations]
    columns = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    named = {name: tuple(of_name) for name, of_name in numbers.items()}
    tables = Tables(**named, error=tuple(words.errors), text=tuple(words.texts))
    arrays = {name: array("q", of) for name, of in zip(COLUMNS, columns, strict=True)}
    return Drawn(**arrays, tables=tables)


def _row(
    operation: Operation, numbers: dict[str, _Numbers], words: _Words, end_us: int
) -> tuple[int, ...]:
    """One operation, in the order of COLUMNS."""
    invocation, completion = operation.invocation, operation.completion
    process = invocation.process
    return (
        invocation.index,
        completion.index - invocation.index if completion else 0,
        invocation.time // NS_PER_US,
        completion.time // NS_PER_US if completion else end_us,
        process if isinstance(process, int) else 0,
        OUTCOMES.index(operation.type),
        numbers["f"][invocation.f],
        numbers["key"][invocation.key],
        numbers["node"][invocation.node or ""],
        words.error(operation),
        *words.of(operation),
    )
