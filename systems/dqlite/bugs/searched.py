"""Bugs that come by chance: each is searched for in runs of a workload under faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dissever.harness.history import History, Type
from dissever.harness.plan import Options
from dissever.harness.results import Results
from dissever.systems.dqlite.bugs.bug import NODES, RELEASES, Bug, Searched

__all__ = [
    "DISK_ERROR_CRASH",
    "FULL_DISK_ABORT",
    "HEAP_CORRUPTION",
    "LOST_WRITES",
    "REPLICAS_DIFFER",
    "STALE_READ",
    "STUCK",
    "anomalies",
    "silence_s",
]

LATENCY_MS = 30

SHRUNK_RECOVERY_S = 10.0
"""How long a cluster may take to recover in a shrunk plan: more than ten of its elections."""


def anomalies(results: Results, checker: str, *names: str) -> tuple[str, ...]:
    """What a checker says of anomalies of these names."""
    return tuple(
        anomaly.summary
        for result in results.results
        if result.checker == checker
        for anomaly in result.anomalies
        if anomaly.name in names
    )


def _shown_by(checker: str, name: str) -> Callable[[Results, History], Sequence[str]]:
    return lambda results, _: anomalies(results, checker, name)


def _set(*faults: str, rate: float, time_limit_s: float, **more: Any) -> Options:
    """Runs of the set on three nodes."""
    return Options(
        system="dqlite",
        workload="set",
        faults=faults,
        nodes=NODES,
        rate=rate,
        time_limit_s=time_limit_s,
        system_options={"latency-ms": LATENCY_MS},
        **more,
    )


def _shrunk(workload: str, script: str, *faults: str, **more: Any) -> Options:
    """A plan that `dissever shrink` left of a random run, with what the run was made of."""
    return Options(
        system="dqlite",
        workload=workload,
        faults=faults,
        nodes=NODES,
        script=script,
        recovery_limit_s=SHRUNK_RECOVERY_S,
        seed=1,
        **more,
    )


FULL_THREE_TIMES = """\
faults:
  - {fault: "disk-full:leader", at: 2, for: 2, with: {restart: false}}
  - {fault: "disk-full:leader", at: 7, for: 2, with: {restart: false}}
  - {fault: "disk-full:leader", at: 12, for: 2, with: {restart: false}}
"""

FULL_DISK_ABORT = Bug(
    "full-disk-abort",
    "the leader aborts when its disk is full: what others have committed cannot fail any more",
    releases=("1.18.1", "1.18.7"),
    references="not reported",
    test=Searched(
        (_set("disk-full", script=FULL_THREE_TIMES, rate=300.0, concurrency=6, time_limit_s=20.0),),
        _shown_by("logs", "assertion"),
    ),
)
"""
A leader writes an entry to its disk while it sends it. When the followers are faster, they commit
it and the leader applies it; then its own write fails, for want of room for the next segment, and
the entry is to go from applied to failed, which its state machine does not allow: `sm_move` in
`src/lib/sm.c`. The trace that 1.18.7 prints shows it in this order.

It is a race, and takes a leader with some hundred writes a second: it was seen in the first run on
each of 1.18.1 and 1.18.7, and not again while other work took most of the processors.

Source: seen with this harness; not found among upstream's reports. Releases before 1.18 have no
such state machine, and corrupt their heap instead.
"""

FULL_AND_FAILOVER = ("disk-full:leader", "partition", "kill")

HEAP_CORRUPTION = Bug(
    "heap-corruption",
    'a node aborts with "double free or corruption": its disk is full while leaders change',
    releases=("1.11.1",),
    references="raft#314 and others",
    test=Searched(
        (
            _set(
                *FULL_AND_FAILOVER,
                rate=300.0,
                concurrency=6,
                time_limit_s=50.0,
                fault_interval_s=3.0,
            ),
        ),
        _shown_by("logs", "memory-error"),
    ),
)
"""
No assertion is seen, as Debian's raft 0.15.0 is built without them; the C library notices.

