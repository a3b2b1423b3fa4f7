"""
Queues, bags, stacks and priority queues judged in C, from flat arrays.

Source: `containers.h`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from dissever.native._search import ffi, lib

from dissever.native.columns import int32_pointer

NEVER: Final[int] = lib.CONTAINERS_NEVER
"""The return of an operation that crashed."""

NOTHING: Final = -1
"""The value of a take that found nothing, or crashed."""


class Kind(Enum):
    """What a container gives first."""

    QUEUE = lib.CONTAINERS_QUEUE
    BAG = lib.CONTAINERS_BAG
    STACK = lib.CONTAINERS_STACK
    PRIORITY = lib.CONTAINERS_PRIORITY


class Rule(Enum):
    """Which rule is broken; each is explained at `enum containers_rule`."""

    FINE = lib.CONTAINERS_FINE
    FRESH = lib.CONTAINERS_FRESH
    FUTURE = lib.CONTAINERS_FUTURE
    AGAIN = lib.CONTAINERS_AGAIN
    ORDER = lib.CONTAINERS_ORDER
    EMPTY = lib.CONTAINERS_EMPTY
    BOTTOM = lib.CONTAINERS_BOTTOM
    COVERED = lib.CONTAINERS_COVERED
    MATCH = lib.CONTAINERS_MATCH


@dataclass(frozen=True, slots=True)
class Operations:
    """
    The operations of one container, in any order.

    `is_take` holds a byte each, 0 or 1. `value` holds ids below `values`, or NOTHING; `inv` and
    `ret` distinct positions below `positions`, or NEVER for `ret`. `rank` is for `Kind.PRIORITY`
    alone, by value id and below `values`: the greater is taken first.
    """

    is_take: bytes
    value: array[int]
    inv: array[int]
    ret: array[int]
    rank: array[int]
    values: int
    positions: int

    def __len__(self) -> int:
        return len(self.is_take)

    def pointer(self) -> tuple[Any, dict[str, Any]]:
        """A `struct containers_problem *`, and what it points to, which must outlive it."""
        kept = {
            name: int32_pointer(getattr(self, name)) for name in ("value", "inv", "ret", "rank")
        }
        kept["is_take"] = ffi.from_buffer("int8_t[]", self.is_take)
        sizes = {"n": len(self), "n_values": self.values, "n_positions": self.positions}
        problem = ffi.new("struct containers_problem *", sizes | kept)
        return problem, kept


@dataclass(frozen=True, slots=True)
class Judged:
    """
    The outcome of one container.

    `is_valid` is None where it is left open (`containers.h` says when). `order` is a linearization
    of what is valid, empty otherwise; `rule` is `Rule.FINE` unless it is invalid. `part`
    holds operations that are invalid alone, the last one being the one that cannot be. Both are
    positions in the arrays.
    """

    is_valid: bool | None
    rule: Rule
    order: Sequence[int]
    part: tuple[int, ...]


def judge_container(kind: Kind, operations: Operations) -> Judged:
    """
    Judge; see `containers.h` for when it is left open.

    Raises:
        ValueError: When the arrays contradict each other.
        MemoryError: When it does not fit into memory.
    """
    problem, _kept = operations.pointer()
    order, part = (array("i", bytes(4 * len(operations))) for _ in range(2))
    finding = ffi.new("struct containers_finding *")
    verdict = lib.containers_judge(
        kind.value, problem, int32_pointer(order), int32_pointer(part), finding
    )
    if verdict == lib.CONTAINERS_MALFORMED:
        raise ValueError("the positions, values or ranks contradict each other")
    if verdict == lib.CONTAINERS_MEMORY:
        raise MemoryError("the operations do not fit into memory")
    verdicts = {lib.CONTAINERS_VALID: True, lib.CONTAINERS_INVALID: False}
    return Judged(
        verdicts.get(verdict),
        Rule(finding.rule),
        order[: finding.order_length],
        tuple(part[: finding.part_length]),
    )


def replays(kind: Kind, operations: Operations, order: Sequence[int]) -> bool:
    """
    Whether an order is a linearization, done step by step.

    Raises:
        MemoryError: When it does not fit into memory.
    """
    problem, _kept = operations.pointer()
    steps = array("i", order)
    fits = lib.containers_replay(kind.value, problem, int32_pointer(steps), len(steps))
    if fits < 0:
        raise MemoryError("the operations do not fit into memory")
    return bool(fits)
