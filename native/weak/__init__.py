"""
Read committed, read atomic and causal consistency decided in C, from columns and micro-operations.

A level says nothing of how long a read may be out of date: a valid order is one that the rule of
the level allows, whatever the clocks said.

Source: `weak.h`, which defines the levels and says what a transaction, a session and a list are.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from dissever.native._search import ffi, lib

from dissever.native.columns import Micro

INITIAL: Final[int] = lib.WEAK_INITIAL
"""The operation that wrote the initial values, in errors and steps."""

NOWHERE: Final[int] = lib.WEAK_NOWHERE
"""In `at` and `other_at`: no micro-operation."""

ERRORS_MAX: Final = 1_000
STEPS_MAX: Final = 20_000_000_000
"""Errors that are kept, and transactions times sessions that are tried, unless asked otherwise."""


class Level(Enum):
    """How much a transaction sees; each implies those before it. `weak.h` defines them."""

    READ_COMMITTED = lib.WEAK_READ_COMMITTED
    READ_ATOMIC = lib.WEAK_READ_ATOMIC
    CAUSAL = lib.WEAK_CAUSAL


class Verdict(Enum):
    """Each is explained at `enum weak_verdict`; what raises has none."""

    VALID = lib.WEAK_VALID
    INVALID = lib.WEAK_INVALID
    AMBIGUOUS = lib.WEAK_AMBIGUOUS
    BUDGET = lib.WEAK_BUDGET


class Wrong(Enum):
    """What one read shows to be wrong; each is explained at `enum weak_anomaly`."""

    INTERNAL = lib.WEAK_INTERNAL
    FUTURE_READ = lib.WEAK_FUTURE_READ
    PHANTOM = lib.WEAK_PHANTOM
    ABORTED_READ = lib.WEAK_ABORTED_READ
    INTERMEDIATE = lib.WEAK_INTERMEDIATE
    UNREPEATABLE = lib.WEAK_UNREPEATABLE
    DUPLICATE = lib.WEAK_DUPLICATE
    INCOMPATIBLE = lib.WEAK_INCOMPATIBLE
    TORN = lib.WEAK_TORN


class Kind(Enum):
    """Why one transaction comes before another; each is explained at `enum weak_kind`."""

    SESSION = lib.WEAK_SESSION
    WR = lib.WEAK_WR
    WW = lib.WEAK_WW
    COMMIT = lib.WEAK_COMMIT


@dataclass(frozen=True, slots=True)
class Error:
    """
    One read that no order explains.

    `operation` and `other` are positions in the columns, `at` and `other_at` positions in the
    micro-operations, or NOWHERE; `value` is the id of the value or element, -1 for none.
    """

    wrong: Wrong
    operation: int
    at: int
    value: int
    other: int
    other_at: int


@dataclass(frozen=True, slots=True)
class Step:
    """
    Why `source` comes before `target`, both positions in the columns, or INITIAL.

    `key` is the number of a key, -1 for a session. `at` is the micro-operation that shows it, or
    NOWHERE. A step of `Kind.COMMIT` says: a third transaction read at `at` what `target` wrote, and
    `why` are the steps of sessions and reads from `source` to that third transaction.
    """

    source: int
    target: int
    kind: Kind
    key: int
    at: int
    why: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What is so of one level.

    `errors` are the first of `errors_n`. `walk` is closed: each step begins where the one before it
    ended, and the first where the last one ended. `order` has all transactions of a valid history
    in a commit order, as positions in the columns. `ambiguous` keys were left out.
    """

    level: Level
    verdict: Verdict
    errors: tuple[Error, ...]
    errors_n: int
    walk: tuple[Step, ...]
    order: array[int]
    ambiguous: int
    edges: int
    transactions: int


def judge_level(
    micro: Micro,
    level: Level,
    *,
    sessions: bool = True,
    errors_max: int = ERRORS_MAX,
    steps_max: int = STEPS_MAX,
) -> Outcome:
    """
    Judge a history of transactions by a level; see `weak.h`.

    Args:
        micro: The transactions (`History.micro`).
        sessions: Whether what one process did stays in order. Causal consistency needs it.
        errors_max: How many errors to keep; all are counted.
        steps_max: The budget of `Level.CAUSAL`, in transactions times sessions.

    Raises:
        ValueError: When the arrays contradict each other, there are more than 2^31 - 2
            micro-operations, or causal consistency is asked for without sessions.
        MemoryError: When it does not fit into memory.
    """
    if level is Level.CAUSAL and not sessions:
        raise ValueError("expected sessions for causal consistency, got sessions=False")
    options = ffi.new(
        "struct weak_options *", (level.value, int(not sessions), errors_max, steps_max)
    )
    result = ffi.new("struct weak_result *")
    try:
        status = lib.weak_judge(micro.columns.pointer(), micro.pointer(), options, result)
        settled, order = verdict_and_order(status, result)
        return Outcome(
            level=level,
            verdict=settled,
            errors=tuple(_error(result.errors[i]) for i in range(result.errors_told)),
            errors_n=result.errors_n,
            walk=tuple(_step(result.walk[i], result.whys) for i in range(result.walk_n)),
            order=order,
            ambiguous=result.ambiguous_n,
            edges=result.edges_n,
            transactions=result.transactions,
        )
    finally:
        lib.weak_free(result)


def verdict_and_order(status: int, result: Any) -> tuple[Verdict, array[int]]:
    """
    What the status of a call means, and the `order` of its result.

    Raises:
        ValueError: When the arrays contradict each other.
        MemoryError: When it does not fit into memory.
    """
    if status == lib.WEAK_MALFORMED:
        raise ValueError("the columns and micro-operations contradict each other")
    if status == lib.WEAK_MEMORY:
        raise MemoryError("the transactions do not fit into memory")
    order = array("i")
    order.frombytes(ffi.buffer(result.order, 4 * result.order_n)[:])
    return Verdict(status), order


def _error(error: Any) -> Error:
    wrong = Wrong(error.anomaly)
    return Error(wrong, error.operation, error.at, error.value, error.other, error.other_at)


def _step(step: Any, whys: Any) -> Step:
    why = tuple(_step(whys[step.why + i], whys) for i in range(step.why_length))
    return Step(step.source, step.target, Kind(step.kind), step.key, step.at, why)
