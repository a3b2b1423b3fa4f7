"""
What was judged: verdicts, anomalies, and how several checkers make one verdict.

Verdicts are ordered valid < unknown < invalid, and several give the greatest. So unknown never
hides an invalid one, and is never shown as valid. Every result says why.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable
from enum import Enum
from functools import total_ordering
from typing import Any, Final, Protocol

import msgspec

from dissever.harness.history import Event, History, Key, Operation
from dissever.harness.notebook import results_html
from dissever.harness.values import freeze


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

    @property
    def glyph(self) -> str:
        """What stands for the word where colours cannot: `✓`, `?` or `✗`."""
        return _GLYPHS[self]


_GLYPHS = {Verdict.VALID: "✓", Verdict.UNKNOWN: "?", Verdict.INVALID: "✗"}
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


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """
    One wrong answer, as a table shows it; both operations by the indices of their invocations.

    `value` is what `answer` got, or what it missed, as people read it. `against` contradicts it:
    the write that had overwritten the value, the add that had been acknowledged; None where no
    single operation does. `expected` is the right answer, empty where there is not one alone.
    """

    answer: int
    value: str
    against: int | None = None
    expected: str = ""


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
    in its value, from 0. Appends of others are among them if a list that was read lacks their
    element there. `smallest_history` makes that history. `signature` says which kind of failure it
    is, and is equal across runs; it is empty until all checkers have said what they found. `wrong`
    are the answers that cannot be, worst or first ones first; `wrong_count` counts all of them.
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
    signature: str = ""
    wrong: tuple[Wrong, ...] = ()
    wrong_count: int = 0


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
    `signature` is that of the first anomaly, or of the first result that makes it unknown; empty
    when it is valid.
    """

    verdict: Verdict
    why: str
    results: tuple[Result, ...]
    history_sha256: str = ""
    signature: str = ""

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        return results_html(self)


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

    Its events keep their indices and times, so those of others are missing in between. Lists that
    were read lack the elements whose appends are left out.
    """
    starts = {start: position for position, start in enumerate(history.columns.inv)}

    def at(index: int) -> Operation:
        return history.operation(starts[index])

    left_out = set(anomaly.smallest_without)
    elements = appended(at(index).value[place] for index, place in left_out)
    events = (event for index in anomaly.smallest for event in cut(at(index), left_out, elements))
    return History(sorted(events, key=lambda event: event.index))


def appended(micro_operations: Iterable[Any]) -> set[Hashable]:
    """What these append: each a key and a value, frozen."""
    return {freeze([each[1], each[2]]) for each in micro_operations if each[0] == "append"}


def cut(
    operation: Operation,
    left_out: Container[tuple[int, int]],
    elements: Container[Hashable] = frozenset(),
) -> tuple[Event, ...]:
    """
    The events of a transaction without some of its micro-operations.

    Args:
        left_out: Each the index of an invocation, and the position in its value.
        elements: As `appended`: they are left out of the lists that it read.
    """
    index = operation.invocation.index

    def without(event: Event) -> Event:
        if not isinstance(event.value, list):
            return event
        kept = [each for at, each in enumerate(event.value) if (index, at) not in left_out]
        return msgspec.structs.replace(event, value=[_shorter(each, elements) for each in kept])

    events = (operation.invocation, operation.completion)
    return tuple(without(event) for event in events if event is not None)


def _shorter(micro_operation: Any, elements: Container[Hashable]) -> Any:
    """A read of a list without some elements."""
    f, key, value, *rest = micro_operation
    if f not in ("r", "read") or not isinstance(value, list):
        return micro_operation
    return [f, key, [each for each in value if freeze([key, each]) not in elements], *rest]


CAUSES: Final = ("nodes", "logs", "invariants")
"""The checkers whose anomalies may be why others found something. They come first."""

CONSEQUENCES: Final = ("liveness",)
"""The checkers whose anomalies others may explain. They come last."""


def by_cause(results: Iterable[Result]) -> list[Result]:
    """The same, those that are invalid first: causes, then what was answered, then consequences."""

    def place(result: Result) -> tuple[bool, int]:
        is_cause, is_consequence = result.checker in CAUSES, result.checker in CONSEQUENCES
        rank = CAUSES.index(result.checker) if is_cause else len(CAUSES) + is_consequence
        is_invalid = result.verdict is Verdict.INVALID
        return not is_invalid, rank if is_invalid else 0

    return sorted(results, key=place)


def merge(results: Iterable[Result]) -> Results:
    """The greatest verdict, and the reasons of those checkers that gave it, causes first."""
    every = tuple(results)
    if not every:
        return Results(verdict=Verdict.UNKNOWN, why="nothing was checked", results=())
    verdict = max(result.verdict for result in every)
    worst = [result for result in by_cause(every) if result.verdict is verdict]
    reasons = [f"{result.checker}: {result.why}" for result in worst]
    why = "every checker is content" if verdict is Verdict.VALID else "; ".join(reasons)
    return Results(verdict=verdict, why=why, results=every)
