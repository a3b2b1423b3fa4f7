"""
Lists that differ, one below the other, around the place where they part.

A list may have thousands of elements, and two of them may differ in one. So a row shows a few
elements on both sides of that place, and the element there has a frame: no colour is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dissever.harness.history import MICRO_OPERATIONS, Operation, Type
from dissever.harness.results import Anomaly
from dissever.harness.values import shorten, show
from dissever.reports.labels import time_text

AROUND: Final = 4
"""Elements that are shown before the place, and as many behind it."""

ELEMENT_CHARACTERS_MAX: Final = 24
ROWS_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a list; `is_odd`: others have another one there, or it stands there again."""

    text: str
    is_odd: bool


@dataclass(frozen=True, slots=True)
class Version:
    """What one transaction read; `before` and `after` count elements that are not shown."""

    label: str
    operation: Operation
    when: str
    before: int
    elements: tuple[Element, ...]
    after: int


@dataclass(frozen=True, slots=True)
class VersionsView:
    """The lists of one key; `place` counts elements from 1, None where no place is meant."""

    key: str
    place: int | None
    rows: tuple[Version, ...]


def versions_view(
    anomaly: Anomaly, by_index: Mapping[int, Operation], labels: Mapping[int, str]
) -> VersionsView | None:
    """The lists that an anomaly is about; None of any other kind."""
    if anomaly.key is None or not labels:
        return None
    reads = list(_reads(anomaly, by_index))
    if anomaly.name == "incompatible-order":
        place = _parting([value for _, value in reads])
        if place is None:
            return None
        return VersionsView(
            shorten(show(anomaly.key), ELEMENT_CHARACTERS_MAX),
            place + 1,
            tuple(
                _row(each, value, {place}, labels) for each, value in reads if len(value) > place
            )[:ROWS_MAX],
        )
    if anomaly.name == "duplicate-elements":
        rows = [
            _row(each, value, odd, labels) for each, value in reads if (odd := _repeated(value))
        ]
        key = shorten(show(anomaly.key), ELEMENT_CHARACTERS_MAX)
        return VersionsView(key, None, tuple(rows[:ROWS_MAX])) if rows else None
    return None


def _reads(
    anomaly: Anomaly, by_index: Mapping[int, Operation]
) -> Iterator[tuple[Operation, list[Any]]]:
    """Each list of the key that a guilty transaction read, by the time of its question."""
    named = {by_index[index].invocation.index for index in anomaly.indices if index in by_index}
    for operation in (by_index[index] for index in sorted(named)):
        completion = operation.completion
        if completion is None or completion.type is not Type.OK:
            continue
        for part in completion.value if isinstance(completion.value, (list, tuple)) else ():
            f, key, value = part
            if MICRO_OPERATIONS.get(f) == "r" and key == anomaly.key and isinstance(value, list):
                yield operation, value


def _parting(values: Sequence[list[Any]]) -> int | None:
    """The first place where two lists have different elements."""
    for place, elements in enumerate(zip(*_two_that_part(values), strict=False)):
        if elements[0] != elements[1]:
            return place
    return None


def _two_that_part(values: Sequence[list[Any]]) -> tuple[list[Any], list[Any]]:
    for number, one in enumerate(values):
        for other in values[number + 1 :]:
            length = min(len(one), len(other))
            if one[:length] != other[:length]:
                return one, other
    return [], []


def _repeated(value: Sequence[Any]) -> set[int]:
    """The places of elements that stand in a list more than once."""
    seen: dict[str, list[int]] = {}
    for place, each in enumerate(value):
        seen.setdefault(repr(each), []).append(place)
    return {place for places in seen.values() if len(places) > 1 for place in places}


def _row(
    operation: Operation, value: Sequence[Any], odd: set[int], labels: Mapping[int, str]
) -> Version:
    start, end = max(0, min(odd) - AROUND), min(len(value), max(odd) + AROUND + 1)
    end = min(end, start + 4 * AROUND)
    elements = tuple(
        Element(shorten(show(value[place]), ELEMENT_CHARACTERS_MAX), place in odd)
        for place in range(start, end)
    )
    return Version(
        labels.get(operation.invocation.index, ""),
        operation,
        time_text(operation.invocation.time),
        start,
        elements,
        len(value) - end,
    )
