"""
How far an order gets: partial linearizations as points in time on the bars of a window.

A point lies inside its bar, or behind it where nobody knows when the operation ended. Points never
go back: each stands in the middle between the earliest and the latest place that its order allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from dissever.harness.history import Operation
from dissever.harness.results import Anomaly, Order
from dissever.reports.excerpt import Excerpt
from dissever.reports.labels import short_label, shorten

SHOWN_MAX = 14
"""How many operations of an order are listed: its last ones."""

STATE_CHARACTERS_MAX = 32


@dataclass(frozen=True, slots=True)
class Place:
    """An operation in an order, with what the object then holds; `number` counts from 1."""

    index: int
    number: int
    text: str
    state: str


@dataclass(frozen=True, slots=True)
class OrderView:
    """
    One order: the last of its places, and its end.

    `points` are the index and the place, in percent of the plot, of each operation that is drawn.
    `blocked` could not follow although it had been answered; `refused` holds it, unless every
    operation that can come next was tried already. `is_main` marks the order to show first.
    """

    places: tuple[Place, ...]
    left_out: int
    points: tuple[tuple[int, int, float], ...]
    holds: str
    blocked: Place | None
    refused: tuple[int, ...]
    is_main: bool


def main_order(anomaly: Anomaly) -> Order | None:
    """The longest order that the latest guilty operation ends: what a reader asks about."""
    ended = [
        order
        for order in anomaly.orders
        if order.blocked in anomaly.indices and order.blocked in order.refused
    ]
    latest = max((order.blocked or 0 for order in ended), default=0)
    return next(
        (order for order in ended if order.blocked == latest), next(iter(anomaly.orders), None)
    )


def order_views(
    anomaly: Anomaly, window: Excerpt, by_index: Mapping[int, Operation]
) -> tuple[OrderView, ...]:
    """The orders of an anomaly, longest first."""
    main = main_order(anomaly)
    return tuple(_view(order, window, by_index, is_main=order is main) for order in anomaly.orders)


def _view(
    order: Order, window: Excerpt, by_index: Mapping[int, Operation], *, is_main: bool
) -> OrderView:
    first = order.left_out + 1
    places = [
        _place(index, number, state, by_index)
        for number, (index, state) in enumerate(
            zip(order.indices, order.states, strict=True), first
        )
    ]
    blocked = None
    if order.blocked is not None:
        blocked = _place(order.blocked, first + len(places), order.holds, by_index)
    return OrderView(
        places=tuple(places[-SHOWN_MAX:]),
        left_out=order.left_out + max(0, len(places) - SHOWN_MAX),
        points=_points(order, window),
        holds=shorten(order.holds, STATE_CHARACTERS_MAX),
        blocked=blocked,
        refused=order.refused,
        is_main=is_main,
    )


def _place(index: int, number: int, state: str, by_index: Mapping[int, Operation]) -> Place:
    operation = by_index.get(index)
    text = short_label(operation) if operation else f"operation #{index}"
    return Place(index, number, text, shorten(state, STATE_CHARACTERS_MAX))


def _points(order: Order, window: Excerpt) -> tuple[tuple[int, int, float], ...]:
    """Index, number and place of the operations that the window shows."""
    bars = {bar.index: bar for lane in window.lanes for bar in lane.bars}
    shown = [
        (number, bars[index])
        for number, index in enumerate(order.indices, order.left_out + 1)
        if index in bars
    ]
    earliest = list(accumulate((bar.left for _, bar in shown), max))
    ends = [
        max(bar.left + bar.width, early if bar.outcome == "info" else 0.0)
        for (_, bar), early in zip(shown, earliest, strict=True)
    ]
    latest = list(accumulate(reversed(ends), min))[::-1]
    return tuple(
        (bar.index, number, round((early + late) / 2, 3))
        for (number, bar), early, late in zip(shown, earliest, latest, strict=True)
    )
