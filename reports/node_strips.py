"""
A strip for each node: its role, when it ran, was paused or down, and took snapshots.

What faults did to it, and ends that nobody asked for, come from the history and the results; roles
and snapshots from a simulation, or else from whoever asked the nodes (node_roles.py). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dissever.harness.episodes import Effect, NodeChange
from dissever.reports.node_logs import LogsView
from dissever.reports.node_roles import DOES_NOT_RUN, LEADER, UNKNOWN, Reign, Seen
from dissever.reports.timeline_view import Down

SPANS_MAX: Final = 2000
"""Of each kind, in the page."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something that lasted, of one node."""

    node: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class NodeRow:
    """
    What the table says of a node. `unasked` are the ends that nobody asked for, and `crashes` those
    of them that nothing explains. None: nobody knows.
    """

    node: str
    led_ns: int | None
    reigns: int
    ends: int
    unasked: int | None
    crashes: int
    pauses: int
    down_ns: int
    snapshots: int | None
    log_lines: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class NodeStrips:
    """Everything that is drawn, the same for real and for simulated runs."""

    seen: Seen
    pauses: tuple[Stretch, ...]
    rows: tuple[NodeRow, ...]

    @property
    def left_out(self) -> int:
        """How many stretches and snapshots the page has no room for: the last ones."""
        counts = (len(self.seen.reigns), len(self.pauses), len(self.seen.snapshots))
        return sum(max(0, count - SPANS_MAX) for count in counts)


def node_strips(
    nodes: Sequence[str],
    seen: Seen,
    changes: Sequence[NodeChange],
    downs: Sequence[Down],
    logs: LogsView,
    *,
    end_ns: int,
    has_ends: bool = True,
) -> NodeStrips:
    """
    The strips of all nodes, and a row for each.

    Args:
        has_ends: Whether the ends that nobody asked for say which node each was of.
    """
    pauses = tuple(_paused(nodes, changes, end_ns))
    seen = replace(seen, reigns=tuple(_with_a_process(seen.reigns, downs)))
    rows = []
    for node in nodes:
        led = [each for each in seen.reigns if each.node == node and each.role == LEADER]
        of_node = [down for down in downs if down.node == node]
        texts = [text for text in logs.read.texts if text.node == node]
        rows.append(
            NodeRow(
                node,
                sum(each.end_ns - each.start_ns for each in led) if seen.was_asked else None,
                len(led),
                len(of_node),
                sum(1 for down in of_node if not down.is_asked) if has_ends else None,
                sum(1 for down in of_node if not down.is_asked and not down.why),
                sum(1 for each in pauses if each.node == node),
                sum(down.end_ns - down.start_ns for down in of_node),
                sum(1 for each in seen.snapshots if each.node == node)
                if seen.were_listed
                else None,
                sum(text.lines for text in texts),
                sum(text.size_bytes for text in texts),
            )
        )
    return NodeStrips(seen, pauses, tuple(rows))


def strips_data(strips: NodeStrips) -> dict[str, Any]:
    """What is embedded in the page, with times in µs."""
    return {
        "nodes": [row.node for row in strips.rows],
        "reigns": [
            _span(each) | {"role": each.role, "term": each.term}
            for each in strips.seen.reigns[:SPANS_MAX]
        ],
        "pauses": [_span(each) for each in strips.pauses[:SPANS_MAX]],
        "snapshots": [
            {
                "node": each.node,
                "time": each.time_ns // 1000,
                "text": each.text,
                "installed": each.is_installed,
            }
            for each in strips.seen.snapshots[:SPANS_MAX]
        ],
        "asked": strips.seen.was_asked,
    }


def _span(stretch: Stretch | Reign) -> dict[str, Any]:
    return {
        "node": stretch.node,
        "start": stretch.start_ns // 1000,
        "end": stretch.end_ns // 1000,
    }


def _with_a_process(reigns: Sequence[Reign], downs: Sequence[Down]) -> Iterator[Reign]:
    """Without the time in which a node had no process: it has no role then, whatever it said."""
    for reign in reigns:
        begin_ns = reign.start_ns
        for down in downs if reign.role not in (UNKNOWN, DOES_NOT_RUN) else ():
            if down.node == reign.node and down.start_ns < reign.end_ns and down.end_ns > begin_ns:
                if down.start_ns > begin_ns:
                    yield replace(reign, start_ns=begin_ns, end_ns=down.start_ns)
                begin_ns = down.end_ns
        if begin_ns < reign.end_ns or begin_ns == reign.start_ns:
            yield replace(reign, start_ns=begin_ns)


def _paused(nodes: Sequence[str], changes: Sequence[NodeChange], end_ns: int) -> Iterator[Stretch]:
    """A pause ends when the node goes on, or when its process ends."""
    for node in nodes:
        begin_ns: int | None = None
        for change in changes:
            if change.node != node:
                continue
            if change.effect is Effect.PAUSED:
                begin_ns = change.time_ns if begin_ns is None else begin_ns
            elif begin_ns is not None:
                yield Stretch(node, begin_ns, change.time_ns)
                begin_ns = None
        if begin_ns is not None:
            yield Stretch(node, begin_ns, end_ns)
