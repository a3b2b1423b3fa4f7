"""
The parts of a page that only a simulated run has, ready to be rendered.

An anomaly gets a window of messages. A broken invariant gets the logs of the servers that it is
about, side by side; without them, what each server held at that moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dissever.harness.history import History
from dissever.harness.results import Anomaly, Results
from dissever.harness.values import count_text
from dissever.reports.anomaly_view import explained, found_by, operations_by_index
from dissever.reports.lamport import Span, span_of
from dissever.reports.simulation import LogEntry, Simulation, State, Violation, count_of

INVARIANTS = "invariants"
"""The checker that reports broken invariants as anomalies."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a log holds at an index; None is nothing. `is_odd`: most others hold another."""

    entry: LogEntry | None
    is_odd: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One index of the log, with a cell for each server."""

    index: int
    is_named: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class ViolationView:
    """A broken invariant; `rows` is empty when no log was written, `states` stands for it then."""

    violation: Violation
    nodes: tuple[str, ...]
    rows: tuple[Row, ...]
    states: tuple[tuple[str, State | None], ...]


@dataclass(frozen=True, slots=True)
class InsideView:
    """What an anomaly shows of a simulation."""

    span: Span
    violation: ViolationView | None


def inside_views(
    simulation: Simulation, results: Results, history: History, *, count_max: int
) -> tuple[InsideView, ...]:
    """One for each anomaly that is explained, in their order."""
    by_index = operations_by_index(history)
    left = list(simulation.violations)
    views = []
    numbers = explained(results, count_max)
    for number, (checker, anomaly) in enumerate(found_by(results), 1):
        violation = _take(left, anomaly) if checker == INVARIANTS else None
        if number not in numbers:
            continue
        span = span_of(anomaly, violation, simulation, by_index, end_ns=history.duration_ns)
        shown = None if violation is None else violation_view(violation, simulation)
        views.append(InsideView(span, shown))
    return tuple(views)


def _take(left: list[Violation], anomaly: Anomaly) -> Violation | None:
    """The first violation of that name that no other anomaly has."""
    for number, violation in enumerate(left):
        if violation.name == anomaly.name:
            return left.pop(number)
    return None


def violation_view(violation: Violation, simulation: Simulation) -> ViolationView:
    """The logs of a broken invariant, an index a row, and what every server held then."""
    nodes = tuple(node for node, entries in violation.logs.items() if entries)
    held = {node: {entry.index: entry for entry in violation.logs[node]} for node in nodes}
    indices = sorted({index for entries in held.values() for index in entries})
    held_then = simulation.states_at(max(0, violation.time_ns))
    states = tuple((node, held_then.get(node)) for node in simulation.nodes)
    return ViolationView(
        violation,
        nodes,
        tuple(_row(index, violation.index, [held[node].get(index) for node in nodes])
              for index in indices),
        states,
    )  # fmt: skip


def _row(index: int, named: int | None, entries: Sequence[LogEntry | None]) -> Row:
    """The entries of an index. Odd is what differs from most of them; without a most, all are."""
    contents = Counter((entry.term, entry.text) for entry in entries if entry is not None)
    (usual, most), *_ = contents.most_common(1)
    is_settled = 2 * most > contents.total()
    cells = (
        Cell(
            entry,
            entry is not None and not (is_settled and (entry.term, entry.text) == usual),
        )
        for entry in entries
    )
    return Row(index, index == named, tuple(cells))


def sentence_of(simulation: Simulation) -> str:
    """What came of the messages, as one sentence."""
    counts: Mapping[str, int] = count_of(simulation)
    parts = [
        f"{count:,} {name}" for name, count in sorted(counts.items()) if name.startswith("lost")
    ]
    if counts["copies"]:
        parts.append(f"{counts['copies']:,} duplicated")
    if counts["repeats"]:
        parts.append(f"{counts['repeats']:,} only repeat the one before")
    return ", ".join((count_text(counts["sent"], "message"), *parts))
