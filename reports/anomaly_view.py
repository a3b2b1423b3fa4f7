"""
An anomaly with everything that its part of a report shows.

How far an order gets is drawn as points in time on the bars of the window. A point lies inside its
bar, or behind it where nobody knows when the operation ended. Points never go back: each stands in
the middle between the earliest and the latest place that its order allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from dissever.harness.episodes import Episode, Episodes
from dissever.harness.history import History, Operation
from dissever.harness.results import Anomaly, Order, Result, Results
from dissever.harness.values import shorten
from dissever.reports.cycle import CycleView, Download, cycle_labels, cycle_view, download
from dissever.reports.excerpt import Excerpt, excerpt
from dissever.reports.labels import short_label, time_text
from dissever.reports.prose import ANOMALIES, ORDERS

SHOWN_MAX = 14
"""How many operations of an order are listed: its last ones."""

STATE_CHARACTERS_MAX = 32

JUST_BEFORE_NS = 5_000_000_000
"""A fault that healed so long before the first guilty operation may still be its cause."""


@dataclass(frozen=True, slots=True)
class StepView:
    """One sentence of an explanation and its operations, by invocation."""

    text: str
    operations: tuple[Operation, ...]


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


@dataclass(frozen=True, slots=True)
class AnomalyView:
    """
    One anomaly; `window` is None when it names no operation of a client.

    `meaning` explains its name, if it is a known one; `meanwhile` are the faults in force. `orders`
    are drawn in the window. `cycle` is drawn instead of the steps, which say the same; `download`
    is the smallest history that has the anomaly.
    """

    checker: str
    anomaly: Anomaly
    meaning: str
    meanwhile: tuple[str, ...]
    steps: tuple[StepView, ...]
    window: Excerpt | None
    orders: tuple[OrderView, ...]
    cycle: CycleView | None
    download: Download | None


def found_by(results: Results) -> list[tuple[str, Anomaly]]:
    """All anomalies in the order of the checkers, each with who found it."""
    return [(result.checker, anomaly) for result, anomaly in _found(results)]


def _found(results: Results) -> list[tuple[Result, Anomaly]]:
    return [(result, anomaly) for result in results.results for anomaly in result.anomalies]


def anomaly_views(
    results: Results, history: History, found: Episodes, *, count_max: int
) -> tuple[AnomalyView, ...]:
    """The first count_max anomalies."""
    by_index = operations_by_index(history)
    views: list[AnomalyView] = []
    for result, anomaly in _found(results)[:count_max]:
        context = [
            operation
            for operation in _of((*anomaly.context, *anomaly.indices), by_index)
            if operation.invocation.is_client
        ]
        window = excerpt(
            anomaly,
            context,
            found.episodes,
            end_ns=history.duration_ns,
            names=cycle_labels(anomaly),
        )
        views.append(
            AnomalyView(
                result.checker,
                anomaly,
                meaning(anomaly.name),
                meanwhile(anomaly, by_index, found),
                tuple(StepView(step.text, _of(step.indices, by_index)) for step in anomaly.steps),
                window,
                order_views(anomaly, window, by_index) if window else (),
                cycle_view(anomaly, by_index),
                download(result, anomaly, history),
            )
        )
    return tuple(views)


def meaning(name: str) -> str:
    """What the name of an anomaly means; nothing if it is unknown."""
    plain, _, order = name.rpartition("-")
    if order not in ORDERS:
        return ANOMALIES.get(name, "")
    return f"{ANOMALIES.get(plain, '')} {ORDERS[order]}".strip()


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


def operations_by_index(history: History) -> dict[int, Operation]:
    """Event index -> its operation, of clients and nemeses."""
    return {
        index: operation
        for operation in (*history.operations, *history.faults)
        for index in operation.indices
    }


def meanwhile(
    anomaly: Anomaly, by_index: Mapping[int, Operation], found: Episodes
) -> tuple[str, ...]:
    """
    A phrase for each fault in force from the first guilty event to the last, after one for the
    fault that healed just before: a system may take seconds to get over it.
    """
    guilty = _of(anomaly.indices, by_index)
    if not guilty:
        return ()
    start_ns = min(operation.invocation.time for operation in guilty)
    end_ns = max((operation.completion or operation.invocation).time for operation in guilty)
    phrases = [_phrase(each) for each in found.episodes if each.overlaps(start_ns, end_ns)]
    before = [each for each in found.episodes if 0 < start_ns - each.end_ns < JUST_BEFORE_NS]
    if before:
        last = max(before, key=lambda each: each.end_ns)
        phrases.insert(0, f"{_phrase(last)}, healed before it")
    return tuple(phrases)


def _phrase(episode: Episode) -> str:
    where = f" ({', '.join(episode.targets)})" if episode.targets else ""
    span = f"from {time_text(episode.start_ns)} to {time_text(episode.end_ns)}"
    return f"{episode.fault}{where} {span}"


def named_indices(results: Results) -> frozenset[int]:
    """The indices of all events that some anomaly speaks of."""
    return frozenset(
        index
        for _, anomaly in found_by(results)
        for indices in (
            *(anomaly.indices, anomaly.context),
            *(step.indices for step in anomaly.steps),
            *(order.indices for order in anomaly.orders),
            *((edge.source,) for edge in anomaly.cycle),
            anomaly.smallest,
        )
        for index in indices
    )


def _of(indices: Sequence[int], by_index: Mapping[int, Operation]) -> tuple[Operation, ...]:
    """The operations of some events, each once, by invocation."""
    found = {
        by_index[index].invocation.index: by_index[index] for index in indices if index in by_index
    }
    return tuple(found[index] for index in sorted(found))


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
