"""
Transactions as they were recorded, and what their micro-operations say by themselves.

It reads the values of events and nothing else, so that the validator shares nothing with the
engine. A read of a transaction that had appended to the list before shows what was there before:
its own elements are the end of the list, and are taken off. Only reads of ok transactions count.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dissever.harness.history import MICRO_OPERATIONS, History, Operation, Process, Type
from dissever.harness.values import freeze

Elements: TypeAlias = tuple[Hashable, ...]
Written: TypeAlias = tuple[Hashable, Hashable]
"""A key, and a value that was written to it."""


@dataclass(frozen=True, slots=True)
class Micro:
    """
    A micro-operation: a read has the value it returned, or None when nobody knows it.

    `position` is that in the value of the event, from 0.
    """

    position: int
    is_read: bool
    key: Hashable
    value: Hashable


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    `index` is that of its invocation, `done` that of its completion; None of one that is not ok.

    Times are in ns. `answered_ns` is None of one that is not ok.
    """

    index: int
    done: int | None
    process: Process
    type: Type
    asked_ns: int
    answered_ns: int | None
    micros: tuple[Micro, ...]

    @property
    def is_ok(self) -> bool:
        """Whether it was acknowledged, so that its reads count."""
        return self.type is Type.OK

    @property
    def may_count(self) -> bool:
        """Whether it can have taken effect: it is ok, or nobody knows."""
        return self.type is not Type.FAIL

    def is_before(self, other: Transaction) -> bool:
        """Whether it was acknowledged before the other began. Events of one time are concurrent."""
        return self.answered_ns is not None and self.answered_ns < other.asked_ns

    def precedes(self, other: Transaction) -> bool:
        """Whether its process did it before the other."""
        return self.is_ok and self.process == other.process and self.index < other.index

    def writes(self) -> Iterator[Written]:
        """What it wrote, in order."""
        return ((micro.key, micro.value) for micro in self.micros if not micro.is_read)


def transactions(
    history: History, *, rules: str, keys: Collection[Any] | None = None
) -> dict[int, Transaction]:
    """
    The transactions by the index of their invocation.

    Args:
        rules: `append`, where a list that was read as None is empty, or `wr`.
        keys: Of other keys the micro-operations are left out; None means all.
    """
    wanted = None if keys is None else {freeze(key) for key in keys}
    read = (_transaction(each, rules, wanted) for each in history.operations)
    return {each.index: each for each in read}


def external_lists(transaction: Transaction) -> Iterator[tuple[Hashable, Elements]]:
    """
    Each list that an ok transaction read, without what it had appended itself.

    A list that does not end with what the transaction had appended is taken as it is.
    """
    own: dict[Hashable, Elements] = {}
    for micro in transaction.micros if transaction.is_ok else ():
        mine = own.get(micro.key, ())
        if not micro.is_read:
            own[micro.key] = (*mine, micro.value)
        elif isinstance(micro.value, tuple):
            is_own = bool(mine) and micro.value[-len(mine) :] == mine
            yield micro.key, micro.value[: -len(mine)] if is_own else micro.value


def external_values(transaction: Transaction) -> Iterator[Written]:
    """Each value that an ok transaction read, and had not written itself just before."""
    own: dict[Hashable, Hashable] = {}
    for micro in transaction.micros if transaction.is_ok else ():
        if not micro.is_read:
            own[micro.key] = micro.value
        elif micro.key not in own or own[micro.key] != micro.value:
            yield micro.key, micro.value


def first_times(elements: Sequence[Hashable]) -> Elements:
    """The elements without those that stood before."""
    return tuple(dict.fromkeys(elements))


def _transaction(operation: Operation, rules: str, keys: set[Hashable] | None) -> Transaction:
    done = operation.completion
    is_ok = done is not None and done.type is Type.OK
    micros = (_micro(at, each, rules) for at, each in enumerate(operation.value))
    return Transaction(
        index=operation.invocation.index,
        done=done.index if done is not None and is_ok else None,
        process=operation.process,
        type=operation.type,
        asked_ns=operation.invocation.time,
        answered_ns=done.time if done is not None and is_ok else None,
        micros=tuple(each for each in micros if keys is None or each.key in keys),
    )


def _micro(position: int, recorded: Sequence[Any], rules: str) -> Micro:
    f, key, value = recorded
    is_read = MICRO_OPERATIONS[f] == "r"
    is_empty = is_read and value is None and rules == "append"
    return Micro(position, is_read, freeze(key), () if is_empty else freeze(value))
