"""The transactions over rows of a history. `workloads/rows.py` says what their values are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dissever.harness.history import History, MalformedHistory, Operation, Type
from dissever.harness.values import quoted

__all__ = ["Micro", "Transaction", "Where", "matches", "read"]

Where = tuple[int, int]
"""Modulus and remainder: `value % modulus = remainder`."""

_CHANGES: Final = ("insert", "update")


@dataclass(frozen=True, slots=True)
class Micro:
    """
    One micro-operation.

    `row` is None for a select, and `where` for all others. `value` is what an insert or an update
    writes. `answer` is None where there is none; `is_known` says whether it counts.
    """

    f: str
    key: int
    row: int | None
    value: int | None
    where: Where | None
    answer: Any
    place: int

    @property
    def trail(self) -> tuple[int, ...] | None:
        """What a get, an update or a delete found; None: no row, or something else was asked."""
        return tuple(self.answer) if isinstance(self.answer, list) else None

    @property
    def found(self) -> list[tuple[int, tuple[int, ...]]]:
        """Row and trail of all that a select found."""
        return [(row, tuple(trail)) for row, trail in self.answer or ()]

    @property
    def is_applied(self) -> bool:
        """Whether a write of an ok transaction changed something."""
        return self.answer is True if self.f == "insert" else self.answer is not None


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    One transaction. `number` is its position in the history, `index` that of its invocation.

    `event` is the event that its micro-operations are of: the completion if it is ok. Times are in
    ns; `end` is None if it never ended, or is info.
    """

    number: int
    index: int
    event: int
    process: int | str
    type: Type
    begin: int
    end: int | None
    micros: tuple[Micro, ...]

    @property
    def is_ok(self) -> bool:
        """Whether its answers count."""
        return self.type is Type.OK

    def writes(self) -> list[Micro]:
        """What it changed, or what it may have changed unless it is ok."""
        kinds = ("insert", "update", "delete")
        return [m for m in self.micros if m.f in kinds and (m.is_applied or not self.is_ok)]

    def seen(self) -> Iterator[tuple[int, int]]:
        """Row and value of all in the trails that it found."""
        for micro in self.micros:
            trails = micro.found if micro.f == "select" else [(micro.row, micro.trail or ())]
            for row, trail in trails:
                yield from ((row or 0, value) for value in trail)

    def may_see(self, other: Transaction) -> bool:
        """Whether it had not ended yet when the other one began."""
        return self.end is None or other.begin <= self.end


def matches(value: int, where: Where) -> bool:
    """Whether a select finds a row with this value."""
    return value % where[0] == where[1]


def read(history: History) -> list[Transaction]:
    """
    All transactions, by invocation.

    Raises:
        MalformedHistory: When a value is none of a transaction over rows.
    """
    return [_transaction(number, each) for number, each in enumerate(history.operations)]


def _transaction(number: int, operation: Operation) -> Transaction:
    invocation, completion = operation.invocation, operation.completion
    is_ok = operation.type is Type.OK
    event = completion if is_ok and completion is not None else invocation
    if not isinstance(event.value, list):
        raise _malformed("a list of micro-operations", event.value, event.index)
    micros = (_micro(each, place, event.index, is_ok) for place, each in enumerate(event.value))
    has_end = completion is not None and operation.type is not Type.INFO
    return Transaction(
        number=number,
        index=invocation.index,
        event=event.index,
        process=invocation.process,
        type=operation.type,
        begin=invocation.time,
        end=completion.time if has_end and completion is not None else None,
        micros=tuple(micros),
    )


def _micro(value: Any, place: int, index: int, is_ok: bool) -> Micro:
    if not isinstance(value, list) or len(value) != 4 or not isinstance(value[1], int):
        raise _malformed("[f, key, what, answer]", value, index)
    f, key, what, answer = value
    if f in ("insert", "update", "select"):
        if not _are_numbers(what) or len(what) != 2:
            raise _malformed(f"two numbers to {f}", value, index)
        if f == "select" and what[0] < 1:
            raise _malformed("a modulus of at least 1", value, index)
    elif f not in ("get", "delete") or not isinstance(what, int):
        raise _malformed("insert, update, delete, get or select, and what of it", value, index)
    if is_ok and not _is_answer(f, answer):
        raise _malformed(f"an answer to {f}", value, index)
    row = None if f == "select" else what[0] if f in _CHANGES else what
    return Micro(
        f=f,
        key=key,
        row=row,
        value=what[1] if f in _CHANGES else None,
        where=(what[0], what[1]) if f == "select" else None,
        answer=answer if is_ok else None,
        place=place,
    )


def _is_answer(f: str, answer: Any) -> bool:
    if f == "insert":
        return isinstance(answer, bool)
    if f != "select":
        return answer is None or (_are_numbers(answer) and len(answer) > 0)
    return isinstance(answer, list) and all(
        isinstance(each, list)
        and len(each) == 2
        and isinstance(each[0], int)
        and _are_numbers(each[1])
        and len(each[1]) > 0
        for each in answer
    )


def _are_numbers(value: Any) -> bool:
    is_row = isinstance(value, Sequence) and not isinstance(value, str)
    return is_row and all(type(each) is int for each in value)


def _malformed(expected: str, got: Any, index: int) -> MalformedHistory:
    return MalformedHistory(f"expected {expected}, got {quoted(got)}", index)
