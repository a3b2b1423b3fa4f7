"""
Acknowledged writes are lost, and replicas differ for good: a disk that fails near a failover.

When an append fails, the leader of raft 0.15.0 takes the entry out of its log, goes on leading, and
gives the same index and term to the next entry. Followers that got the first one keep it: to raft,
equal index and term are the same entry.

Source: canonical/raft issues 314 and 320; mended step by step in raft 0.16.0 to 0.18.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from dissever.harness.history import History
from dissever.harness.plan import Options
from dissever.harness.results import Results
from dissever.systems.dqlite.bugs.bug import NODES, Bug, Searched, anomalies

__all__ = ["LOST_WRITES"]


def _options(*faults: str) -> Options:
    return Options(
        system="dqlite",
        workload="set",
        faults=faults,
        nodes=NODES,
        rate=400.0,
        concurrency=6,
        time_limit_s=50.0,
        fault_interval_s=2.5,
        system_options={"latency-ms": 30},
    )


def _signs(results: Results, history: History) -> Sequence[str]:
    return anomalies(results, "set", "lost")


LOST_WRITES = Bug(
    "lost-writes",
    "acknowledged writes are lost: the leader's disk fails near a failover",
    releases=("1.11.1",),
    references="raft#314, #320",
    test=Searched(
        (
            _options("disk-error:leader", "partition:leader"),
            _options("disk-full:leader", "partition", "kill"),
        ),
        _signs,
    ),
)
