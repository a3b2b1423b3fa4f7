"""
A deposed leader that does not know it answers reads with the past.

It is cut off and put to sleep; the others elect and write; it wakes, still cut off, and believes to
lead until it has missed enough heartbeats. Clients that stayed with it read what was overwritten:
dqlite asks no quorum for a read.

Source: canonical/go-dqlite issue 207; dqlite's page on its consistency model allows it.
"""

from __future__ import annotations

from collections.abc import Sequence

from dissever.harness.history import History
from dissever.harness.plan import Options
from dissever.harness.results import Results
from dissever.systems.dqlite.bugs.bug import RELEASES, Bug, Searched, anomalies

__all__ = ["STALE_READ"]

OPTIONS = Options(
    system="dqlite",
    workload="register",
    faults=("deposed-leader",),
    nodes=("n1", "n2", "n3"),
    rate=300.0,
    concurrency=6,
    time_limit_s=18.0,
    fault_interval_s=8.0,
    system_options={"consistency": "leader"},
)


def _signs(results: Results, history: History) -> Sequence[str]:
    return anomalies(results, "linearizable", "stale-read")


STALE_READ = Bug(
    "stale-read",
    "a leader that does not know it was deposed answers reads with the past",
    releases=RELEASES,
    references="go-dqlite#207",
    test=Searched((OPTIONS,), _signs),
)
