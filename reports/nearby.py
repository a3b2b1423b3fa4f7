"""
The part of a long history that its anomalies speak of.

Words and windows are made of objects, and those of a million operations take seconds and a gigabyte
to make. An anomaly is explained by the operations of its key; so those of the keys that anomalies
name are enough.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from dissever.harness.history import History
from dissever.harness.results import Results
from dissever.reports.anomaly_view import named_indices

WHOLE_EVENTS_MAX: Final = 300_000
AROUND_MAX: Final = 2_000
"""Of each key, and each operation that is named: how many before it, and how many after."""


def nearby(history: History, results: Results) -> History:
    """
    The operations that anomalies name, and those around them of the same key; a history that is
    not long stays whole.
    """
    if len(history) <= WHOLE_EVENTS_MAX:
        return history
    key, named = history.columns.key, _positions(history, named_indices(results))
    of_key: dict[int, list[int]] = {key[position]: [] for position in named}
    for position, each in enumerate(key):
        if each in of_key:
            of_key[each].append(position)
    shown: set[int] = set()
    for position in named:
        together = of_key[key[position]]
        place = bisect_left(together, position)
        shown.update(together[max(0, place - AROUND_MAX) : place + AROUND_MAX + 1])
    return history.chosen(sorted(shown))


def _positions(history: History, indices: Iterable[int]) -> Sequence[int]:
    """The operations with an event of these indices."""
    columns, found = history.columns, set(indices)
    invoked, returned = (
        [position for position, index in enumerate(column) if index in found]
        for column in (columns.inv, columns.ret)
    )
    return sorted({*invoked, *returned})
