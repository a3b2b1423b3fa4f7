"""
Histories whose order of versions is not known: every order of the writers is tried, by the solver.

An order that it finds is replayed by the validator. Where there is none, no single cycle shows it:
then the smallest history of that kind is looked for, and each order of its transactions is tried by
other code.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from dissever.checkers.transactions.enumeration import has_serial_order
from dissever.checkers.transactions.evidence import TOO_MANY, TRIED
from dissever.checkers.transactions.explanation import told_without_cycle
from dissever.checkers.transactions.models import PROCESS, REALTIME
from dissever.checkers.transactions.narration import Narrator
from dissever.checkers.transactions.smallest import smallest
from dissever.checkers.transactions.validation import (
    SERIAL,
    SNAPSHOT,
    Point,
    refute_order,
    refute_points,
)
from dissever.harness.history import History, MalformedHistory
from dissever.harness.results import Anomaly, smallest_history
from dissever.harness.values import count_text
from dissever.native.weak import Verdict
from dissever.native.weak.solver import TRANSACTIONS_MAX, Demand, Model, solve

SMALLEST_MAX: Final = 500
"""Transactions of a history that is made small: each try is a search of its own."""

NO_SNAPSHOTS: Final = "single-engine: nothing else tries orders of snapshots and commits"

TRY_CONFIGURATIONS: Final = 1_000
"""Choices of the solver in such a try."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A certificate, or an anomaly that is none without confirmation, or why there is neither."""

    certificate: str = ""
    refuted: Anomaly | None = None
    why: str = ""


def solved(history: History, model: str, rules: str) -> Solved | None:
    """What the solver says; None where the model is not its, or the history is too large."""
    if model not in SERIAL and model not in SNAPSHOT:
        return None
    micro, is_serial = history.micro, model in SERIAL
    if len(micro.columns) > TRANSACTIONS_MAX:
        return None
    asked, demand = (Model.SERIALIZABLE if is_serial else Model.SNAPSHOT), _demand(model)
    solution = solve(micro, asked, demand)
    count = count_text(len(micro.columns), "transaction")
    if solution.verdict is Verdict.BUDGET:
        what = f"{solution.choices:,} choices of who wrote first were not enough"
        return Solved(why=f"budget: {what}")
    if solution.verdict is Verdict.INVALID and not solution.errors:
        return Solved(refuted=_refuted(history, model, rules, asked, demand))
    if solution.verdict is not Verdict.VALID:
        return None
    starts = micro.columns.inv
    if is_serial:
        order = [starts[at] for at in solution.order]
        flaw = refute_order(history, order, model=model, rules=rules)
    else:
        points: list[Point] = [
            (starts[at // 2], "commit" if at % 2 else "start") for at in solution.order
        ]
        flaw = refute_points(history, points, model=model, rules=rules)
    if flaw is not None:
        return Solved(why=f"contradiction: the order of the solver does not explain it: {flaw}")
    return Solved(f"an order of {count}, found by trying who wrote first, was replayed: {model}")


def _demand(model: str) -> Demand:
    process, realtime = {**SERIAL, **SNAPSHOT}[model]
    return Demand.REALTIME if realtime else Demand.PROCESS if process else Demand.DATA


def _refuted(history: History, model: str, rules: str, asked: Model, demand: Demand) -> Anomaly:
    """Named by the least that is certain, with the smallest history that has no order either."""

    def still(some: History) -> bool:
        try:
            found = solve(some.micro, asked, demand, configurations_max=TRY_CONFIGURATIONS)
        except (MalformedHistory, ValueError):
            return False
        return found.verdict is Verdict.INVALID and not found.errors

    suffix = {Demand.DATA: "", Demand.PROCESS: PROCESS, Demand.REALTIME: REALTIME}[demand]
    name = ("G2-item" if asked is Model.SERIALIZABLE else "G-nonadjacent") + suffix
    operations = history.operations
    small = smallest((), operations if len(operations) <= SMALLEST_MAX else (), still)
    micro = history.micro
    positions = [bisect_left(micro.columns.inv, index) for index in small.indices]
    what = f"explains what they read under {model}, whatever order they wrote in"
    anomaly = told_without_cycle(Narrator(history, micro), name, positions, what, small)
    process, realtime = {**SERIAL, **SNAPSHOT}[model]
    exists = None
    if asked is Model.SERIALIZABLE and small.indices:
        exists = has_serial_order(
            smallest_history(history, anomaly), rules=rules, process=process, realtime=realtime
        )
    alone = TOO_MANY if asked is Model.SERIALIZABLE else NO_SNAPSHOTS
    confirmation = alone if exists is None else "" if exists else TRIED
    return structs.replace(anomaly, confirmation=confirmation)
