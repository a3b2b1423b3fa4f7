"""
A node aborts with "double free or corruption": its disk is full while leaders change.

No assertion is seen, as Debian's raft 0.15.0 is built without them; the C library notices.

Source: canonical/raft issues 314, 344, 349 and similar ones; not narrowed down to one.
"""

from __future__ import annotations

from collections.abc import Sequence

from dissever.harness.history import History
from dissever.harness.plan import Options
from dissever.harness.results import Results
from dissever.systems.dqlite.bugs.bug import NODES, Bug, Searched, anomalies

__all__ = ["HEAP_CORRUPTION"]

OPTIONS = Options(
    system="dqlite",
    workload="set",
    faults=("disk-full:leader", "partition", "kill"),
    nodes=NODES,
    rate=300.0,
    concurrency=6,
    time_limit_s=50.0,
    fault_interval_s=3.0,
    system_options={"latency-ms": 30},
)


def _signs(results: Results, history: History) -> Sequence[str]:
    return anomalies(results, "logs", "memory-error")


HEAP_CORRUPTION = Bug(
    "heap-corruption",
    'a node aborts with "double free or corruption": its disk is full while leaders change',
    releases=("1.11.1",),
    references="raft#314 and others",
    test=Searched((OPTIONS,), _signs),
)
