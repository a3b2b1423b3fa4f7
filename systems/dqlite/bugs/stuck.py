"""
One disk error, long over, and a node is of no use until it is started again.

In 1.11.1 the leader goes on leading, and answers each write with an error, then with "database is
locked". From 1.18 on a node that cannot prepare its next segment is out of raft until it is started
again, alive all the time; the second one of three takes the cluster with it.

Source: canonical/go-dqlite issues 213, 283 and 589.
"""

from __future__ import annotations

from collections.abc import Sequence

from dissever.harness.history import History, Type
from dissever.harness.plan import Options
from dissever.harness.results import Results
from dissever.systems.dqlite.bugs.bug import NODES, RELEASES, Bug, Searched, anomalies

__all__ = ["STUCK", "silence_s"]

LATENCY_MS = 30
ELECTIONS = 20
SILENCE_S = ELECTIONS * 15 * LATENCY_MS / 1000
"""So long without an acknowledgement is no election any more: they start after 15 latencies."""

FULL = """\
faults:
  - {fault: "disk-full:leader", at: 2, for: 4, with: {restart: false}}
  - {fault: "disk-full:leader", at: 9, for: 4, with: {restart: false}}
"""

ERRORS = """\
faults:
  - fault: disk-error:leader
    at: 2
    for: 2
    with: {op: write, errno: EIO, probability: 1.0}
"""


def _options(script: str, fault: str) -> Options:
    return Options(
        system="dqlite",
        workload="set",
        faults=(fault,),
        script=script,
        nodes=NODES,
        rate=600.0,
        concurrency=12,
        time_limit_s=30.0,
        system_options={"latency-ms": LATENCY_MS},
    )


def silence_s(history: History) -> float:
    """How long no add was acknowledged though clients asked, after the last disk had healed."""
    disks = [o for o in history.faults if str(o.process).startswith("disk-")]
    struck = [o for o in disks if o.f.startswith("start-")]
    healed = [end for o in disks if o.f.startswith("stop-") and (end := o.completion)]
    healed = [end for end in healed if end.value["targets"]]
    if not healed or len(healed) < len(struck):
        return 0.0
    adds = [o for o in history.operations if o.f == "add"]
    ok_ns = [end.time for o in adds if o.type is Type.OK and (end := o.completion)]
    last_ns = max([healed[-1].time, *ok_ns])
    return max([0, *(o.invocation.time - last_ns for o in adds)]) / 1e9


def _signs(results: Results, history: History) -> Sequence[str]:
    silent_s = silence_s(history)
    silence = f"no write was acknowledged for {silent_s:.1f} s, though every disk had healed"
    return (
        *([silence] if silent_s >= SILENCE_S else []),
        *anomalies(results, "liveness", "no-progress", "no-recovery"),
    )


STUCK = Bug(
    "stuck-after-disk-error",
    "after one disk error, long over, a node is of no use until it is started again",
    releases=RELEASES,
    references="go-dqlite#213, #283, #589",
    test=Searched((_options(FULL, "disk-full"), _options(ERRORS, "disk-error")), _signs),
)
