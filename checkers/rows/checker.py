"""
The checker of transactions over rows: is a consistency model kept, selects by predicate included?

What has no predicate in it is judged as transactions over lists. Here are the cycles that need a
row which was not found, and the proof of a valid history: all transactions, carried out one after
another, give every answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import structs

from dissever.checkers.rows.cycles import Found, cycles, process_edges
from dissever.checkers.rows.dependencies import Dependencies, dependencies
from dissever.checkers.rows.lists import as_lists
from dissever.checkers.rows.recorded import Transaction, read
from dissever.checkers.rows.replay import serial_order
from dissever.checkers.rows.words import edge_of, edge_without_data, selected, summary
from dissever.checkers.transactions import Transactions
from dissever.checkers.transactions.models import (
    SERIALIZABLE,
    forbids,
    judged_by,
    keeps_processes,
    keeps_time,
    strongest_remaining,
    weaker,
    weakest_ruled_out,
)
from dissever.checkers.transactions.smallest import smallest
from dissever.harness.history import History, MalformedHistory
from dissever.harness.results import Anomaly, Budget, Result, Verdict
from dissever.harness.values import count_text

__all__ = ["Rows"]

SHOWN_MAX: Final = 4
"""Cycles of one name that are shown."""

STRANGE: Final = "predicate-mismatch"
"""A select found a row that it does not match; no model allows it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """
    The checker: the transactions over rows of a history keep `consistency_model`.

    Raises:
        ValueError: When there is no such model.
    """

    consistency_model: str = SERIALIZABLE
    name: str = "rows"

    def __post_init__(self) -> None:
        object.__setattr__(self, "consistency_model", judged_by(self.consistency_model))

    def __call__(self, history: History, budget: Budget) -> Result:
        """Judge all transactions together."""
        try:
            transactions = read(history)
        except MalformedHistory as error:
            return self._unknown(f"malformed: {error}")
        lists = as_lists(history, transactions)
        items = Transactions(rules="append", consistency_model=self.consistency_model)
        of_items = items(lists.history, budget)
        known = dependencies(transactions)
        anomalies = _anomalies(transactions, known)
        shown = [each for each in anomalies if self._counts(each.name)]
        order = None
        if not shown and of_items.verdict is not Verdict.INVALID:
            order = self._order(transactions, known)
        verdict, why = self._verdict(transactions, shown, anomalies, of_items, order)
        certificate = of_items.details.get("certificate", "")
        certificate = certificate if order is None else _certificate(order)
        kept = [_made_small(history, each) for each in shown]
        return Result(
            checker=self.name,
            verdict=verdict,
            why=why,
            anomalies=(*kept, *map(lists.back, of_items.anomalies)),
            details=self._details(
                of_items,
                anomalies,
                known,
                transactions,
                certificate if verdict is Verdict.VALID else "",
            ),
        )

    def _order(
        self, transactions: Sequence[Transaction], known: Dependencies
    ) -> Sequence[int] | None:
        """A serial order that keeps processes and time where the model does."""
        edges = [(edge.source, edge.target) for edge in known.known]
        if keeps_processes(self.consistency_model):
            edges += [(source, target) for source, target, *_ in process_edges(transactions)]
        return serial_order(transactions, edges, is_strict=keeps_time(self.consistency_model))

    def _counts(self, anomaly: str) -> bool:
        return anomaly == STRANGE or forbids(self.consistency_model, anomaly)

    def _verdict(
        self,
        transactions: Sequence[Transaction],
        shown: Sequence[Anomaly],
        anomalies: Sequence[Anomaly],
        of_items: Result,
        order: Sequence[int] | None,
    ) -> tuple[Verdict, str]:
        model = self.consistency_model
        if shown:
            names = ", ".join(dict.fromkeys(each.name for each in shown))
            return Verdict.INVALID, f"not {model}: {names}: {shown[0].summary}"
        if of_items.verdict is Verdict.INVALID:
            return Verdict.INVALID, of_items.why
        if not any(m.f in ("select", "get") for t in transactions if t.is_ok for m in t.micros):
            return Verdict.UNKNOWN, "nothing was read, so no answer can be wrong"
        broken = [each.name for each in anomalies if forbids(SERIALIZABLE, each.name)]
        if order is not None and broken:
            return Verdict.UNKNOWN, f"contradiction: {broken[0]}, and a serial order without it"
        if order is not None:
            return Verdict.VALID, f"{model}: {_certificate(order)}"
        if of_items.verdict is Verdict.UNKNOWN:
            return Verdict.UNKNOWN, of_items.why
        if SERIALIZABLE in weaker(model):
            return Verdict.UNKNOWN, (
                "partial-order: no anomaly was found, and no serial order that explains what the "
                "selects did not find"
            )
        also = ", ".join(dict.fromkeys(each.name for each in anomalies))
        more = f"; the history also shows {also}, which {model} allows" if also else ""
        return Verdict.VALID, f"{of_items.why}; no select contradicts {model}{more}"

    def _details(
        self,
        of_items: Result,
        anomalies: Sequence[Anomaly],
        known: Dependencies,
        transactions: Sequence[Transaction],
        certificate: str,
    ) -> dict[str, Any]:
        """The numbers of a result, as JSON values; those of the items are in it."""
        counts: dict[str, int] = dict(of_items.details.get("counts", {}))
        for each in anomalies:
            counts[each.name] = counts.get(each.name, 0) + 1
        share = known.settled / known.missed if known.missed else 1.0
        return of_items.details | {
            "consistency_model": self.consistency_model,
            "transactions": len(transactions),
            "counts": counts,
            "ruled_out": list(weakest_ruled_out(counts)),
            "remaining": list(strongest_remaining(counts)),
            "rows": len(known.rows),
            "rows_missed": known.missed,
            "rows_missed_settled": round(share, 4),
            "certificate": certificate,
        }

    def _unknown(self, why: str) -> Result:
        model = {"consistency_model": self.consistency_model}
        return Result(checker=self.name, verdict=Verdict.UNKNOWN, why=why, details=model)


