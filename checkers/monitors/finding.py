"""
What a monitor says: that an order exists, or which few operations prove that none does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dissever.checkers.calls import Call
from dissever.checkers.models import Model


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Valid, with an order (positions in the calls) where one is known; or invalid, and why.

    `name` is that of the anomaly, `rule` the broken rule by its name in the literature, `conflict`
    the calls that break it: the last is the one that cannot be. `part` holds calls that are invalid
    alone, small enough to search; answers of reads may be cut to the elements that matter.
    """

    is_valid: bool
    order: tuple[int, ...] | None = None
    name: str = ""
    rule: str = ""
    reason: str = ""
    conflict: tuple[Call, ...] = ()
    part: tuple[Call, ...] = ()


Judge: TypeAlias = Callable[[Sequence[Call], Model], Finding | None]
"""Decides the calls of one object; None where it does not apply."""


class Invalid(Exception):
    """No linearization exists."""

    def __init__(
        self, name: str, rule: str, reason: str, conflict: Sequence[Call], part: Sequence[Call] = ()
    ) -> None:
        super().__init__(reason)
        inside = {call.inv: call for call in (*conflict, *part)}
        self.finding = Finding(
            is_valid=False,
            name=name,
            rule=rule,
            reason=reason,
            conflict=tuple(conflict),
            part=tuple(sorted(inside.values(), key=lambda call: call.inv)),
        )


Point: TypeAlias = tuple[float, float, float]
"""Where a call takes effect: a place in time, then what decides among calls of one place."""


def just_after(position: float) -> float:
    """A place after the event at a position and before the next."""
    return position + 0.25


def just_before(position: float) -> float:
    """A place before the event at a position and after the one before."""
    return position - 0.25


def by_points(calls: Sequence[Call], points: dict[int, Point]) -> tuple[int, ...]:
    """
    The calls that have a point, in the order of their points.

    Args:
        points: By the position of the invocation.
    """
    placed = sorted((points[call.inv], i) for i, call in enumerate(calls) if call.inv in points)
    return tuple(i for _, i in placed)
