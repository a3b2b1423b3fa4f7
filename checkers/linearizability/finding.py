"""
What a monitor finds: an order, or the few operations that prove that none exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dissever.checkers.linearizability.calls import Call
from dissever.harness.history import Operation


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Valid with an order (positions in the calls); or invalid without one, and why.

    `name` is that of the anomaly, `rule` the broken rule by its name in the literature, `conflict`
    the calls that break it: the last is the one that cannot be. `part` holds calls that are invalid
    alone, small enough to search; answers of reads may be cut to the elements that matter.
    """

    order: tuple[int, ...] | None
    name: str = ""
    rule: str = ""
    reason: str = ""
    conflict: tuple[Call, ...] = ()
    part: tuple[Call, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether there is an order."""
        return self.order is not None


class Invalid(Exception):
    """No linearization exists."""

    def __init__(
        self, name: str, rule: str, reason: str, conflict: Sequence[Call], part: Sequence[Call] = ()
    ) -> None:
        super().__init__(reason)
        inside = {call.inv: call for call in (*conflict, *part)}
        every = tuple(inside[inv] for inv in sorted(inside))
        self.finding = Finding(None, name, rule, reason, tuple(conflict), every)


@dataclass(frozen=True, slots=True)
class Proof:
    """The name of an anomaly, and the operations that prove it; the last one cannot be."""

    name: str
    reason: str
    operations: tuple[Operation, ...]