Source: canonical/raft issues 314, 344, 349 and similar ones; not narrowed down to one.
"""

FULL_ONCE = """\
budget: 1
faults:
  - {fault: "disk-full:leader", at: 0.8, for: 0.5, with: {restart: false}}
"""

LOST_WRITES = Bug(
    "lost-writes",
    "acknowledged writes are lost: the leader's disk fails near a failover",
    releases=("1.11.1",),
    references="raft#314, #320",
    test=Searched(
        (
            _shrunk("set", FULL_ONCE, "disk-full", rate=800.0, concurrency=18, time_limit_s=3.0),
            *(
                _set(*faults, rate=400.0, concurrency=6, time_limit_s=50.0, fault_interval_s=2.5)
                for faults in (("disk-error:leader", "partition:leader"), FULL_AND_FAILOVER)
            ),
        ),
        _shown_by("set", "lost"),
    ),
)
"""
Replicas differ for good. When an append fails, the leader of raft 0.15.0 takes the entry out of its
log, goes on leading, and gives the same index and term to the next entry. Followers that got the
first one keep it: to raft, equal index and term are the same entry.

The plan was shrunk from a random run of 6 s with two full disks, at a load of 6 to 11 on two cores;
the search was ended after 7 minutes. When they were repeated, 9 of 25 of that run lost writes
(95 %: 0.20 to 0.55), and by the plan 5 of 10 (95 %: 0.24 to 0.76). Others of them corrupted the
heap, or were stuck.

Source: canonical/raft issues 314 and 320; mended step by step in raft 0.16.0 to 0.18.1.
"""

TORN_WITHOUT_A_FOLLOWER = """\
budget: 1
faults:
  - {fault: "disk-torn:leader", at: 1.4, for: 0.9, with: {probability: 1}}
  - {fault: "kill:followers", at: 2, for: 1}
final: false
"""

REPLICAS_DIFFER = Bug(
    "replicas-differ",
    "nodes hold different rows: the leader's disk fails while a follower is away",
    releases=("1.11.1",),
    references="raft#314, #320",
    test=Searched(
        (
            _shrunk(
                "set",
                TORN_WITHOUT_A_FOLLOWER,
                "disk-torn",
                "kill",
                rate=200.0,
                concurrency=1,
                time_limit_s=3.0,
            ),
        ),
        _shown_by("liveness", "diverged"),
    ),
)
"""
In the recorded run the follower that stayed differed from the two others: it probably kept entries
that the leader took out of its log. Mostly the replicas are equal again once all nodes have been
restarted.

The plan was shrunk from a random run of 5 s with six clients, in 12 minutes at a load of 7 to 12 on
two cores. When they were repeated, 12 of 15 of that run failed (95 %: 0.55 to 0.93), and by the
plan 17 of 20 (95 %: 0.64 to 0.95).

Source: canonical/raft issues 314 and 320 are of this path, as for `LOST_WRITES`; that it is the
same error is not proved.
"""

DEPOSED = """\
budget: 1
faults:
  - {fault: "deposed-leader:leader", at: 0.83, for: 1.86}
"""

STALE_READ = Bug(
    "stale-read",
    "a leader that does not know it was deposed answers reads with the past",
    releases=RELEASES,
    references="go-dqlite#207",
    test=Searched(
        (
            _shrunk(
                "register",
                DEPOSED,
                "deposed-leader",
                rate=25.0,
                concurrency=6,
                time_limit_s=3.0,
                system_options={"consistency": "leader"},
            ),
            Options(
                system="dqlite",
                workload="register",
                faults=("deposed-leader",),
                nodes=NODES,
                rate=300.0,
                concurrency=6,
                time_limit_s=18.0,
                fault_interval_s=8.0,
                system_options={"consistency": "leader"},
            ),
        ),
        _shown_by("linearizable", "stale-read"),
    ),
)
"""
It is cut off and put to sleep; the others elect and write; it wakes, still cut off, and believes to
lead until it has missed enough heartbeats. Clients that stayed with it read what was overwritten:
dqlite asks no quorum for a read.

