"""
A cycle of transactions, as a drawing that needs no script, and the smallest history that has it.

A box for each transaction, from the top to the bottom in the order of the edges, and an arrow with
a sentence from each to the next. The last one leads back to the top. Micro-operations that an edge
follows from stand out.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dissever.harness.history import History, Operation, Type
from dissever.harness.results import Anomaly, Result, smallest_history
from dissever.harness.values import shorten
from dissever.reports.labels import micro_operation_text, time_text

SHOWN_MAX: Final = 12
"""Of the transactions of a cycle, the others fold."""

LAST: Final = 2
"""How many of those shown stand behind the fold."""

MICRO_OPERATIONS_MAX: Final = 12

DOWNLOAD_EVENTS_MAX: Final = 2_000

MEANINGS: Final[Mapping[str, str]] = {
    "ww": "the second overwrote what the first wrote",
    "wr": "the second read what the first wrote",
    "rw": "the first did not see what the second wrote, so it came before it",
    "process": "one process made the first, and then the second",
    "realtime": "the first was answered before the second was asked",
    "session": "one process made the first, and then the second",
    "commit": "the model says that the first must be committed before the second",
}
"""The kinds of edges, in the order of the legend."""


@dataclass(frozen=True, slots=True)
class Line:
    """A micro-operation; `is_cited` where an edge follows from it."""

    text: str
    is_cited: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A transaction; `left_out` of its micro-operations are not shown."""

    label: str
    operation: Operation
    when: str
    lines: tuple[Line, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a box to the next; the last one goes back to the first box."""

    kind: str
    key: str
    text: str
    source: str
    target: str
    indices: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Link:
    """A box, and the arrow that leaves it."""

    box: Box
    arrow: Arrow


@dataclass(frozen=True, slots=True)
class CycleView:
    """The links of a cycle in order; those of `folded` stand between `first` and `last`."""

    first: tuple[Link, ...]
    folded: tuple[Link, ...]
    last: tuple[Link, ...]
    legend: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Download:
    """The smallest history that is still invalid: its file, how it is judged, and its size."""

    name: str
    data: str
    command: str
    transactions: int


def transaction_labels(anomaly: Anomaly, by_index: Mapping[int, Operation]) -> dict[int, str]:
    """
    The index of the invocation of each transaction -> what sentences call it.

    T1 is the transaction that was asked first, in every sentence of an anomaly.
    """
    named = {by_index[index].invocation.index for index in anomaly.indices if index in by_index}
    return {index: f"T{number}" for number, index in enumerate(sorted(named), 1)}


def cycle_view(anomaly: Anomaly, by_index: Mapping[int, Operation]) -> CycleView | None:
    """The cycle of an anomaly; None where it has none, or names a transaction that is not there."""
    edges = anomaly.cycle
    if not edges or any(edge.source not in by_index for edge in edges):
        return None
    labels = transaction_labels(anomaly, by_index)
    cited = {place for edge in edges for place in edge.cited}
    links = tuple(
        Link(
            _box(labels.get(edge.source, "?"), by_index[edge.source], cited),
            Arrow(
                edge.kind,
                "" if edge.key is None else shorten(str(edge.key), 24),
                edge.text,
                labels.get(edge.source, "?"),
                labels.get(edge.target, "?"),
                (edge.source, edge.target),
            ),
        )
        for edge in edges
    )
    kinds = {edge.kind for edge in edges}
    end = len(links) if len(links) <= SHOWN_MAX else SHOWN_MAX - LAST
    start = len(links) if len(links) <= SHOWN_MAX else len(links) - LAST
    return CycleView(
        links[:end],
        links[end:start],
        links[start:],
        tuple((kind, text) for kind, text in MEANINGS.items() if kind in kinds),
    )


def _box(label: str, operation: Operation, cited: set[tuple[int, int]]) -> Box:
    completion = operation.completion
    is_ok = completion is not None and completion.type is Type.OK
    value = completion.value if completion is not None and is_ok else operation.invocation.value
    every = value if isinstance(value, (list, tuple)) else [value]
    places = [any((index, at) in cited for index in operation.indices) for at in range(len(every))]
    shown = _nearest(places)
    lines = tuple(Line(micro_operation_text(every[at]), places[at]) for at in shown)
    end = f" to {time_text(completion.time)}" if completion else ", never answered"
    return Box(
        label,
        operation,
        f"{time_text(operation.invocation.time)}{end}",
        lines,
        len(every) - len(lines),
    )


def _nearest(is_cited: Sequence[bool]) -> list[int]:
    """The positions that are shown: those cited, and the first of the others."""
    others = [at for at, each in enumerate(is_cited) if not each]
    cited = [at for at, each in enumerate(is_cited) if each][:MICRO_OPERATIONS_MAX]
    return sorted([*cited, *others[: max(0, MICRO_OPERATIONS_MAX - len(cited))]])


def download(result: Result, anomaly: Anomaly, history: History) -> Download | None:
    """The smallest history of an anomaly, for the page to hold; None where there is none."""
    rules = result.details.get("rules")
    if not anomaly.smallest or not isinstance(rules, str):
        return None
    events = smallest_history(history, anomaly).events
    if not events or len(events) > DOWNLOAD_EVENTS_MAX:
        return None
    data = msgspec.json.Encoder().encode_lines(events)
    name = f"{anomaly.name}-{anomaly.smallest[0]}.jsonl"
    model = result.details.get("consistency_model", "serializable")
    return Download(
        name,
        base64.b64encode(data).decode("ascii"),
        f"dissever check {name} --workload {rules} --consistency-model {model}",
        len(anomaly.smallest),
    )


def models_text(details: Mapping[str, Any]) -> str:
    """Which consistency models a history rules out and which it leaves, or nothing."""
    ruled_out, remaining = details.get("ruled_out"), details.get("remaining")
    if not isinstance(ruled_out, list) or not isinstance(remaining, list):
        return ""
    out = f"{', '.join(map(str, ruled_out))} and whatever is stronger" if ruled_out else "none"
    left = ", ".join(map(str, remaining)) or "nothing that is looked for"
    return f"models ruled out: {out}; the strongest that remain: {left}"
