"""
Why a history without anomalies is valid: an order of its transactions that explains every answer.

Valid is never the absence of anomalies alone where a model can be proved. The attempts, in their
order; the first that proves the model ends them:

1. The serial order of the engine, where it keeps what the model asks (data, processes, real time).
   It is replayed, by code that shares nothing with the engine.
2. Start and commit points, made of the engine's edges, for snapshot isolation and what it implies.
3. A commit order on which the axioms of a weak model are tried (`native/weak`, `axioms.py`).
4. A search through every order of the writers, for small histories (`solving.py`).

Without any of them the history is unknown, except for models that any order of the versions keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dissever.checkers.transactions.evidence import POINTED, Evidence
from dissever.checkers.transactions.models import keeps_time, weaker
from dissever.checkers.transactions.points import points_of
from dissever.checkers.transactions.solving import solved
from dissever.checkers.transactions.validation import (
    SERIAL,
    SNAPSHOT,
    Point,
    refute_order,
    refute_points,
)
from dissever.checkers.transactions.view import VALIDATED_MAX, is_small, key_value, shown
from dissever.harness.history import History
from dissever.harness.results import Anomaly
from dissever.harness.values import count_text
from dissever.native.columns import NONE, OK, READ, Micro
from dissever.native.replay import refute_replay
from dissever.native.transactions import OrderLevel
from dissever.native.weak import Level

PROVED: Final[Mapping[OrderLevel, str]] = {
    OrderLevel.DATA: "serializable",
    OrderLevel.PROCESS: "strong-session-serializable",
    OrderLevel.REALTIME: "strict-serializable",
}
"""What a serial order proves, by what it keeps."""

FREE: Final = frozenset({"read-committed", "read-uncommitted"})
"""Models that any order of the versions satisfies which agrees with who read what."""

POINTS_MAX: Final = 3_000_000
"""As VALIDATED_MAX, of a history of which start and commit points are made."""

WEAK: Final[Mapping[str, tuple[Level, bool]]] = {
    "causal": (Level.CAUSAL, True),
    "causal-cerone": (Level.CAUSAL, False),
    "strong-session-read-atomic": (Level.READ_ATOMIC, True),
    "read-atomic": (Level.READ_ATOMIC, False),
    "strong-session-monotonic-atomic-view": (Level.READ_COMMITTED, True),
    "monotonic-atomic-view": (Level.READ_COMMITTED, False),
    "read-committed": (Level.READ_COMMITTED, False),
    "read-uncommitted": (Level.READ_COMMITTED, False),
}
"""The levels that prove a model, and whether they keep sessions; the last two ask for less."""

KEEPS: Final[Mapping[OrderLevel, str]] = {
    OrderLevel.DATA: "",
    OrderLevel.PROCESS: ", which keeps the order of each process,",
    OrderLevel.REALTIME: ", which keeps real time,",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """
    Why nothing is proved, or None; and what the verdict rests on.

    `refuted` is an anomaly that only the search for a proof has found.
    """

    why: str | None
    certificate: str = ""
    refuted: Anomaly | None = None


def proof(history: History, found: Evidence, model: str, rules: str) -> Proof:
    """What proves that the history keeps the model; it shows nothing that the model forbids."""
    silent = _silent(found.micro)
    if silent is not None:
        return Proof(silent)
    if keeps_time(model) and not history.is_timed:
        return Proof(f"no times: the history does not say when anything happened, {model} does")
    level = found.outcome.order_level
    if level in PROVED and model in weaker(PROVED[level]):
        return _replayed(history, found, rules)
    pointed = POINTED.get(model)
    if pointed and (proved := _points(history, found, pointed, rules)) is not None:
        return proved
    if model in WEAK and (proved := _weak(found, model)) is not None:
        return proved
    if found.outcome.ambiguous:
        return Proof(ambiguous(found))
    if (answer := solved(history, model, rules)) is not None:
        return Proof(answer.why or None, answer.certificate, answer.refuted)
    return _unproved(found, model)


def ambiguous(found: Evidence) -> str:
    """That values were written twice, and to which keys."""
    keys = ", ".join(shown(key_value(found.micro, key)) for key in found.outcome.ambiguous[:5])
    what = f"{count_text(len(found.outcome.ambiguous), 'key')} ({keys})"
    return f"ambiguous-values: a value was written twice to {what}"


def _silent(micro: Micro) -> str | None:
    """Why the history says nothing, or None."""
    columns = micro.columns
    if OK not in columns.type:
        return "nothing was checked: no transaction was acknowledged"
    places = range(len(micro))
    if not any(
        micro.kind[at] == READ and (micro.list[at] != NONE or micro.value[at] != NONE)
        for at in places
    ):
        return "nothing was checked: no acknowledged transaction read anything"
    if not any(micro.kind[at] != READ for at in places):
        return "nothing was checked: no transaction wrote anything"
    return None


def _replayed(history: History, found: Evidence, rules: str) -> Proof:
    """The serial order of the engine, replayed at the strongest level that it is said to keep."""
    outcome, micro = found.outcome, found.micro
    level = outcome.order_level
    if is_small(micro, VALIDATED_MAX):
        starts = micro.columns.inv
        order = [starts[row] for row in outcome.order]
        flaw = refute_order(history, order, model=PROVED[level], rules=rules)
    else:
        flaw = refute_replay(
            micro,
            outcome.order,
            is_append=rules == "append",
            process=level >= OrderLevel.PROCESS,
            realtime=level >= OrderLevel.REALTIME,
        )
    if flaw is not None and outcome.ambiguous:
        return Proof(ambiguous(found))
    if flaw is not None:
        kind = (
            "partial-order: the order that was guessed"
            if outcome.is_guessed
            else ("contradiction: the serial order of the engine")
        )
        return Proof(f"{kind} does not explain the answers: {flaw}")
    count = count_text(len(outcome.order), "transaction")
    return Proof(None, f"a serial order of {count}{KEEPS[level]} was replayed: {PROVED[level]}")


def _points(history: History, found: Evidence, model: str, rules: str) -> Proof | None:
    """Start and commit points that prove snapshot isolation; None where there is no such order."""
    outcome, micro = found.outcome, found.micro
    if outcome.graph is None or not is_small(micro, POINTS_MAX):
        return None
    process, realtime = SNAPSHOT[model]
    points = points_of(micro, outcome.graph, outcome.vertices, process=process, realtime=realtime)
    if points is None:
        return None
    starts = micro.columns.inv
    named: list[Point] = [(starts[at], "commit" if ends else "start") for at, ends in points]
    if refute_points(history, named, model=model, rules=rules) is not None:
        return None  # Versions that nobody saw were taken in a wrong order.
    count = count_text(len(points) // 2, "transaction")
    return Proof(None, f"an order of the snapshots and commits of {count} was replayed: {model}")


def _weak(found: Evidence, model: str) -> Proof | None:
    """What a weak level says; None where it says nothing of the model."""
    wanted, by_session = WEAK[model]
    for (level, sessions), each in found.weak.items():
        is_enough = level.value >= wanted.value and (sessions or not by_session)
        if each.why is None and is_enough:
            return Proof(None, each.certificate)
    if model in FREE:
        return None
    asked = found.weak.get((wanted, by_session)) or found.weak.get((wanted, True))
    if asked is None or asked.why is None:
        return Proof(f"contradiction: a weaker level than {model} does not hold")
    if model == "causal-cerone" and asked.found is not None:
        return Proof(
            "undecided: it is not causal by the order of a process, and without that order"
            " it is not judged"
        )
    return Proof(asked.why)


def _unproved(found: Evidence, model: str) -> Proof:
    """Some models can be kept where no serial order exists; then an anomaly says why none does."""
    completeness = found.completeness
    is_partial = completeness["order"] == "partial"
    if model in FREE:  # They hold if some order of versions makes no cycle; that of reads does.
        return Proof(None, f"no cycle of writes and reads contradicts {model}")
    if is_partial:
        known = f"{completeness['fraction']:.1%} of the pairs of writes are in a known order"
        return Proof(f"partial-order: {known}, and no order was found that explains every answer")
    if not found.shown or model in SERIAL:
        what = "the engine found no serial order, and nothing that forbids one"
        return Proof(f"contradiction: {what}")
    if found.outcome.cycles.undetermined:
        return Proof("budget: which of the cycles have one rw alone was not determined")
    return Proof(None, f"no cycle contradicts {model}, and the order of all versions is known")
