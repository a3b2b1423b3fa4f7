"""
Rows as lists: what has no predicate in it, for the checker of transactions over lists.

The trail of a row is a list, and a write appends to it. A removal appends a value of its own. A
row that was not found is left out, because it may be unborn or dead. So are writes of a transaction
that may have failed, unless somebody saw them: an update of no row changes nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from dissever.checkers.rows.recorded import Micro, Transaction
from dissever.harness.history import TXN, Event, History
from dissever.harness.results import Anomaly, Edge

__all__ = ["Lists", "as_lists"]


@dataclass(frozen=True, slots=True)
class Lists:
    """
    The history of lists. `places` has for each event the place of the micro-operation over rows
    that each of its micro-operations comes from.
    """

    history: History
    places: Mapping[int, Sequence[int]]

    def back(self, anomaly: Anomaly) -> Anomaly:
        """An anomaly of the lists, with what it cites in the history of rows."""
        cycle = tuple(self._edge(edge) for edge in anomaly.cycle)
        return structs.replace(anomaly, cycle=cycle, smallest=(), smallest_without=())

    def _edge(self, edge: Edge) -> Edge:
        cited = ((index, self.places[index][place]) for index, place in edge.cited)
        return structs.replace(edge, cited=tuple(dict.fromkeys(cited)))


def as_lists(history: History, transactions: Sequence[Transaction]) -> Lists:
    """The same transactions, without what a list cannot say; those left with nothing are out."""
    events: list[Event] = []
    places: dict[int, Sequence[int]] = {}
    seen = {pair for each in transactions if each.is_ok for pair in each.seen()}
    for each, operation in zip(transactions, history.operations, strict=True):
        value: list[Any] = []
        origin: list[int] = []
        for micro in each.micros:
            for one in _as_list(micro, each, seen):
                value.append(one)
                origin.append(micro.place)
        if not value:
            continue
        asked = [[f, key, None if f == "r" else what] for f, key, what in value]
        for event in (operation.invocation, operation.completion):
            if event is None:
                continue
            is_answer = each.is_ok and event is operation.completion
            events.append(structs.replace(event, f=TXN, value=value if is_answer else asked))
            places[event.index] = origin
    return Lists(History(sorted(events, key=lambda event: event.index)), places)


def _as_list(
    micro: Micro, by: Transaction, seen: Container[tuple[int, int]]
) -> Iterator[list[Any]]:
    if micro.f == "select":
        yield from (["r", row, list(trail)] for row, trail in micro.found)
        return
    if by.is_ok and not micro.is_applied:
        return
    if not by.is_ok and (micro.row, micro.value) not in seen:
        return
    if micro.trail is not None and micro.f != "insert":
        yield ["r", micro.row, list(micro.trail)]
    if micro.f in ("insert", "update"):
        yield ["append", micro.row, micro.value]
    elif micro.f == "delete":
        yield ["append", micro.row, f"deleted by {by.index}"]
