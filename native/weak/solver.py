"""
Serializability and snapshot isolation decided in C where the order of versions is not known.

For histories, or parts of them, of up to TRANSACTIONS_MAX transactions: the search is exact, and
exponential at worst.

Source: `solve.h`.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dissever.native._search import ffi, lib

from dissever.native.columns import Micro
from dissever.native.weak import Verdict, verdict_and_order

TRANSACTIONS_MAX: Final[int] = lib.SOLVE_TRANSACTIONS_MAX
CONFIGURATIONS_MAX: Final = 100_000
STEPS_MAX: Final = 5_000_000_000
WINDOW: Final = 1_000
"""Choices, and pairs and words of bits looked at, unless asked otherwise; pairs after a choice."""


class Model(Enum):
    """What is asked for; `solve.h` defines both."""

    SERIALIZABLE = lib.SOLVE_SERIALIZABLE
    SNAPSHOT = lib.SOLVE_SNAPSHOT


class Demand(Enum):
    """What an order must keep beside what was read; each includes those before it."""

    DATA = lib.SOLVE_DATA
    PROCESS = lib.SOLVE_PROCESS
    REALTIME = lib.SOLVE_REALTIME


@dataclass(frozen=True, slots=True)
class Solution:
    """
    What was decided.

    `order` is empty unless the verdict is `Verdict.VALID`. It has positions in the columns, in a
    serial order; for `Model.SNAPSHOT` points: twice a position is the start of a transaction, and
    one more its commit. `errors` reads fit no order whatever is chosen. `choices` were made, of
    `pairs` of transactions that wrote one key; `turned` of them were tried both ways.
    """

    verdict: Verdict
    order: array[int]
    errors: int
    choices: int
    turned: int
    pairs: int
    steps: int


def solve(
    micro: Micro,
    model: Model,
    demand: Demand = Demand.DATA,
    *,
    configurations_max: int = CONFIGURATIONS_MAX,
    steps_max: int = STEPS_MAX,
) -> Solution:
    """
    Decide whether some order of the transactions explains every answer.

    Returns:
        `Verdict.BUDGET` past a budget, and for more than TRANSACTIONS_MAX transactions.

    Raises:
        ValueError: When the arrays contradict each other.
        MemoryError: When it does not fit into memory.
    """
    options = ffi.new(
        "struct solve_options *", (model.value, demand.value, configurations_max, steps_max, WINDOW)
    )
    result = ffi.new("struct solve_result *")
    try:
        status = lib.solve(micro.columns.pointer(), micro.pointer(), options, result)
        settled, order = verdict_and_order(status, result)
        return Solution(
            verdict=settled,
            order=order,
            errors=result.errors_n,
            choices=result.configurations,
            turned=result.turned,
            pairs=result.pairs,
            steps=result.steps,
        )
    finally:
        lib.solve_free(result)
