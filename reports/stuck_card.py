"""What a recovery waited for in vain: which nodes did what, and what had happened to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dissever.harness.episodes import (
    PROGRESS,
    WAITED_FOR,
    Episodes,
    evidence,
    report,
    targets,
    waited_of,
)
from dissever.harness.history import Operation
from dissever.harness.values import printable, shorten
from dissever.reports.details import UnaskedEnd
from dissever.reports.labels import duration_text, time_text

TEXT_CHARACTERS_MAX = 300
FAULTS_MAX = 3
ALONE_NOT = "acknowledged no write when asked alone"


@dataclass(frozen=True, slots=True)
class NodeRow:
    """
    One node when it was waited for. `state` is a word or two; `is_odd` marks what was missed.

    `before` says how its process had ended and which faults had struck it last.
    """

    node: str
    state: str
    is_odd: bool
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StuckCard:
    """
    What was waited for, from when, for how long, what was missing, and the nodes.

    `looked`: how long it was then looked which nodes served, empty where nobody did. `is_compared`:
    the states of the nodes are what their replicas held.
    """

    waited_for: str
    since: str
    waited: str
    missing: str
    rows: tuple[NodeRow, ...]
    looked: str = ""
    is_compared: bool = False


def stuck_card(
    operation: Operation, found: Episodes, ends: Sequence[UnaskedEnd], nodes: Sequence[str]
) -> StuckCard:
    """The card of an operation of the recovery that waited in vain."""
    asked, completion = operation.invocation, operation.completion
    held = replicas_of(operation)
    seen = {
        word: evidence(operation).get(key, ())
        for word, key in (
            ("did not run", "gone"),
            ("stood still", "paused"),
            (ALONE_NOT, "silent"),
        )
    }
    value = asked.value if isinstance(asked.value, Mapping) else {}
    named = value.get("nodes") or nodes
    usual = max(held.values(), key=list(held.values()).count, default="")
    rows = []
    for node in map(str, named):
        words = next((word for word, those in seen.items() if node in those), "")
        if node in held:
            state = f"holds {held[node]}"
            rows.append(_row(node, state, held[node] != usual, found, ends, asked.time))
        else:
            words, is_odd = (words, True) if words else _fine(operation, seen)
            rows.append(_row(node, words, is_odd, found, ends, asked.time))
    waited_ns = waited_of(operation)
    missing = report(operation).get("missing") or (completion.error if completion else "")
    return StuckCard(
        waited_for=WAITED_FOR.get(operation.f, operation.f),
        since=time_text(asked.time),
        waited="" if waited_ns is None else duration_text(waited_ns),
        missing=shorten(printable(str(missing or "")), TEXT_CHARACTERS_MAX),
        rows=tuple(rows),
        looked=_looked(operation, waited_ns, is_asked=bool(seen[ALONE_NOT])),
        is_compared=bool(held),
    )


def replicas_of(operation: Operation) -> dict[str, str]:
    """Node -> what its replica held, in words or as a digest; empty where nobody compared."""
    replicas = report(operation).get("replicas")
    if not isinstance(replicas, Mapping):
        return {}
    return {str(node): shorten(printable(str(held)), 20) for node, held in replicas.items()}


def _fine(operation: Operation, seen: Mapping[str, Sequence[str]]) -> tuple[str, bool]:
    """What a node did that nothing else is known of, and whether that was missed."""
    if operation.f == PROGRESS:
        return "acknowledged no write", True
    return (
        ("acknowledged a write when asked alone", False)
        if seen[ALONE_NOT]
        else ("was asked", False)
    )


def _looked(operation: Operation, waited_ns: int | None, *, is_asked: bool) -> str:
    """How long each node was asked alone, once the wait was over."""
    if waited_ns is None or operation.completion is None or not is_asked:
        return ""
    more_ns = operation.completion.time - operation.invocation.time - waited_ns
    return duration_text(more_ns) if more_ns > 0 else ""


def _row(
    node: str, state: str, is_odd: bool, found: Episodes, ends: Sequence[UnaskedEnd], time_ns: int
) -> NodeRow:
    ended = [
        f"its process ended by itself ({end.signal or f'exit status {end.exit_status}'}"
        f"{'' if end.time_ns is None else f' at {time_text(end.time_ns)}'})"
        for end in ends
        if end.node == node and (end.time_ns is None or end.time_ns <= time_ns)
    ]
    struck = [
        f"{each.fault} until {time_text(each.end_ns)}"
        for each in found.strikes
        if node in targets(each.injection) and each.start_ns <= time_ns
    ]
    return NodeRow(node, state, is_odd, (*ended[-1:], *struck[-FAULTS_MAX:]))
