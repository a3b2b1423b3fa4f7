"""The few numbers that stand in the head of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dissever.harness.history import Operation, Type


@dataclass(frozen=True, slots=True)
class Figures:
    """
    Numbers of all client operations of a run.

    `silence_ns` is the longest time in which no operation completed ok, with `silence_start_ns`; it
    is None where not all were looked at. Latencies are of ok operations, None when there is none.
    """

    ok: int
    fail: int
    info: int
    silence_ns: int | None
    silence_start_ns: int
    latency_p50_ns: int | None
    latency_p99_ns: int | None

    @property
    def total(self) -> int:
        """How many operations were invoked."""
        return self.ok + self.fail + self.info


def figures(operations: Sequence[Operation], *, end_ns: int) -> Figures:
    """Count the operations of a run that ended at end_ns."""
    counts = Counter(operation.type for operation in operations)
    succeeded = [
        (operation.completion.time, operation.completion.time - operation.invocation.time)
        for operation in operations
        if operation.completion is not None and operation.completion.type is Type.OK
    ]
    latencies = sorted(latency_ns for _, latency_ns in succeeded)
    moments = [0, *sorted(time_ns for time_ns, _ in succeeded), end_ns]
    silence_start_ns, silence_end_ns = max(pairwise(moments), key=lambda gap: gap[1] - gap[0])
    return Figures(
        ok=counts[Type.OK],
        fail=counts[Type.FAIL],
        info=counts[Type.INFO],
        silence_ns=max(0, silence_end_ns - silence_start_ns),
        silence_start_ns=silence_start_ns,
        latency_p50_ns=quantile(latencies, 0.5),
        latency_p99_ns=quantile(latencies, 0.99),
    )


def quantile(ordered: Sequence[int], q: float) -> int | None:
    """The smallest value that at least the share q of the ordered values does not exceed."""
    if not ordered:
        return None
    rank = -int(-q * len(ordered) // 1)
    return ordered[min(len(ordered), max(1, rank)) - 1]


def first_ok_after(operations: Sequence[Operation], time_ns: int) -> int | None:
    """When the first ok operation that was invoked at or after time_ns completed, or None."""
    return min(
        (
            operation.completion.time
            for operation in operations
            if operation.completion is not None
            and operation.completion.type is Type.OK
            and operation.invocation.time >= time_ns
        ),
        default=None,
    )
