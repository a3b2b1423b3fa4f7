"""
Linearizability of columns: no object is made of an operation that nobody looks at.

Registers and texts are judged in C, all keys in one call; the operations of keys that are
explained, or validated as a sample, are made again. So are those of other objects, key by key, so
that the operations of one key are there at a time; but for large containers that are valid
(`monitors/in_columns`). Memory: 4 bytes an operation, where there are many keys, and some 1,500 for
each that is made again.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from dissever.checkers import fast
from dissever.checkers.judgement import Judgement, result
from dissever.checkers.linearizable import Linearizable
from dissever.checkers.models import Model
from dissever.checkers.monitors import MONITORS, in_columns
from dissever.harness.columns import operation_of
from dissever.harness.history import Key, Operation
from dissever.harness.results import Budget, Result, Verdict
from dissever.native.columns import Columns
from dissever.native.load import Details

STRAIGHT_OPERATIONS_MIN: Final = 1000
"""Smaller ones are made again, and what is found of them validated in Python."""


def judge_columns(
    columns: Columns,
    model: Model,
    budget: Budget,
    threads: int | None = None,
    details: Callable[[], Details] | None = None,
    name: str = "linearizable",
) -> Result:
    """
    The result of a checker of `model`; events keep the indices that they have in the columns.

    Args:
        threads: At most, where C judges; None means one a core. The result does not depend on it.
        details: Nodes, errors and what else columns do not say, asked for if something is told.

    Raises:
        ValueError: When the columns contradict each other.
    """
    checker = Linearizable(model, name)
    rebuilt = _Rebuilt(columns, details)
    lengths = sorted(Counter(columns.key).items())

    def explain(key: Key | None, operations: Sequence[Operation], budget: Budget) -> Judgement:
        assert isinstance(operations, _OfKey)
        return checker.judge_key(key, operations.in_detail(), budget)

    if model.family in fast.JUDGED:
        parts = {key: _OfKey(rebuilt, key, length) for key, length in lengths}
        judged = fast.judge_keys_of(
            columns, parts, rebuilt.operation, model, budget, explain, threads
        )
    else:
        judged = _judge_each(checker, rebuilt, lengths, budget)
    return result(name, judged)


def _judge_each(
    checker: Linearizable,
    rebuilt: _Rebuilt,
    lengths: Sequence[tuple[int, int]],
    budget: Budget,
) -> list[Judgement]:
    """What needs no objects first, then the others key by key."""
    model, columns = checker.model, rebuilt.columns
    straight: dict[Key | None, Judgement] = {}
    for k, length in lengths:
        rows = rebuilt.positions[k]
        if length < STRAIGHT_OPERATIONS_MIN or not in_columns.has_order(columns, rows, model):
            continue
        monitor, why = MONITORS[model.family], "an order explains every answer"
        straight[columns.keys[k]] = Judgement(
            columns.keys[k],
            Verdict.VALID,
            why,
            length,
            engine=monitor.name,
            because=monitor.because,
        )
    others = {columns.keys[k]: k for k, _ in lengths if columns.keys[k] not in straight}
    judged = {each.key: each for each in checker.judge_keys(_ByKey(rebuilt, others), budget)}
    judged |= straight
    return [judged[columns.keys[k]] for k, _ in lengths]


@dataclass(frozen=True)
class _Rebuilt:
    """Operations made again from columns."""

    columns: Columns
    details: Callable[[], Details] | None

    @cached_property
    def positions(self) -> Mapping[int, Sequence[int]]:
        """Where the operations of each key stand; made once, for keys that are shown or sampled."""
        if len(self.columns.keys) == 1:
            return {0: range(len(self.columns))}
        found: dict[int, array[int]] = {}
        for i, key in enumerate(self.columns.key):
            if key not in found:
                found[key] = array("i")
            found[key].append(i)
        return found

    @cached_property
    def known_details(self) -> Details | None:
        return None if self.details is None else self.details()

    def operation(self, i: int) -> Operation:
        """The operation with its events; an info has no completion, which says the same."""
        return operation_of(self.columns, None, i)

    def in_detail(self, key: int) -> list[Operation]:
        """The operations of a key with all that is known of them."""
        return [operation_of(self.columns, self.known_details, i) for i in self.positions[key]]


class _OfKey(Sequence[Operation]):
    """The operations of one key, each made when somebody asks for it."""

    def __init__(self, rebuilt: _Rebuilt, key: int, length: int) -> None:
        self._rebuilt = rebuilt
        self._key = key
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: Any) -> Any:
        positions = self._rebuilt.positions[self._key]
        if isinstance(place, slice):
            return [self._rebuilt.operation(i) for i in positions[place]]
        return self._rebuilt.operation(positions[place])

    def in_detail(self) -> list[Operation]:
        return self._rebuilt.in_detail(self._key)


class _ByKey(Mapping[Key | None, Sequence[Operation]]):
    """The operations of each key, made again whenever they are asked for."""

    def __init__(self, rebuilt: _Rebuilt, ids: Mapping[Key | None, int]) -> None:
        self._rebuilt = rebuilt
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Key | None]:
        return iter(self._ids)

    def __getitem__(self, key: Key | None) -> Sequence[Operation]:
        return self._rebuilt.in_detail(self._ids[key])
