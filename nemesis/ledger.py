"""
Which nodes our faults have struck, and never more of them at a time than the budget.

A node is entered before it is touched and taken out when it is seen to be back, so whatever fails
in between, healing knows of it. Faults that take nodes down share one ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from dissever.nemesis.targets import minority_size

__all__ = ["Ledger"]


class Ledger:
    """Node -> the fault that has struck it."""

    def __init__(self, nodes: Sequence[str], budget: int | None = None) -> None:
        """`budget`: at most this many nodes at a time; None: a minority."""
        self.budget = minority_size(len(nodes)) if budget is None else budget
        self._nodes = tuple(nodes)
        self._reasons: dict[str, str] = {}

    @property
    def reasons(self) -> Mapping[str, str]:
        """Node -> the fault that has struck it."""
        return dict(self._reasons)

    @property
    def room(self) -> int:
        """How many more nodes may be struck now."""
        return max(0, self.budget - len(self._reasons))

    def of(self, fault: str) -> tuple[str, ...]:
        """The nodes that a fault has struck, in order."""
        return tuple(node for node in self._nodes if self._reasons.get(node) == fault)

    def take(self, fault: str, nodes: Iterable[str]) -> None:
        """Enter nodes that are not struck and for which there is room."""
        taken = tuple(nodes)
        assert len(taken) <= self.room
        assert not any(node in self._reasons for node in taken)
        self._reasons.update(dict.fromkeys(taken, fault))

    def give_back(self, node: str) -> None:
        """The node is itself again."""
        self._reasons.pop(node, None)

    async def bring_back(self, fault: str, undo: Callable[[str], Awaitable[object]]) -> None:
        """
        Undo a fault on each of its nodes, and give back those where that went well.

        Raises:
            Exception: What the first one raised that did not; the others are back then.
        """
        nodes = self.of(fault)
        ends = await asyncio.gather(*(undo(node) for node in nodes), return_exceptions=True)
        errors = [end for end in ends if isinstance(end, BaseException)]
        for node, end in zip(nodes, ends, strict=True):
            if not isinstance(end, BaseException):
                self.give_back(node)
        if errors:
            raise errors[0]
