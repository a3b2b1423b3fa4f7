"""An anomaly with everything that its part of a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dissever.harness.episodes import Episodes
from dissever.harness.history import History, Operation
from dissever.harness.results import Anomaly, Results
from dissever.reports.excerpt import Excerpt, excerpt
from dissever.reports.labels import time_text
from dissever.reports.orders import OrderView, order_views
from dissever.reports.prose import ANOMALIES


@dataclass(frozen=True, slots=True)
class StepView:
    """One sentence of an explanation and its operations, by invocation."""

    text: str
    operations: tuple[Operation, ...]


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
    results: Results, history: History, found: Episodes, *, count_max: int
) -> tuple[AnomalyView, ...]:
    """The first count_max anomalies, in the order of the checkers."""
    by_index = operations_by_index(history)
    named = [
        (result.checker, anomaly) for result in results.results for anomaly in result.anomalies
    ]
    views: list[AnomalyView] = []
    for checker, anomaly in named[:count_max]:
        context = [
            operation
            for operation in _of((*anomaly.context, *anomaly.indices), by_index)
            if operation.invocation.is_client
        ]
        window = excerpt(anomaly, context, found.episodes, end_ns=history.duration_ns)
        views.append(
            AnomalyView(
                checker,
                anomaly,
                ANOMALIES.get(anomaly.name, ""),
                meanwhile(anomaly, by_index, found),
                tuple(StepView(step.text, _of(step.indices, by_index)) for step in anomaly.steps),
                window,
                order_views(anomaly, window, by_index) if window else (),
            )
        )
    return tuple(views)


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
    """A phrase for each fault in force from the first guilty event to the last."""
    guilty = _of(anomaly.indices, by_index)
    if not guilty:
        return ()
    start_ns = min(operation.invocation.time for operation in guilty)
    end_ns = max((operation.completion or operation.invocation).time for operation in guilty)
    phrases: list[str] = []
    for episode in found.episodes:
        if episode.overlaps(start_ns, end_ns):
            where = f" ({', '.join(episode.targets)})" if episode.targets else ""
            span = f"from {time_text(episode.start_ns)} to {time_text(episode.end_ns)}"
            phrases.append(f"{episode.fault}{where} {span}")
    return tuple(phrases)


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


def _of(indices: Sequence[int], by_index: Mapping[int, Operation]) -> tuple[Operation, ...]:
    """The operations of some events, each once, by invocation."""
    found = {
        by_index[index].invocation.index: by_index[index] for index in indices if index in by_index
    }
    return tuple(found[index] for index in sorted(found))
