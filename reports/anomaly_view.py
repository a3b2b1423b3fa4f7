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

from dissever.harness.episodes import Episodes, is_shown
from dissever.harness.history import History, Operation
from dissever.harness.latency import Successes, ok_spans
from dissever.harness.results import Anomaly, Order, Result, Results
from dissever.harness.values import shorten
from dissever.reports.around import around_operations
from dissever.reports.crash_card import CrashCard, crash_card, end_of_anomaly
from dissever.reports.cycle import CycleView, Download, cycle_view, download, transaction_labels
from dissever.reports.details import UnaskedEnd, unasked_ends
from dissever.reports.excerpt import Excerpt, excerpt
from dissever.reports.headlines import Found
from dissever.reports.labels import short_label
from dissever.reports.meaning import meaning_of_name
from dissever.reports.set_reads import set_read_labels
from dissever.reports.stuck_card import StuckCard, stuck_card
from dissever.reports.told import said, told
from dissever.reports.versions_view import VersionsView, versions_view

SHOWN_MAX = 14
"""How many operations of an order are listed: its last ones."""

STATE_CHARACTERS_MAX = 32

TRANSACTIONS = "transactions"
"""The checker whose sentences give transactions names."""


@dataclass(frozen=True, slots=True)
class StepView:
    """
    One sentence of an explanation and its operations, by invocation.

    `chips` are those of them that no step before it names.
    """

    text: str
    operations: tuple[Operation, ...]
    chips: tuple[Operation, ...]


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
    are drawn in the window. `cycle` is drawn instead of the steps, which say the same. `versions`
    are lists that differ, side by side; `others` are operations that show the same; `download`
    is the smallest history that has the anomaly. `crash` and `stuck` are cards that take the place
    of the steps; `said` is what the checker of logs found in the last words of a crash. `number`
    counts all anomalies from 1. `is_open`: it is the first of its signature. `key_filter` is the
    key as the filter of the timeline names it, empty without one.
    """

    number: int
    is_open: bool
    checker: str
    anomaly: Anomaly
    meaning: str
    meanwhile: tuple[str, ...]
    steps: tuple[StepView, ...]
    window: Excerpt | None
    orders: tuple[OrderView, ...]
    cycle: CycleView | None
    versions: VersionsView | None
    others: tuple[Operation, ...]
    download: Download | None
    crash: CrashCard | None
    stuck: StuckCard | None
    said: tuple[str, ...]
    key_filter: str


def found_by(results: Results) -> list[tuple[str, Anomaly]]:
    """All anomalies, causes before consequences, each with who found it."""
    return [(result.checker, anomaly) for result, anomaly in told(results)]


def explained(results: Results, count_max: int) -> tuple[int, ...]:
    """
    The numbers of the anomalies that a page explains, in order, counted from 1.

    The first of each signature is one of them as long as there is room.
    """
    signatures = [_signature(result, anomaly) for result, anomaly in told(results)]
    firsts = {signature: number for number, signature in reversed([*enumerate(signatures, 1)])}
    others = set(range(1, len(signatures) + 1)) - set(firsts.values())
    return tuple(sorted([*sorted(firsts.values()), *sorted(others)][:count_max]))


def _signature(result: Result, anomaly: Anomaly) -> str:
    return anomaly.signature or f"{result.checker}/{anomaly.name}"


def findings(
    results: Results, history: History, found: Episodes, *, nodes: Sequence[str] = ()
) -> list[Found]:
    """
    Every anomaly with its card, in the same order.

    Args:
        history: The whole one: a card says when the next operation was ok.
        nodes: All of the run, as far as anybody knows them.
    """
    ends = unasked_ends(results)
    successes = _successes(history, ends)
    recovery = {index: each for each in found.recovery for index in each.indices}
    made: list[Found] = []
    for number, (result, anomaly) in enumerate(told(results), 1):
        end = end_of_anomaly(anomaly, ends)
        asked = next((recovery[index] for index in anomaly.indices if index in recovery), None)
        made.append(
            Found(
                number,
                result,
                anomaly,
                None if end is None else crash_card(end, found, successes),
                None if asked is None else stuck_card(asked, found, ends, nodes),
                () if end is None else tuple(each.summary for each in said(results, anomaly)),
            )
        )
    return made


def excused_ends(results: Results, history: History, found: Episodes) -> tuple[CrashCard, ...]:
    """The ends that nobody asked for and that a fault explains."""
    ends = [end for end in unasked_ends(results) if end.why]
    successes = _successes(history, ends)
    cards = [crash_card(end, found, successes) for end in ends]
    return tuple(card for card in cards if card is not None)


def excused_waits(
    results: Results, found: Episodes, *, nodes: Sequence[str] = ()
) -> tuple[StuckCard, ...]:
    """The recoveries that missed something, where no anomaly says so: it may be excused."""
    ends = unasked_ends(results)
    accused = {index for _, anomaly in told(results) for index in anomaly.indices}
    return tuple(
        stuck_card(asked, found, ends, nodes)
        for asked in found.recovery
        if is_shown(asked) is False and accused.isdisjoint(asked.indices)
    )


def _successes(history: History, ends: Sequence[UnaskedEnd]) -> Successes:
    """The ok operations, which only cards of ends need; they cost a second for a million."""
    return Successes(ok_spans(history.times) if ends else ())


def anomaly_views(
    some: Sequence[Found], history: History, found: Episodes
) -> tuple[AnomalyView, ...]:
    """Some of `findings`, with everything that their parts of a report show."""
    by_index = operations_by_index(history)
    views: list[AnomalyView] = []
    signatures: set[str] = set()
    for each in some:
        result, anomaly = each.result, each.anomaly
        signature = _signature(result, anomaly)
        is_open = signature not in signatures
        signatures.add(signature)
        context = [
            operation
            for operation in _of((*anomaly.context, *anomaly.indices), by_index)
            if operation.invocation.is_client
        ]
        is_named = anomaly.cycle or result.checker == TRANSACTIONS
        labels = transaction_labels(anomaly, by_index) if is_named else {}
        of_reads = set_read_labels(result.checker, anomaly, context, by_index)
        window = excerpt(
            anomaly,
            context,
            found.strikes,
            end_ns=history.duration_ns,
            names=labels | of_reads,
            are_told=bool(anomaly.cycle or of_reads),
        )
        views.append(
            AnomalyView(
                each.number,
                is_open,
                result.checker,
                anomaly,
                meaning_of_name(anomaly.name),
                meanwhile(anomaly, by_index, found),
                step_views(anomaly, by_index),
                window,
                order_views(anomaly, window, by_index) if window else (),
                cycle_view(anomaly, by_index),
                versions_view(anomaly, by_index, labels),
                others_of(anomaly, by_index),
                download(result, anomaly, history),
                each.end,
                each.stuck,
                each.said,
                "" if anomaly.key is None else str(anomaly.key),
            )
        )
    return tuple(views)


def step_views(anomaly: Anomaly, by_index: Mapping[int, Operation]) -> tuple[StepView, ...]:
    """The steps of an explanation, each with the operations that it names."""
    named: set[int] = set()
    steps: list[StepView] = []
    for step in anomaly.steps:
        operations = _of(step.indices, by_index)
        chips = tuple(each for each in operations if each.invocation.index not in named)
        named |= {each.invocation.index for each in chips}
        steps.append(StepView(step.text, operations, chips))
    return tuple(steps)


def others_of(anomaly: Anomaly, by_index: Mapping[int, Operation]) -> tuple[Operation, ...]:
    """The operations that gave the same wrong answer and are no part of the argument."""
    named = set(anomaly.indices)
    return _of([wrong.answer for wrong in anomaly.wrong if wrong.answer not in named], by_index)


def main_order(anomaly: Anomaly) -> Order | None:
    """
    The longest order that the latest guilty operation ends: what a reader asks about.

    Of those, one that holds what contradicts that operation comes first.
    """
    against = {wrong.against for wrong in anomaly.wrong} - {None}
    ended = [
        order
        for order in anomaly.orders
        if order.blocked in anomaly.indices and order.blocked in order.refused
    ]
    latest = max((order.blocked or 0 for order in ended), default=0)
    of_latest = [order for order in ended if order.blocked == latest]
    telling = [order for order in of_latest if not against.isdisjoint(order.indices)]
    return next(iter([*telling, *of_latest, *anomaly.orders]), None)


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

    Of many, those that were in force while no guilty operation went on are only counted.
    """
    spans = [
        (operation.invocation.time, (operation.completion or operation.invocation).time)
        for operation in _of(anomaly.indices, by_index)
    ]
    return around_operations(found, spans)


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
