"""An anomaly with everything that its part of a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dissever.harness.history import History, Operation
from dissever.harness.results import Anomaly, Results
from dissever.reports.bands import Faults
from dissever.reports.excerpt import Excerpt, excerpt
from dissever.reports.labels import label, shorten
from dissever.reports.meanwhile import meanwhile
from dissever.reports.orders import OrderView, order_views
from dissever.reports.prose import ANOMALIES

LINKS_MAX = 12
LINK_CHARACTERS_MAX = 40


@dataclass(frozen=True, slots=True)
class Link:
    """An operation to jump to."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class StepView:
    """One sentence and its operations; `more` were too many to link."""

    text: str
    links: tuple[Link, ...]
    more: int


@dataclass(frozen=True, slots=True)
class AnomalyView:
    """
    One anomaly; `window` is None when it names no operation of a client.

    `meaning` explains its name, if it is a known one; `meanwhile` are the faults in force. `orders`
    are drawn in the window.
    """

    checker: str
    anomaly: Anomaly
    meaning: str
    meanwhile: tuple[str, ...]
    steps: tuple[StepView, ...]
    window: Excerpt | None
    orders: tuple[OrderView, ...]


def anomaly_views(
    results: Results, history: History, faults: Faults, *, count_max: int
) -> tuple[AnomalyView, ...]:
    """The first count_max anomalies, in the order of the checkers."""
    by_index = {
        index: operation
        for operation in (*history.operations, *history.faults)
        for index in operation.indices
    }
    clients = {operation.invocation.index for operation in history.operations}
    named = [
        (result.checker, anomaly) for result in results.results for anomaly in result.anomalies
    ]
    views: list[AnomalyView] = []
    for checker, anomaly in named[:count_max]:
        steps = tuple(_step(step.text, _of(step.indices, by_index)) for step in anomaly.steps)
        context = [
            operation
            for operation in _of((*anomaly.context, *anomaly.indices), by_index)
            if operation.invocation.index in clients
        ]
        window = excerpt(anomaly, context, faults.bands, end_ns=history.duration_ns)
        meaning = ANOMALIES.get(anomaly.name, "")
        in_force = meanwhile(anomaly, by_index, faults)
        orders = order_views(anomaly, window, by_index) if window else ()
        views.append(AnomalyView(checker, anomaly, meaning, in_force, steps, window, orders))
    return tuple(views)


def named_indices(results: Results) -> frozenset[int]:
    """The indices of all events that some anomaly speaks of."""
    return frozenset(
        index
        for result in results.results
        for anomaly in result.anomalies
        for indices in (
            *(anomaly.indices, anomaly.context),
            *(step.indices for step in anomaly.steps),
            *(order.indices for order in anomaly.orders),
        )
        for index in indices
    )


def guilty_indices(results: Results) -> frozenset[int]:
    """The indices of the guilty events of all anomalies."""
    return frozenset(
        index
        for result in results.results
        for anomaly in result.anomalies
        for index in anomaly.indices
    )


def _of(indices: Sequence[int], by_index: Mapping[int, Operation]) -> list[Operation]:
    """The operations of some events, each once, by invocation."""
    found = {
        by_index[index].invocation.index: by_index[index] for index in indices if index in by_index
    }
    return [found[index] for index in sorted(found)]


def _step(text: str, operations: Sequence[Operation]) -> StepView:
    links = tuple(
        Link(operation.invocation.index, shorten(label(operation), LINK_CHARACTERS_MAX))
        for operation in operations[:LINKS_MAX]
    )
    return StepView(text, links, max(0, len(operations) - LINKS_MAX))
