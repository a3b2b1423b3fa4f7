"""
Every serial order of a few transactions, tried one after another.

It confirms that there is none where no single cycle shows it: whichever order of the versions is
taken, there is a cycle. What has no serial order has none within a larger history either, as long
as each value that is read is written in it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from dissever.checkers.transactions.recorded import Transaction, transactions
from dissever.harness.history import History

STEPS_MAX: Final = 100_000
"""Transactions that are carried out, over all orders together."""

State: TypeAlias = dict[Hashable, Any]


@dataclass(slots=True)
class _Orders:
    transactions: Sequence[Transaction]
    before: Sequence[frozenset[int]]
    is_append: bool
    steps: int = 0
    failed: set[tuple[frozenset[int], Hashable]] = field(default_factory=set)

    def exists(self, placed: frozenset[int], state: State) -> bool:
        """
        Whether an order goes on from here to its end.

        Raises:
            TimeoutError: When STEPS_MAX were carried out.
        """
        left = [at for at in range(len(self.transactions)) if at not in placed]
        if not any(self.transactions[at].is_ok for at in left):
            return True
        known = (placed, frozenset(state.items()))
        if known in self.failed:
            return False
        for at in left:
            if self.before[at] <= placed:
                self.steps += 1
                if self.steps > STEPS_MAX:
                    raise TimeoutError(f"{STEPS_MAX:,} steps were not enough")
                after = self._after(self.transactions[at], state)
                if after is not None and self.exists(placed | {at}, after):
                    return True
        self.failed.add(known)
        return False

    def _after(self, each: Transaction, state: State) -> State | None:
        """The state after a transaction, or None where it does not read what there is."""
        state = dict(state)
        for micro in each.micros:
            held: Any = state.get(micro.key, () if self.is_append else None)
            if not micro.is_read:
                state[micro.key] = (*held, micro.value) if self.is_append else micro.value
            elif each.is_ok and held != micro.value:
                return None
        return state


def has_serial_order(history: History, *, rules: str, process: bool, realtime: bool) -> bool | None:
    """
    Whether the transactions of a small history could have run one after another.

    Args:
        process, realtime: What else the order must keep.

    Returns:
        None where there are too many orders.
    """
    some = [each for each in transactions(history, rules=rules).values() if each.may_count]
    before = [
        frozenset(
            at
            for at, other in enumerate(some)
            if (process and other.precedes(each)) or (realtime and other.is_before(each))
        )
        for each in some
    ]
    try:
        return _Orders(some, before, rules == "append").exists(frozenset(), {})
    except (TimeoutError, RecursionError):
        return None
