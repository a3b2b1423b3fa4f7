"""
The cycles that selects, and rows that were not found, have a part in, by name.

All other cycles are those of lists (`lists.py`). Real time is a chain of barriers, as in the engine
of transactions: one vertex for each end, and the edges on from there carry no kind.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dissever.checkers.rows.dependencies import Dependencies, Dependency
from dissever.checkers.rows.recorded import Transaction
from dissever.checkers.transactions.explanation import LEVELS, RUNGS
from dissever.native.graph import NO_KEY, Graph, Kind, Level, Rung

__all__ = ["Found", "cycles", "process_edges"]

_PREDICATES: Final = {
    **RUNGS,
    Rung.G_SINGLE: "G-single-predicate",
    Rung.G_NONADJACENT: "G-nonadjacent-predicate",
    Rung.G2: "G2",
}


@dataclass(frozen=True, slots=True)
class Found:
    """
    A cycle, and its name. A step has its two ends, its kind, and the dependency that it is, None
    for one of a process or of real time.
    """

    name: str
    steps: tuple[tuple[int, int, Kind, Dependency | None], ...]

    @property
    def is_derived(self) -> bool:
        """Whether it shows only that the history is not serializable."""
        return any(edge is not None and edge.is_derived for *_, edge in self.steps)

    @property
    def is_timed(self) -> bool:
        """Whether it follows from what a transaction that had ended cannot have seen."""
        return any(edge is not None and edge.is_timed for *_, edge in self.steps)


def cycles(transactions: Sequence[Transaction], known: Dependencies) -> list[Found]:
    """Cycles with a row that was missed, the strongest first; of each class up to a limit."""
    found = _cycles(transactions, known.known)
    if known.timed:
        more = _cycles(transactions, (*known.known, *known.timed))
        found += [each for each in more if each.is_timed]
    return found


def _cycles(transactions: Sequence[Transaction], known: Sequence[Dependency]) -> list[Found]:
    best = _without_parallels(known)
    edges = [(e.source, e.target, int(e.kind), n) for n, e in enumerate(best)]
    edges += process_edges(transactions)
    n = len(transactions)
    ends = sorted((t.end, t.number) for t in transactions if t.is_ok and t.end is not None)
    edges += _realtime_edges(transactions, [end for end, _ in ends], [one for _, one in ends])
    found = Graph(n, edges, n + len(ends)).classify()
    return [
        each
        for cycle in found.cycles
        if (each := _named(cycle.rung, cycle.level, cycle.steps, best)) is not None
    ]


def _without_parallels(known: Sequence[Dependency]) -> list[Dependency]:
    """Of those of one kind between two transactions one: rather of an item, rather not derived."""
    best: dict[tuple[int, int, Kind], Dependency] = {}

    def worth(edge: Dependency) -> tuple[bool, ...]:
        return edge.is_timed, edge.is_derived, edge.is_predicate, edge.is_missed

    for edge in known:
        ends = (edge.source, edge.target, edge.kind)
        if ends not in best or worth(edge) < worth(best[ends]):
            best[ends] = edge
    return list(best.values())


def _named(
    rung: Rung,
    level: Level,
    steps: Sequence[tuple[int, int, Kind, int]],
    known: Sequence[Dependency],
) -> Found | None:
    walk = tuple((a, b, kind, known[n] if n != NO_KEY else None) for a, b, kind, n in steps)
    edges = [edge for *_, edge in walk if edge is not None]
    if not any(edge.is_missed for edge in edges):
        return None
    suffix = LEVELS[Level.REALTIME if any(edge.is_timed for edge in edges) else level]
    if any(edge.is_derived for edge in edges):
        return Found("G2" + suffix, walk)
    names = _PREDICATES if any(edge.is_predicate for edge in edges) else RUNGS
    return Found(names[rung] + suffix, walk)


def process_edges(transactions: Sequence[Transaction]) -> Iterator[tuple[int, int, int, int]]:
    """From each ok transaction to the next one of its process, as `Graph` takes edges."""
    last: dict[int | str, int] = {}
    for each in transactions:
        if not each.is_ok:
            continue
        if each.process in last:
            yield last[each.process], each.number, Kind.PROCESS, NO_KEY
        last[each.process] = each.number


def _realtime_edges(
    transactions: Sequence[Transaction], ends: Sequence[int], ended: Sequence[int]
) -> Iterator[tuple[int, int, int, int]]:
    """`ends` are the times of the barriers, rising, and `ended` who ended then."""
    n = len(transactions)
    for barrier, number in enumerate(ended):
        yield number, n + barrier, Kind.REALTIME, NO_KEY
        if barrier:
            yield n + barrier - 1, n + barrier, Kind.LINK, NO_KEY
    for each in transactions:
        earlier = bisect_left(ends, each.begin)
        if earlier:
            yield n + earlier - 1, each.number, Kind.LINK, NO_KEY
