"""
What was planned, as values that can be kept, and the generators that play it.

Faults are processes of their own: each plays its operations in order, so a healing never overtakes
its injection, and one that is late delays no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from dissever.harness.client import Invocation
from dissever.harness.generator import Generator, nemesis, phases
from dissever.nemesis.faults import healing_order
from dissever.nemesis.plans.anchors import AnchoredOp, anchored, anchored_op

__all__ = ["PlannedOp", "final", "generator"]


class PlannedOp(msgspec.Struct, frozen=True):
    """One operation of a fault. `offset_ns` counts from the start of the run, as events do."""

    offset_ns: int
    process: str
    f: str
    value: Any = None


def generator(plan: Sequence[PlannedOp], start_ns: int = 0) -> Generator:
    """
    Play the plan on the nemesis threads that it names.

    An operation comes at its time, or as soon as its process is free; one with an anchor after that
    was reached, and at its time plus what it may wait if it is not.

    Args:
        start_ns: The time of the run that offsets count from.
    """
    lanes: dict[str, list[AnchoredOp]] = {}
    for op in sorted(plan, key=lambda op: op.offset_ns):
        step = Invocation(op.f, op.value, process=op.process, time=start_ns + op.offset_ns)
        lanes.setdefault(op.process, []).append(anchored_op(step))
    return anchored(lanes)


def final(faults: Iterable[str]) -> Generator:
    """
    Heal every fault, once more where it is healed, one after another; completions carry evidence.

    Raises:
        ValueError: For a name that there is not.
    """
    asked = healing_order(faults)
    return nemesis(phases(*(Invocation(each.steps[-1], process=each.name) for each in asked)))
