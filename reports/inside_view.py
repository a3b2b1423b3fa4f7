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
class Server:
    """
    A server when an invariant broke, at the index that the invariant is about.

    `entry` is what its log held there; without one, `lacks` says why. `differs`: it is another
    entry than that of the server which broke the invariant. `disk` says whether the entry was on
    the disk. All of it is empty, or None, when the invariant is about no index.
    """

    node: str
    is_named: bool
    state: State | None
    entry: LogEntry | None
    lacks: str
    differs: bool
    disk: str


@dataclass(frozen=True, slots=True)
class ViolationView:
    """A broken invariant; `rows` is empty when no log was written, and tells nothing new of one."""

    violation: Violation
    servers: tuple[Server, ...]
    nodes: tuple[str, ...]
    rows: tuple[Row, ...]


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
    """What every server held when an invariant broke, and the logs, an index a row."""
    names = tuple(dict.fromkeys((*simulation.nodes, *violation.logs)))
    nodes = tuple(node for node in names if violation.logs.get(node))
    held = {node: {entry.index: entry for entry in violation.logs[node]} for node in nodes}
    indices = sorted({index for entries in held.values() for index in entries})
    held_then = simulation.states_at(max(0, violation.time_ns))
    at = violation.index
    entries = {node: of_node.get(at) for node, of_node in held.items()} if at is not None else {}
    return ViolationView(
        violation,
        tuple(
            _server(node, held_then.get(node), violation, entries) for node in names
        ),
        nodes,
        tuple(_row(index, violation.index, [held[node].get(index) for node in nodes])
              for index in indices),
    )  # fmt: skip


def _server(
    node: str, state: State | None, violation: Violation, entries: Mapping[str, LogEntry | None]
) -> Server:
    index, is_named = violation.index, node == violation.node
    if index is None:
        return Server(node, is_named, state, None, "", differs=False, disk="")
    entry, accused = entries.get(node), entries.get(violation.node)
    differs = entry is not None and accused is not None and entry != accused
    if entry is None:
        lacks = _lacks(state, index, is_written=node in entries)
        return Server(node, is_named, state, None, lacks, differs=False, disk="")
    disk = "not known"
    if state is not None:
        disk = "yes" if state.stored >= index else f"no: its disk ends at {state.stored}"
    return Server(node, is_named, state, entry, "", differs=differs, disk=disk)


def _lacks(state: State | None, index: int, *, is_written: bool) -> str:
    """Why a server has no entry to show at an index."""
    if state is not None and state.last < index:
        return f"nothing: its log ends at {state.last}"
    if state is not None and state.snapshot >= index:
        return f"in its snapshot, which ends at {state.snapshot}"
    return "nothing" if is_written else "not recorded"


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
