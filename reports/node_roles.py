"""
What is known of the role of each node over time, and of its snapshots, from either source.

The nodes of a real run were asked who leads, once a second; between two answers a node counts as
what it said first. A simulation tells each change of role and term. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dissever.reports.node_states import NodeState, NodeStates
from dissever.reports.simulation import Simulation

LEADER: Final = "leader"
UNKNOWN: Final = "unknown"
"""The node was asked, and did not answer in time."""

DOES_NOT_RUN: Final = "none"
"""What a simulation says of a server that does not run."""

_SNAPSHOT: Final = re.compile(r"snapshot-(\d+)-(\d+)\b")
_INSTALLED: Final = "installed"


@dataclass(frozen=True, slots=True)
class Reign:
    """A stretch in which a node kept its role and its term; `term` is None where nobody says it."""

    node: str
    start_ns: int
    end_ns: int
    role: str
    term: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot when it was first seen; `is_installed`: it came from the leader."""

    node: str
    time_ns: int
    text: str
    is_installed: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """
    Everything that a source tells, by node and time.

    `was_asked`: whether it ever said who leads. `was_watched`: whether anybody looked at the nodes.
    `were_listed`: whether it was seen which snapshots there are.
    """

    reigns: tuple[Reign, ...]
    snapshots: tuple[Taken, ...]
    was_asked: bool
    was_watched: bool
    were_listed: bool


def seen_by_asking(states: NodeStates, nodes: Sequence[str], *, end_ns: int) -> Seen:
    """What the nodes of a real run answered. Who says that it does not lead has no known role."""
    by_node = {node: [each for each in states.states if each.node == node] for node in nodes}
    reigns: list[Reign] = []
    if states.was_asked:
        for node, of_node in by_node.items():
            changes = ((state.time_ns, _answer(state), None) for state in of_node)
            reigns += (each for each in _reigns(node, changes, end_ns) if each.role)
    taken = sorted(_taken(by_node.values()), key=lambda each: each.time_ns)
    were_listed = any(state.snapshots is not None for state in states.states)
    return Seen(tuple(reigns), tuple(taken), states.was_asked, bool(states.states), were_listed)


def seen_by_simulation(simulation: Simulation, nodes: Sequence[str], *, end_ns: int) -> Seen:
    """What a simulation saw of its servers."""
    reigns: list[Reign] = []
    for node in nodes:
        of_node = (each for each in simulation.states if each.node == node)
        changes = ((state.time_ns, state.role, state.term) for state in of_node)
        reigns += _reigns(node, changes, end_ns)
    taken = tuple(
        Taken(each.node, each.time_ns, each.text, each.kind == _INSTALLED)
        for each in simulation.moments
        if each.kind in ("snapshot", _INSTALLED)
    )
    is_told = bool(simulation.states)
    return Seen(tuple(reigns), taken, is_told, is_told, is_told)


def _answer(state: NodeState) -> str:
    """The role that an answer tells; empty when it only says that the node does not lead."""
    if state.leads is None:
        return UNKNOWN
    return LEADER if state.leads else ""


def _reigns(
    node: str, changes: Iterable[tuple[int, str, int | None]], end_ns: int
) -> Iterator[Reign]:
    """Stretches of one role and term, from times at which they were told; the last lasts."""
    open_reign: Reign | None = None
    for time_ns, role, term in changes:
        if open_reign is not None:
            if (open_reign.role, open_reign.term) == (role, term):
                continue
            yield replace(open_reign, end_ns=time_ns)
        open_reign = Reign(node, time_ns, time_ns, role, term)
    if open_reign is not None:
        yield replace(open_reign, end_ns=max(open_reign.start_ns, end_ns))


def _taken(of_nodes: Iterable[Sequence[NodeState]]) -> Iterator[Taken]:
    """Each snapshot when it was seen first; those of the first list were there before."""
    for states in of_nodes:
        listed = [state for state in states if state.snapshots is not None]
        seen: set[str] = set(listed[0].snapshots or ()) if listed else set()
        for state in listed:
            for name in state.snapshots or ():
                if name not in seen:
                    seen.add(name)
                    yield Taken(state.node, state.time_ns, _words(name))


def _words(name: str) -> str:
    """The name of a snapshot, with the term and the entry that it may say."""
    found = _SNAPSHOT.search(name)
    return f"{name}: term {found[1]}, up to entry {found[2]}" if found else name