The plan was shrunk from a random run of 8 s with two faults, in 5 minutes at a load of 4 to 9 on
two cores. When they were repeated, 16 of 21 of that run failed (95 %: 0.55 to 0.89), and by the
plan 16 of 20 (95 %: 0.58 to 0.92).

Source: canonical/go-dqlite issue 207; dqlite's page on its consistency model allows it.
"""

ONE_WRITE = """\
budget: 1
faults:
  - {fault: "disk-error:leader", at: 0.7, for: 0.5, with: {op: write}}
final: false
"""

TORN_WRITE = """\
budget: 1
faults:
  - {fault: "disk-torn:majority", at: 0.9, for: 0.5}
final: false
"""

DISK_ERROR_CRASH = Bug(
    "disk-error-crash",
    "a leader ends by SIGSEGV once its disk has refused a write",
    releases=("1.11.1",),
    references="raft#320, #450",
    test=Searched(
        (
            _shrunk("append", ONE_WRITE, "disk-error", rate=25.0, concurrency=1, time_limit_s=2.0),
            _shrunk("set", TORN_WRITE, "disk-torn", rate=100.0, concurrency=3, time_limit_s=2.0),
        ),
        _shown_by("nodes", "crash"),
    ),
)
"""
Its log says nothing of the crash. When an append of a leader fails, raft 0.15.0 takes the entry out
of its log, and in a simulator it crashes there when a second one fails. Both plans were shrunk from
random runs, at a load of 20 to 25 on two cores. 5 of 5 runs of the first one's crashed, with one
fault in 5 s, and 10 of 10 by the plan (95 %: 0.72 to 1.00); of the second one's, with two faults in
6 s, 5 of 5, and 10 of 10.

Source: canonical/raft issues 320 and 450 are of this path; that it is the same error is not proved.
"""

SILENCE_S = 20 * 15 * LATENCY_MS / 1000
"""So long without an acknowledgement is no election any more: they start after 15 latencies."""

FULL_TWICE = """\
faults:
  - {fault: "disk-full:leader", at: 2, for: 4, with: {restart: false}}
  - {fault: "disk-full:leader", at: 9, for: 4, with: {restart: false}}
"""

REFUSED = """\
budget: 1
faults:
  - {fault: "disk-error:majority", at: 1.1, for: 0.5, with: {op: write}}
final: false
"""

ERRORS = """\
faults:
  - fault: disk-error:leader
    at: 2
    for: 2
    with: {op: write, errno: EIO, probability: 1.0}
"""


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


def _signs_of_silence(results: Results, history: History) -> Sequence[str]:
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
    test=Searched(
        (
            _shrunk("set", REFUSED, "disk-error", rate=3.125, concurrency=1, time_limit_s=3.0),
            *(
                _set(fault, script=script, rate=600.0, concurrency=12, time_limit_s=30.0)
                for fault, script in (("disk-full", FULL_TWICE), ("disk-error", ERRORS))
            ),
        ),
        _signs_of_silence,
    ),
)
"""
In 1.11.1 the leader goes on leading, and answers each write with an error, then with "database is
locked". From 1.18 on a node that cannot prepare its next segment is out of raft until it is started
again, alive all the time; the second one of three takes the cluster with it.

The first plan was shrunk from a random run of 10 s with three disk errors and six clients, at a
load of 20 to 25 on two cores. 20 of 20 runs of that one were stuck (95 %: 0.84 to 1.00); by the
plan 10 of 10 (95 %: 0.72 to 1.00).

Source: canonical/go-dqlite issues 213, 283 and 589.
"""
