"""
A strip for each node: when it led, ran, was paused or down, and took snapshots.

What faults did to it, and ends that nobody asked for, come from the history and the results. Who
led, and which snapshots there were, comes from the watch that asked the nodes during the run.
Between two answers a node counts as what it said first. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dissever.harness.episodes import Effect, NodeChange
from dissever.reports.node_logs import LogsView
from dissever.reports.node_states import NodeState, NodeStates
from dissever.reports.timeline_view import Down

PAUSED: Final = "paused"
SPANS_MAX: Final = 2000
"""Of each kind, in the page."""

_SNAPSHOT: Final = re.compile(r"snapshot-(\d+)-(\d+)\b")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something that lasted, of one node."""

    node: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot that was first seen at a time. `term` and `index`: if its name says them."""

    node: str
    time_ns: int
    name: str
    term: int | None
    index: int | None

    @property
    def text(self) -> str:
        """In words."""
        if self.term is None:
            return self.name
        return f"{self.name}: term {self.term}, up to entry {self.index}"


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
    """
    Everything that is drawn. `unknown` are the times in which no answer came; `was_asked`: whether
    the system ever said who leads. `was_watched`: whether anybody looked at the nodes.
    `were_listed`: whether it was seen which snapshots there are.
    """

    leads: tuple[Stretch, ...]
    unknown: tuple[Stretch, ...]
    pauses: tuple[Stretch, ...]
    snapshots: tuple[Taken, ...]
    rows: tuple[NodeRow, ...]
    was_asked: bool
    was_watched: bool
    were_listed: bool

    @property
    def has_something(self) -> bool:
        """Whether a row says more than that nothing happened."""
        return any(row.ends or row.pauses or row.log_lines or row.led_ns for row in self.rows)


def node_strips(
    nodes: Sequence[str],
    states: NodeStates,
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
    by_node = {node: [each for each in states.states if each.node == node] for node in nodes}
    every = by_node.values()
    leads = tuple(_stretches(every, lambda state: state.leads is True, end_ns))
    unknown = tuple(_stretches(every, lambda state: state.leads is None, end_ns))
    pauses = tuple(_paused(nodes, changes, end_ns))
    taken = tuple(sorted(_taken(every), key=lambda each: each.time_ns))
    were_listed = any(state.snapshots is not None for state in states.states)
    rows = []
    for node in nodes:
        reigns = [each for each in leads if each.node == node]
        of_node = [down for down in downs if down.node == node]
        texts = [text for text in logs.read.texts if text.node == node]
        rows.append(
            NodeRow(
                node,
                sum(each.end_ns - each.start_ns for each in reigns) if states.was_asked else None,
                len(reigns),
                len(of_node),
                sum(1 for down in of_node if not down.is_asked) if has_ends else None,
                sum(1 for down in of_node if not down.is_asked and not down.why),
                sum(1 for each in pauses if each.node == node),
                sum(down.end_ns - down.start_ns for down in of_node),
                sum(1 for each in taken if each.node == node) if were_listed else None,
                sum(text.lines for text in texts),
                sum(text.size_bytes for text in texts),
            )
        )
    return NodeStrips(
        leads,
        unknown if states.was_asked else (),
        pauses,
        taken,
        tuple(rows),
        states.was_asked,
        bool(states.states),
        were_listed,
    )


def strips_data(strips: NodeStrips) -> dict[str, Any]:
    """What is embedded in the page, with times in µs."""

    def spans(stretches: Iterable[Stretch], what: str) -> list[dict[str, Any]]:
        return [
            {
                "node": each.node,
                "start": each.start_ns // 1000,
                "end": each.end_ns // 1000,
                "what": what,
            }
            for each in list(stretches)[:SPANS_MAX]
        ]

    return {
        "leads": spans(strips.leads, "leads"),
        "unknown": spans(strips.unknown, "not known"),
        "pauses": spans(strips.pauses, PAUSED),
        "snapshots": [
            {"node": each.node, "time": each.time_ns // 1000, "text": each.text}
            for each in strips.snapshots[:SPANS_MAX]
        ],
        "asked": strips.was_asked,
    }


def _stretches(
    of_nodes: Iterable[Sequence[NodeState]], is_so: Any, end_ns: int
) -> Iterator[Stretch]:
    """When the states of each node were so, neighbours as one."""
    for states in of_nodes:
        begin: NodeState | None = None
        for state in states:
            if is_so(state):
                begin = begin or state
            elif begin is not None:
                yield Stretch(state.node, begin.time_ns, state.time_ns)
                begin = None
        if begin is not None:
            yield Stretch(begin.node, begin.time_ns, max(begin.time_ns, end_ns))


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


def _taken(of_nodes: Iterable[Sequence[NodeState]]) -> Iterator[Taken]:
    """Each snapshot when it was seen first; those of the first list were there before."""
    for states in of_nodes:
        listed = [state for state in states if state.snapshots is not None]
        seen: set[str] = set(listed[0].snapshots or ()) if listed else set()
        for state in listed:
            for name in state.snapshots or ():
                if name not in seen:
                    seen.add(name)
                    found = _SNAPSHOT.search(name)
                    term, index = (int(found[1]), int(found[2])) if found else (None, None)
                    yield Taken(state.node, state.time_ns, name, term, index)