def _certificate(order: Sequence[int]) -> str:
    """What a valid verdict rests on where all transactions were carried out in an order."""
    count = count_text(len(order), "transaction")
    return f"{count}, one after another, give every answer"


def _anomalies(transactions: Sequence[Transaction], known: Dependencies) -> list[Anomaly]:
    """All that are found here; of cycles of one name a few."""
    found: list[Anomaly] = []
    for by, micro, row in known.strange:
        text = f"a transaction selected {selected(micro)} and got row {row}, which is none of them"
        found.append(Anomaly(name=STRANGE, summary=text, indices=(by.index, by.event)))
    for by, micro, row in known.own:
        text = f"a transaction selected {selected(micro)} and did not get row {row}, its own"
        found.append(
            Anomaly(name="predicate-read-miss", summary=text, indices=(by.index, by.event))
        )
    shown: dict[str, int] = {}
    for cycle in cycles(transactions, known):
        shown[cycle.name] = shown.get(cycle.name, 0) + 1
        if shown[cycle.name] <= SHOWN_MAX:
            found.append(_of_cycle(cycle, transactions))
    return found


def _of_cycle(cycle: Found, transactions: Sequence[Transaction]) -> Anomaly:
    """A cycle from its earliest transaction on; their names count by the time of their question."""
    sources = [transactions[source].index for source, *_ in cycle.steps]
    first = sources.index(min(sources))
    steps = (*cycle.steps[first:], *cycle.steps[:first])
    walk = sorted({source for source, *_ in steps}, key=lambda number: transactions[number].index)
    names = {number: f"T{place}" for place, number in enumerate(walk, start=1)}
    edges = tuple(
        edge_of(edge, transactions, names)
        if edge is not None
        else edge_without_data(kind, transactions[source], transactions[target], names)
        for source, target, kind, edge in steps
    )
    guilty = [transactions[number] for number in walk]
    return Anomaly(
        name=cycle.name,
        summary=summary(edges, is_derived=cycle.is_derived),
        indices=tuple(sorted({index for each in guilty for index in (each.index, each.event)})),
        cycle=edges,
    )


def _made_small(history: History, anomaly: Anomaly) -> Anomaly:
    """With the smallest history found that still has the anomaly."""
    rows = {edge.key for edge in anomaly.cycle if edge.key is not None}
    guilty = set(anomaly.indices)
    first = [each for each in history.operations if each.invocation.index in guilty]
    others = [each for each in history.operations if rows & set(_rows_of(each.invocation.value))]

    def still(part: History) -> bool:
        transactions = read(part)
        names = {each.name for each in _anomalies(transactions, dependencies(transactions))}
        return anomaly.name in names

    found = smallest(first, others, still)
    return structs.replace(anomaly, smallest=found.indices, smallest_without=found.without)


def _rows_of(value: Sequence[Any]) -> Iterator[int]:
    for f, _, what, _ in value:
        if f != "select":
            yield what[0] if isinstance(what, list) else what
