"""
The bugs that can be switched on, in one place. Each is a mistake that a real system has made, or
one that the literature warns of; `source` names it.

`faults`, `workload` and `options` show it; without faults, it shows on a healthy cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dissever.systems.simulated.transactions import BUGS as OF_TRANSACTIONS


@dataclass(frozen=True, slots=True)
class Bug:
    """What goes wrong, where that was seen, and which faults bring it out."""

    what: str
    source: str
    faults: tuple[str, ...] = ()
    workload: str = "register"
    options: Mapping[str, int] = field(default_factory=dict)


USUAL: Final = ("partition", "kill", "pause")

OFTEN: Final = {"snapshot-threshold": 5, "snapshot-trailing": 2}
"""Snapshots come so often that a few operations show what is wrong with them."""

BUGS: Final[Mapping[str, Bug]] = {
    "stale-read": Bug(
        "a node answers reads from its own copy, which may lag behind",
        "etcd 0.4.1 (Jepsen: etcd and Consul, 2014)",
    ),
    "lost-write": Bug(
        "a node works out the new value from its own copy, and has that agreed on: of two changes"
        " at the same time, one is lost",
        "TiDB 2.1.7, which repeated transactions blindly (Jepsen, 2019)",
    ),
    "double-write": Bug(
        "a node that waits too long sends a request again, and nothing tells that it is the same",
        "jetcd 0.8.2 (Jepsen, 2024)",
    ),
    "dirty-read": Bug(
        "a node says that a change was refused when the leader takes too long; others may read it",
        "jetcd 0.8.2: operations that appear to fail, but succeed (Jepsen, 2024)",
    ),
    "stale-leader": Bug(
        "a leader answers reads from its own copy, without asking whether it still leads",
        "Consul 0.3 by default (Jepsen: etcd and Consul, 2014)",
        USUAL,
    ),
    "early-read": Bug(
        "a new leader answers reads before it has committed an entry of its own term",
        "Raft, section 8: it does not know yet what is committed",
        USUAL,
    ),
    "lease-drift": Bug(
        "a leader answers reads by a lease that is as long as the longest wait for an election, and"
        " so allows for no drift of clocks",
        "Ongaro's dissertation, 6.4.1; the same for leases and transfers: tikv/raft-rs #234",
        ("partition:leader", "monotonic-drift"),
    ),
    "minority-commit": Bug(
        "one node less than a majority is taken for a majority of copies and answers",
        "Elasticsearch 1.1 (Jepsen, 2014)",
        USUAL,
    ),
    "early-apply": Bug(
        "a leader applies an entry before it is committed, and does not take it back",
        "NuRaft took back what it had applied (eBay/NuRaft #185)",
        USUAL,
    ),
    "answers-by-index": Bug(
        "a deposed leader answers a request when another entry is applied at the index of its own",
        "MIT 6.824, Students' Guide to Raft",
        ("partition", "packet-loss"),
        "set",
    ),
    "outdated-leader": Bug(
        "voters do not compare logs, so a node that lacks committed entries may lead",
        "Raft, section 5.4.1",
        USUAL,
    ),
    "votes-twice": Bug(
        "a voter votes for every candidate of a term, so that two may lead in it",
        "Raft, section 5.2",
        ("kill:leader", "partition:leader"),
    ),
    "conflict-kept": Bug(
        "a follower keeps its own entry where the leader has another one",
        "the log of qdrant was not cut where it conflicts (qdrant #1329)",
        USUAL,
    ),
    "truncates-too-much": Bug(
        "a new leader drops the entries that it does not know to be committed",
        "Kafka before KIP-101, which cut logs back to the high watermark",
        USUAL,
    ),
    "heartbeat-commits": Bug(
        "a follower believes the leader's commit index before their logs are equal",
        "Copycat (atomix/copycat #265); RabbitMQ (rabbitmq/ra #508); ScyllaDB #9965",
        USUAL,
    ),
    "memory-only": Bug(
        "entries are acknowledged from memory, and the disk never sees them",
        "Raft, figure 2: the log is persistent",
        ("kill",),
    ),
    "ack-before-sync": Bug(
        "a node acknowledges what it has written and not synced",
        "NATS JetStream 2.12.1, which syncs every two minutes (Jepsen, 2025)",
        ("power-failure",),
    ),
    "deaf-to-disk": Bug(
        "a node takes a write to its disk that failed for one that succeeded",
        "PostgreSQL before 12 (fsyncgate, 2018); Rebello and others, USENIX ATC 2020",
        ("disk-error", "kill"),
    ),
    "snapshot-ahead": Bug(
        "a snapshot claims entries that were not applied when it was taken",
        "etcd 3.5.0 to 3.5.2, which stored an index before its effect (etcd #13766)",
        ("kill",),
        "set",
        OFTEN,
    ),
    "torn-snapshot": Bug(
        "a snapshot holds changes that were made after the index that it claims",
        "go-libp2p-raft #69; Redpanda #23811",
        ("kill",),
        "set",
        OFTEN,
    ),
    "sessions-lost": Bug(
        "a snapshot lacks the sessions, so a repeated request is carried out twice",
        "Ongaro's dissertation, 6.3: sessions are part of the state",
        ("power-failure", "packet-loss"),
        "set",
        OFTEN,
    ),
    "transfer-without-votes": Bug(
        "who hands over goes on with requests, and the next leader asks for no votes",
        "Redpanda #2606 hands over to a node that lacks entries; there, voters refuse it",
        ("transfer",),
    ),
    "empty-voter": Bug(
        "a node that lost its disk comes back as the one that voted before",
        "Alagappan and others, Protocol-Aware Recovery, USENIX FAST 2018",
        ("replace-member",),
    ),
    "two-changes": Bug(
        "the leader begins a change of the members before the last one is committed",
        "Ongaro's dissertation, 4.1; his bug in single-server changes, 2015; Axon Server #120",
        ("demote:minority",),
    ),
    "figure-8": Bug(
        "a leader commits entries of earlier terms by counting copies",
        "Raft, section 5.4.2 and figure 8",
        USUAL,
    ),
    "vote-forgotten": Bug(
        "the vote is not on disk, so a node that was started again may vote twice in a term",
        "Raft, figure 2: the vote is persistent",
        ("kill",),
    ),
    "term-not-persisted": Bug(
        "a term that was learnt from others is not on disk",
        "Raft, figure 2: the term is persistent",
        ("kill", "partition"),
    ),
}
"""By the values of the option `bug`."""


def description() -> str:
    """Of the option, for its help."""
    return (
        f"a bug to switch on (docs/simulated.md says more): {', '.join(BUGS)};"
        f" of transactions alone: {', '.join(OF_TRANSACTIONS)}"
    )


def rows() -> tuple[str, ...]:
    """The lines of the table in docs/simulated.md."""
    lines = ["| `--bug` | what goes wrong | seen in | shown by |", "| --- | --- | --- | --- |"]
    for name, bug in BUGS.items():
        options = f"`-f {','.join(bug.faults)}`" if bug.faults else "any run"
        words = [] if bug.workload == "register" else [f"-w {bug.workload}"]
        words += [f"--{option} {value}" for option, value in bug.options.items()]
        others = "".join(f", `{word}`" for word in words)
        lines.append(f"| `{name}` | {bug.what} | {bug.source} | {options}{others} |")
    return tuple(lines)
