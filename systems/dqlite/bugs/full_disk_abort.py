"""
The leader aborts when its disk is full: what the others have committed can no longer fail.

A leader writes an entry to its disk while it sends it. When the followers are faster, they commit
it and the leader applies it; then its own write fails, for want of room for the next segment, and
the entry is to go from applied to failed, which its state machine does not allow: `sm_move` in
`src/lib/sm.c`. The trace that 1.18.7 prints shows it in this order.

It is a race, and takes a leader with some hundred writes a second: it was seen in the first run on
each of 1.18.1 and 1.18.7, and not again while other work took most of the processors.

Source: seen with this harness; not found among upstream's reports. Releases before 1.18 have no
such state machine, and corrupt their heap instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from dissever.harness.history import History
from dissever.harness.plan import Options
from dissever.harness.results import Results
from dissever.systems.dqlite.bugs.bug import NODES, Bug, Searched, anomalies

__all__ = ["FULL_DISK_ABORT"]

SCRIPT = """\
faults:
  - {fault: "disk-full:leader", at: 2, for: 2, with: {restart: false}}
  - {fault: "disk-full:leader", at: 7, for: 2, with: {restart: false}}
  - {fault: "disk-full:leader", at: 12, for: 2, with: {restart: false}}
"""

OPTIONS = Options(
    system="dqlite",
    workload="set",
    faults=("disk-full",),
    script=SCRIPT,
    nodes=NODES,
    rate=300.0,
    concurrency=6,
    time_limit_s=20.0,
    system_options={"latency-ms": 30},
)


def _signs(results: Results, history: History) -> Sequence[str]:
    return anomalies(results, "logs", "assertion")


FULL_DISK_ABORT = Bug(
    "full-disk-abort",
    "the leader aborts when its disk is full: what others have committed cannot fail any more",
    releases=("1.18.1", "1.18.7"),
    references="not reported",
    test=Searched((OPTIONS,), _signs),
)
