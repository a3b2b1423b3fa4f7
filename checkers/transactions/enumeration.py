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

from dissever.harness.history import History, Operation, Type
from dissever.harness.values import freeze

STEPS_MAX: Final = 100_000
"""Transactions that are carried out, over all orders together."""

State: TypeAlias = dict[Hashable, Hashable]


@dataclass(slots=True)
class _Orders:
    operations: Sequence[Operation]
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
        left = [at for at in range(len(self.operations)) if at not in placed]
        if not any(self.operations[at].type is Type.OK for at in left):
            return True
        known = (placed, frozenset(state.items()))
        if known in self.failed:
            return False
        for at in left:
            if self.before[at] <= placed:
                self.steps += 1
                if self.steps > STEPS_MAX:
                    raise TimeoutError(f"{STEPS_MAX:,} steps were not enough")
                after = _after(self.operations[at], state, is_append=self.is_append)
                if after is not None and self.exists(placed | {at}, after):
                    return True
        self.failed.add(known)
        return False


def has_serial_order(history: History, *, rules: str, process: bool, realtime: bool) -> bool | None:
    """
    Whether the transactions of a small history could have run one after another.

    Args:
        process, realtime: What else the order must keep.

    Returns:
        None where there are too many orders.
    """
    operations = [each for each in history.operations if each.type is not Type.FAIL]
    before = [
        frozenset(
            at
            for at, other in enumerate(operations)
            if _precedes(other, each, process=process, realtime=realtime)
        )
        for each in operations
    ]
    try:
        return _Orders(operations, before, rules == "append").exists(frozenset(), {})
    except (TimeoutError, RecursionError):
        return None


def _precedes(one: Operation, other: Operation, *, process: bool, realtime: bool) -> bool:
    if one.type is not Type.OK or one.completion is None:
        return False
    first = one.invocation.index < other.invocation.index
    return (process and first and one.process == other.process) or (
        realtime and one.completion.time < other.invocation.time
    )


def _after(each: Operation, state: State, *, is_append: bool) -> State | None:
    """The state after a transaction, or None where it does not read what there is."""
    state = dict(state)
    nothing: Any = () if is_append else None
    for f, name, value in each.value:
        key = freeze(name)
        held: Any = state.get(key, nothing)
        if f not in ("r", "read"):
            state[key] = (*held, freeze(value)) if is_append else freeze(value)
        elif each.type is Type.OK and held != (nothing if value is None else freeze(value)):
            return None
    return state
