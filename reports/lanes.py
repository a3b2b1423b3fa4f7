"""
Which lane of the timeline an operation is drawn in.

The interpreter gives a worker whose process has become indeterminate the process number plus the
number of workers, so the remainder names the worker. Histories from elsewhere need not: there a
process takes a lane that is free again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dissever.harness.history import Operation, Process

WORKER_RULE = (
    "A lane is a worker: process p stands in lane p mod {workers}. After an info a worker goes on "
    "as process p + {workers}."
)
REUSE_RULE = "A process takes the first lane whose earlier process has ended."


@dataclass(frozen=True, slots=True)
class Lanes:
    """A lane per operation, in the order of the operations; `rule` is for the reader."""

    of: tuple[int, ...]
    count: int
    rule: str


def assign_lanes(operations: Sequence[Operation], *, workers: int, end_ns: int) -> Lanes:
    """
    Give every operation a lane in which no two operations overlap.

    Args:
        operations: Of clients, by invocation.
        workers: How many there were, 0 when nobody counted.
        end_ns: Where operations end that have no completion.
    """
    by_worker = [_number(operation.process) % max(1, workers) for operation in operations]
    if _is_free_of_overlap(operations, by_worker, end_ns):
        return Lanes(tuple(by_worker), max(1, workers), WORKER_RULE.format(workers=workers))
    of_process = _reuse(operations, end_ns)
    lanes = tuple(of_process[operation.process] for operation in operations)
    return Lanes(lanes, max(lanes, default=0) + 1, REUSE_RULE)


def end_of(operation: Operation, *, end_ns: int) -> int:
    """When an operation ended; those without a completion last to the end of the run."""
    return operation.completion.time if operation.completion else end_ns


def _number(process: Process) -> int:
    return process if isinstance(process, int) else 0


def _is_free_of_overlap(operations: Sequence[Operation], lanes: Sequence[int], end_ns: int) -> bool:
    busy_until: dict[int, int] = {}
    for operation, lane in zip(operations, lanes, strict=True):
        if operation.invocation.time < busy_until.get(lane, 0):
            return False
        busy_until[lane] = end_of(operation, end_ns=end_ns)
    return True


def _reuse(operations: Sequence[Operation], end_ns: int) -> dict[Process, int]:
    last_end: dict[Process, int] = {}
    for operation in operations:
        last_end[operation.process] = end_of(operation, end_ns=end_ns)
    lanes: dict[Process, int] = {}
    busy_until: list[int] = []
    for operation in operations:
        process, start = operation.process, operation.invocation.time
        if process in lanes:
            continue
        free = (lane for lane, until in enumerate(busy_until) if until <= start)
        lane = next(free, len(busy_until))
        busy_until[lane : lane + 1] = [last_end[process]]
        lanes[process] = lane
    return lanes
