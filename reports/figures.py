"""The few numbers that stand in the head of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dissever.harness.history import History, Operation, Type
from dissever.harness.latency import (
    Successes,
    longest_silence,
    ok_spans,
    quantile,
    quiet_spans,
    recovery_spans,
)


@dataclass(frozen=True, slots=True)
class Figures:
    """
    Numbers of all client operations of a run.

    `silence_ns` is the longest time in which clients asked and no operation completed ok. It began
    at `silence_start_ns`. For `silence_own_ns` more no client asked anything, which is the
    harness's own silence. It is None where not all operations were looked at. Latencies are of ok
    operations, None when there is none.
    """

    ok: int
    fail: int
    info: int
    silence_ns: int | None
    silence_start_ns: int
    latency_p50_ns: int | None
    latency_p99_ns: int | None
    silence_own_ns: int = 0

    @property
    def total(self) -> int:
        """How many operations were invoked."""
        return self.ok + self.fail + self.info


def figures_of(history: History) -> Figures:
    """Count all operations of a history."""
    return figures(history.operations, end_ns=history.duration_ns, faults=history.faults)


def figures(
    operations: Sequence[Operation], *, end_ns: int, faults: Sequence[Operation] = ()
) -> Figures:
    """
    Count the operations of a run that ended at end_ns.

    Args:
        faults: The operations of nemeses. Those of the recovery say when the harness waited.
    """
    counts = Counter(operation.type for operation in operations)
    successes = Successes(ok_spans(operations))
    quiet = quiet_spans(operations, recovery_spans(faults, end_ns=end_ns), end_ns=end_ns)
    silence = longest_silence(successes.ends_ns, quiet, end_ns=end_ns)
    return Figures(
        ok=counts[Type.OK],
        fail=counts[Type.FAIL],
        info=counts[Type.INFO],
        silence_ns=silence.asked_ns,
        silence_start_ns=silence.start_ns,
        silence_own_ns=silence.own_ns,
        latency_p50_ns=quantile(successes.latencies_ns, 50),
        latency_p99_ns=quantile(successes.latencies_ns, 99),
    )
