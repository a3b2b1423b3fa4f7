"""
What was judged: verdicts, anomalies, and how several checkers make one verdict.

Verdicts are ordered valid < unknown < invalid, and several give the greatest. So unknown never
hides an invalid one, and is never shown as valid. Every result says why.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from enum import Enum
from functools import total_ordering
from typing import Any, Protocol

import msgspec

from dissever.harness.history import Event, History, Key, Operation


@total_ordering
class Verdict(Enum):
    """Ordered by severity, valid < unknown < invalid; files hold the word."""

    VALID = "valid"
    UNKNOWN = "unknown"
    INVALID = "invalid"

    def __lt__(self, other: Verdict) -> bool:
        return _SEVERITY[self] < _SEVERITY[other]

    @property
    def word(self) -> str:
        """`valid`, `unknown` or `invalid`."""
        return self.value


_SEVERITY = {verdict: severity for severity, verdict in enumerate(Verdict)}


class Step(msgspec.Struct, frozen=True):
    """One sentence of an explanation, and the events that it speaks of."""

    text: str
    indices: tuple[int, ...] = ()


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """
    A partial linearization: an order that fits every answer in it, and where it comes to its end.

    `indices` are invocations in the order in which they take effect, after `left_out` earlier ones;
    `states` says what the object then holds after each, `holds` what it holds at the end. `blocked`
    is the operation that had returned by then and is not in it, None when there is none; `refused`
    are all that could have come next and that the last state refuses.
    """

    indices: tuple[int, ...]
    states: tuple[str, ...]
    left_out: int = 0
    holds: str
    blocked: int | None = None
    refused: tuple[int, ...] = ()


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """
    One step of a cycle: why one transaction must come before the next.

    `source` and `target` are the indices of their invocations. `kind` is `ww`, `wr`, `rw`,
    `process` or `realtime`, or of a weak model `session` or `commit`. `text` is the reason as a
    sentence. `cited` are the micro-operations that it follows from: each the index of an event,
    and the position in its value, from 0.
    """

    source: int
    target: int
    kind: str
    key: Any = None
    text: str = ""
    cited: tuple[tuple[int, int], ...] = ()


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that no correct system can have answered.

    `name` is the literature's (`lost-update`), `summary` one sentence for a newcomer. `indices` are
    the guilty events; `context` the events around them that a reader needs, guilty ones included.
    `confirmation` is one sentence: what else found it impossible, or why nothing else was asked.
    `orders` are the longest partial linearizations, longest first: the first that has an operation
    is the longest found with it. They are all there are if `orders_complete`. `cycle` is one of
    transactions: each edge begins where the one before it ends. `smallest` are the invocations of
    the smallest history found that still has the anomaly, and `smallest_without` the
    micro-operations that it leaves out of them: each the index of the invocation, and the position
    in its value, from 0. `smallest_history` makes that history.
    """

    name: str
    summary: str
    indices: tuple[int, ...]
    context: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()
    key: Key | None = None
    confirmation: str = ""
    orders: tuple[Order, ...] = ()
    orders_complete: bool = False
    cycle: tuple[Edge, ...] = ()
    smallest: tuple[int, ...] = ()
    smallest_without: tuple[tuple[int, int], ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one checker says. `why` is one sentence, also for valid.

    `details` holds the checker's own numbers, as JSON values.
    """

    checker: str
    verdict: Verdict
    why: str
    anomalies: tuple[Anomaly, ...] = ()
    details: dict[str, Any] = {}


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """
    What all checkers of a run say.

    `history_sha256` is the digest of the file that they judged, empty when it came from no file.
    """

    verdict: Verdict
    why: str
    results: tuple[Result, ...]
    history_sha256: str = ""


class Budget(msgspec.Struct, frozen=True):
    """
    How much one checker may spend; past it the result is unknown, with how far it got.

    Configurations and bytes do not depend on the machine's speed; a verdict depends on these alone.
    """

    configurations: int = 20_000_000
    memory_bytes: int = 1 << 30


class Checker(Protocol):
    """A pure function from a history to a result."""

    def __call__(self, history: History, budget: Budget) -> Result:
        """Judge the history. Raises only on a bug of its own."""


def smallest_history(history: History, anomaly: Anomaly) -> History:
    """
    The smallest history found that still has the anomaly; empty when none was looked for.

    Its events keep their indices and times, so those of others are missing in between.
    """
    wanted, left_out = set(anomaly.smallest), set(anomaly.smallest_without)
    starts = {start: position for position, start in enumerate(history.columns.inv)}
    positions = sorted(starts[start] for start in wanted if start in starts)
    return History(
        sorted(
            (
                event
                for position in positions
                for event in cut(history.operation(position), left_out)
            ),
            key=lambda event: event.index,
        )
    )


def cut(operation: Operation, left_out: Container[tuple[int, int]]) -> tuple[Event, ...]:
    """
    The events of a transaction without some of its micro-operations.

    Args:
        left_out: Each the index of an invocation, and the position in its value.
    """
    index = operation.invocation.index
    events = (operation.invocation, operation.completion)
    return tuple(
        msgspec.structs.replace(
            event,
            value=[each for at, each in enumerate(event.value) if (index, at) not in left_out],
        )
        if isinstance(event.value, list)
        else event
        for event in events
        if event is not None
    )


def merge(results: Iterable[Result]) -> Results:
    """The greatest verdict, and the reasons of those checkers that gave it."""
    every = tuple(results)
    if not every:
        return Results(verdict=Verdict.UNKNOWN, why="nothing was checked", results=())
    verdict = max(result.verdict for result in every)
    reasons = [f"{result.checker}: {result.why}" for result in every if result.verdict == verdict]
    why = "every checker is content" if verdict is Verdict.VALID else "; ".join(reasons)
    return Results(verdict=verdict, why=why, results=every)
