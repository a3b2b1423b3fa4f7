"""The few numbers that stand in the head of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dissever.harness.history import Operation, Type
from dissever.harness.latency import Successes, ok_spans, quantile


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
    successes = Successes(ok_spans(operations))
    moments = [0, *sorted(successes.ends_ns), end_ns]
    silence_start_ns, silence_end_ns = max(pairwise(moments), key=lambda gap: gap[1] - gap[0])
    return Figures(
        ok=counts[Type.OK],
        fail=counts[Type.FAIL],
        info=counts[Type.INFO],
        silence_ns=max(0, silence_end_ns - silence_start_ns),
        silence_start_ns=silence_start_ns,
        latency_p50_ns=quantile(successes.latencies_ns, 50),
        latency_p99_ns=quantile(successes.latencies_ns, 99),
    )
