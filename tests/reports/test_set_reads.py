"""Bars of reads of a set say which element is wrong, not how the list of all begins."""

from __future__ import annotations

import pytest

from dissever.checkers import GrowOnlySet
from dissever.harness.episodes import episodes_of
from dissever.harness.history import Event, History, Type
from dissever.harness.results import Budget, Result, merge
from dissever.reports.anomaly_view import AnomalyView, anomaly_views, findings

MS = 1_000_000
OTHERS = list(range(100, 200))


def _history(*told: tuple[int, Type, str, object]) -> History:
    return History(
        tuple(
            Event(index, index * MS, process, kind, f, value, node=f"n{process}")
            for index, (process, kind, f, value) in enumerate(told)
        )
    )


def _added(element: object, end: Type) -> list[tuple[int, Type, str, object]]:
    return [(0, Type.INVOKE, "add", element), (0, end, "add", element)]


def _read(*elements: object) -> list[tuple[int, Type, str, object]]:
    return [(1, Type.INVOKE, "read", None), (1, Type.OK, "read", [*OTHERS, *elements])]


ADDS_OF_OTHERS = [event for element in OTHERS for event in _added(element, Type.OK)]

CASES = {
    "lost": ([*_added(1, Type.OK), *_read()], ["read → 100 elements, without 1"]),
    "stale-read": (
        [*_added(1, Type.OK), *_read(), *_added(2, Type.OK), *_read(1, 2)],
        ["read → 100 elements, without 1"],
    ),
    "diverged": (
        [*_added(1, Type.INFO), *_read(1), *_read()],
        ["read → 101 elements, with 1", "read → 100 elements, without 1"],
    ),
    "phantom": (_read("<b>"), ['read → 101 elements, with "<b>"']),
    "aborted-read": ([*_added(1, Type.FAIL), *_read(1)], ["read → 101 elements, with 1"]),
    "future-read": ([*_read(1), *_added(1, Type.OK)], ["read → 101 elements, with 1"]),
    "duplicate-elements": (
        [*_added(1, Type.OK), *_read(1, 1)],
        ["read → 102 elements, with 1 more than once"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bar_of_a_read_says_which_element_is_wrong(name: str) -> None:
    events, expected = CASES[name]
    history = _history(*ADDS_OF_OTHERS, *events)

    view = next(view for view in _views(history) if view.anomaly.name == name)

    assert _bars_of_reads(view) == expected


def test_read_lacks_only_what_was_there_before_it() -> None:
    history = _history(
        *ADDS_OF_OTHERS,
        *(*_added(1, Type.OK), *_read(), *_added(2, Type.OK), *_read(1)),
        *(*_added(3, Type.OK), *_read(1, 2, 3)),
    )
    (stale,) = _views(history)

    assert _bars_of_reads(stale) == [
        "read → 100 elements, without 1",
        "read → 101 elements, without 2",
    ]


def test_many_elements_that_are_missing_are_counted() -> None:
    lost = [event for element in range(5) for event in _added(element, Type.OK)]
    (view,) = _views(_history(*ADDS_OF_OTHERS, *lost, *_read()))

    assert _bars_of_reads(view) == ["read → 100 elements, without 0, 1, 2 and 2 more"]


def test_anomaly_of_the_order_of_reads_keeps_the_label_of_a_read() -> None:
    """Which reads have no order is found without counting elements, so none is named."""
    history = _history(
        (0, Type.INVOKE, "add", 1), (2, Type.INVOKE, "add", 2),
        (1, Type.INVOKE, "read", None), (3, Type.INVOKE, "read", None),
        (1, Type.OK, "read", [1]), (3, Type.OK, "read", [2]),
        (0, Type.OK, "add", 1), (2, Type.OK, "add", 2),
        (1, Type.INVOKE, "read", None), (1, Type.OK, "read", [1, 2]),
    )  # fmt: skip
    views = _views(history)

    assert views
    assert all("elements" not in text for view in views for text in _bars_of_reads(view))


def _views(history: History) -> tuple[AnomalyView, ...]:
    result: Result = GrowOnlySet()(history, Budget())
    faults = episodes_of(history)
    found = findings(merge([result]), history, faults)
    return anomaly_views(found, history, faults)


def _bars_of_reads(view: AnomalyView) -> list[str]:
    assert view.window is not None
    bars = [bar for lane in view.window.lanes for bar in lane.bars]
    return [bar.label for bar in sorted(bars, key=lambda bar: bar.index) if "read" in bar.label]
