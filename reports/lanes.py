"""
Which lane each operation stands in. In a lane no two operations overlap.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from dissever.reports.drawn import Drawn

WORKER_RULE = (
    "A lane is a worker: process p stands in lane p mod {workers}. After an info a worker goes on "
    "as process p + {workers}."
)
REUSE_RULE = "A process takes the first lane whose earlier process has ended."


@dataclass(frozen=True, slots=True)
class Lanes:
    """A lane per operation, in the order of the operations; `rule` is for the reader."""

    of: Sequence[int]
    count: int
    rule: str


def assign_lanes(operations: Drawn, *, workers: int) -> Lanes:
    """
    Give every operation a lane in which no two operations overlap.

    Args:
        workers: How many there were, 0 when nobody counted.
    """
    count = max(1, workers)
    by_worker = array("q", (process % count for process in operations.process))
    if _is_free_of_overlap(operations, by_worker, count):
        return Lanes(by_worker, count, WORKER_RULE.format(workers=workers))
    of_process = _reuse(operations)
    lanes = array("q", map(of_process.__getitem__, operations.process))
    return Lanes(lanes, max(lanes, default=0) + 1, REUSE_RULE)


def _is_free_of_overlap(operations: Drawn, lanes: Sequence[int], count: int) -> bool:
    busy_until = [0] * count
    for lane, start, end in zip(lanes, operations.start_us, operations.end_us, strict=True):
        if start < busy_until[lane]:
            return False
        busy_until[lane] = end
    return True


def _reuse(operations: Drawn) -> dict[int, int]:
    last_end = dict(zip(operations.process, operations.end_us, strict=True))
    lanes: dict[int, int] = {}
    busy_until: list[int] = []
    for process, start in zip(operations.process, operations.start_us, strict=True):
        if process in lanes:
            continue
        free = (lane for lane, until in enumerate(busy_until) if until <= start)
        lane = next(free, len(busy_until))
        busy_until[lane : lane + 1] = [last_end[process]]
        lanes[process] = lane
    return lanes
