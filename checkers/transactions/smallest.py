"""
From a history with an anomaly to the smallest one found that still has it.

Transactions are left out first, then keys, then single micro-operations, in halves and then alone,
as in delta debugging (Zeller and Hildebrandt 2002). What is left is judged each time by the engine
itself: the anomaly must still be there, and no other may have come with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias

from dissever.harness.history import Event, History, Operation
from dissever.harness.results import cut
from dissever.harness.values import freeze

JUDGED_MAX: Final = 200_000
"""Micro-operations of all histories together that are judged to make one anomaly small."""

TRANSACTIONS_MAX: Final = 2_000
"""Of the first history that is tried."""

Micro: TypeAlias = tuple[int, int]
"""The index of an invocation, and a position in its value."""


@dataclass(frozen=True, slots=True)
class Smallest:
    """As `Anomaly.smallest` and `Anomaly.smallest_without`; nothing where none was found."""

    indices: tuple[int, ...] = ()
    without: tuple[Micro, ...] = ()


@dataclass(slots=True)
class _Search:
    operations: dict[int, Operation]
    still: Callable[[History], bool]
    micro_operations: int = 0
    judged: dict[frozenset[Micro], bool] = field(default_factory=dict)

    def holds(self, kept: frozenset[Micro]) -> bool:
        """Whether a history of these micro-operations still has the anomaly."""
        if kept not in self.judged:
            self.micro_operations += len(kept)
            if self.micro_operations > JUDGED_MAX:
                return False
            self.judged[kept] = self.still(self.history(kept))
        return self.judged[kept]

    def history(self, kept: frozenset[Micro]) -> History:
        """Transactions of which nothing is kept are left out."""
        events: list[Event] = []
        for index in sorted({index for index, _ in kept}):
            operation = self.operations[index]
            every = range(len(operation.value or ()))
            left_out = {(index, at) for at in every if (index, at) not in kept}
            events.extend(cut(operation, left_out))
        return History(sorted(events, key=lambda event: event.index))

    def without(
        self, kept: frozenset[Micro], units: Sequence[frozenset[Micro]]
    ) -> frozenset[Micro]:
        """Leave out units of micro-operations as long as the anomaly is still there."""
        size = len(units)
        while size >= 1:
            for start in range(0, len(units), size):
                rest = kept.difference(*units[start : start + size])
                if rest and len(rest) < len(kept) and self.holds(rest):
                    kept = rest
            units = [unit for unit in units if unit & kept]
            size = min(size, len(units) + 1) // 2
        return kept


def smallest(
    first: Sequence[Operation],
    more: Iterable[Operation],
    still: Callable[[History], bool],
    *,
    keys: Collection[Any] = (),
) -> Smallest:
    """
    Args:
        first: The transactions that the anomaly is about.
        more: Others without which it may not be one, such as all that use the same keys.
        still: Whether a history has the anomaly, and no other anomalies than the whole one.
        keys: Those that it is about: without the others it is tried first.
    """
    frozen = {freeze(key) for key in keys}
    for operations in (first, [*first, *islice(more, TRANSACTIONS_MAX)]):
        known = {each.invocation.index: each for each in operations}
        search = _Search(known, still)
        every = frozenset(
            (index, at) for index, each in known.items() for at in range(len(each.value or ()))
        )
        of_keys = frozenset(each for each in every if _key_of(search)(each) in frozen)
        for kept in (of_keys, every):
            if kept and search.holds(kept):
                return _result(search, _reduced(search, kept))
    return Smallest()


def _reduced(search: _Search, kept: frozenset[Micro]) -> frozenset[Micro]:
    before = None
    while kept != before:
        before = kept
        for unit_of in (_transaction, _key_of(search), _single):
            kept = search.without(kept, _units(kept, unit_of))
    return kept


def _key_of(search: _Search) -> Callable[[Micro], Hashable]:
    """What tells the micro-operations of one key from those of others."""

    def key_of(micro: Micro) -> Hashable:
        index, at = micro
        return freeze(search.operations[index].value[at][1])

    return key_of


def _transaction(micro: Micro) -> Hashable:
    return micro[0]


def _single(micro: Micro) -> Hashable:
    return micro


def _units(kept: frozenset[Micro], unit_of: Callable[[Micro], Hashable]) -> list[frozenset[Micro]]:
    """The latest first: what came later is more often about something else."""
    found: dict[Hashable, set[Micro]] = {}
    for micro in sorted(kept, reverse=True):
        found.setdefault(unit_of(micro), set()).add(micro)
    return [frozenset(unit) for unit in found.values()]


def _result(search: _Search, kept: frozenset[Micro]) -> Smallest:
    indices = tuple(sorted({index for index, _ in kept}))
    without = tuple(
        (index, at)
        for index in indices
        for at in range(len(search.operations[index].value))
        if (index, at) not in kept
    )
    return Smallest(indices, without)
