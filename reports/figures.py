"""The few numbers that stand in the head of a report."""

from __future__ import annotations

from dataclasses import dataclass

from dissever.harness.history import FAIL, INFO, OK, History
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
    """Count all operations of a history; steps of the recovery say when the harness waited."""
    times, end_ns = history.times, history.duration_ns
    count = bytes(times.type).count
    successes = Successes(ok_spans(times))
    quiet = quiet_spans(times, recovery_spans(history.faults, end_ns=end_ns), end_ns=end_ns)
    silence = longest_silence(successes.ends_ns, quiet, end_ns=end_ns)
    return Figures(
        ok=count(OK),
        fail=count(FAIL),
        info=count(INFO),
        silence_ns=silence.asked_ns,
        silence_start_ns=silence.start_ns,
        silence_own_ns=silence.own_ns,
        latency_p50_ns=quantile(successes.latencies_ns, 50),
        latency_p99_ns=quantile(successes.latencies_ns, 99),
    )
