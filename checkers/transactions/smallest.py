"""
From a history with an anomaly to the smallest one found that still has it.

Transactions are left out first, then keys, then single micro-operations, in halves and then alone,
as in delta debugging (Zeller and Hildebrandt 2002). The element of an append that is left out is
left out of the lists that were read, too: a read of a long list would need all of its writers
otherwise. What is left is judged each time by the engine itself: the anomaly must still be there,
and no other may have come with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias

from dissever.harness.history import History, Operation
from dissever.harness.results import appended, cut
from dissever.harness.values import freeze

JUDGED_MAX: Final = 20_000
"""Micro-operations of all histories together that are judged to make one anomaly small."""

OTHERS_MAX: Final = 1_000
"""Transactions that the anomaly is not about, and that are taken along at first."""

Micro: TypeAlias = tuple[int, int]
"""The index of an invocation, and a position in its value."""


@dataclass(frozen=True, slots=True)
class Smallest:
    """As `Anomaly.smallest` and `Anomaly.smallest_without`; nothing where none was found."""

    indices: tuple[int, ...] = ()
    without: tuple[Micro, ...] = ()


@dataclass(slots=True)
class _Search:
    """`micro` are all micro-operations that there are, each with its value."""

    operations: dict[int, Operation]
    still: Callable[[History], bool]
    micro: dict[Micro, list[Any]] = field(init=False)
    spent: int = 0
    judged: dict[frozenset[Micro], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.micro = {
            (index, at): each
            for index, operation in self.operations.items()
            for at, each in enumerate(operation.value or ())
        }

    def holds(self, kept: frozenset[Micro]) -> bool:
        """Whether a history of these micro-operations still has the anomaly."""
        if kept not in self.judged:
            self.spent += len(kept)
            if self.spent > JUDGED_MAX:
                return False
            self.judged[kept] = self.still(self._history(kept))
        return self.judged[kept]

    def _history(self, kept: frozenset[Micro]) -> History:
        """Transactions of which nothing is kept are left out."""
        left_out = self.micro.keys() - kept
        elements = appended(self.micro[each] for each in left_out)
        events = (
            event
            for index in {index for index, _ in kept}
            for event in cut(self.operations[index], left_out, elements)
        )
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

    def key_of(self, each: Micro) -> Hashable:
        """The key of a micro-operation, frozen."""
        return freeze(self.micro[each][1])


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
    known = {each.invocation.index: each for each in (*first, *islice(more, OTHERS_MAX))}
    search = _Search(known, still)
    core, wanted = {each.invocation.index for each in first}, {freeze(key) for key in keys}
    every = frozenset(search.micro)
    of_keys = frozenset(each for each in every if search.key_of(each) in wanted)
    for some in (of_keys, every):
        for kept in (frozenset(each for each in some if each[0] in core), some):
            if kept and search.holds(kept):
                return _result(search, _reduced(search, kept))
    return Smallest()


def _reduced(search: _Search, kept: frozenset[Micro]) -> frozenset[Micro]:
    before = None
    while kept != before:
        before = kept
        for unit_of in (_transaction, search.key_of, _single):
            kept = search.without(kept, _units(kept, unit_of))
    return kept


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
    read = {
        freeze([search.micro[each][1], element])
        for each in kept
        if isinstance(search.micro[each][2], list)
        for element in search.micro[each][2]
    }
    without = [
        each
        for each, value in search.micro.items()
        if each not in kept and (each[0] in indices or appended([value]) & read)
    ]
    return Smallest(indices, tuple(sorted(without)))
