"""
The bugs that can be switched on, in one place. Each is a mistake that a real system has made, or
one that the literature warns of; `source` names it.

`faults`: what the bug needs to show; empty: it shows on a healthy cluster. `options`: what else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dissever.systems.simulated.transactions import BUGS as OF_TRANSACTIONS


@dataclass(frozen=True, slots=True)
class Bug:
    """What goes wrong, where that was seen, and which faults bring it out."""

    what: str
    source: str
    faults: tuple[str, ...] = ()


BUGS: Final[Mapping[str, Bug]] = {
    "stale-read": Bug(
        "a node answers reads from its own copy, which may lag behind",
        "etcd 0.4.1 answered reads from any node's copy (Jepsen: etcd and Consul, 2014)",
    ),
    "lost-write": Bug(
        "a node works out the new value from its own copy, and has that agreed on: of two changes"
        " at the same time, one is lost",
        "TiDB 2.1.7 repeated transactions that conflicted without reading again (Jepsen, 2019)",
    ),
    "double-write": Bug(
        "a node that waits too long sends the request again, and nothing tells that it is the same",
        "jetcd 0.8.2 repeated requests that may have been carried out (Jepsen, 2024)",
    ),
    "dirty-read": Bug(
        "a node says that a write was refused when the leader takes too long; others may read it",
        "an error that leaves the outcome open is reported as a failure; hashicorp/raft says of"
        " ErrLeadershipLost that the entry may be committed all the same",
    ),
    "stale-leader": Bug(
        "a leader answers reads from its own copy, without asking whether it still leads",
        "Consul 0.3 and RethinkDB before 1.15 by default (Jepsen: etcd and Consul, 2014)",
        ("partition", "pause"),
    ),
    "early-read": Bug(
        "a new leader answers reads before it has committed an entry of its own term",
        "Raft, section 8: it does not know yet what is committed",
        ("kill", "partition"),
    ),
    "lease-drift": Bug(
        "a leader answers reads by a lease that allows for no drift of clocks",
        "dissertation, 6.4.1; etcd says of its reads by lease that drift makes them stale",
        ("partition", "monotonic-drift"),
    ),
    "minority-commit": Bug(
        "the leader commits what one node less than a majority holds",
        "Elasticsearch 1.1 elected and wrote without a majority (Jepsen, 2014)",
        ("partition", "kill"),
    ),
    "figure-8": Bug(
        "a leader commits entries of earlier terms by counting copies",
        "Raft, section 5.4.2 and figure 8",
        ("partition", "kill"),
    ),
    "early-apply": Bug(
        "a leader applies an entry before it is committed, and does not take it back",
        "",
        ("partition", "kill"),
    ),
    "answers-by-index": Bug(
        "a deposed leader answers a request when another entry is applied at the index of its own",
        "MIT 6.824, Students' Guide to Raft: the commonest mistake of a service on Raft",
        ("partition", "kill"),
    ),
    "outdated-leader": Bug(
        "voters do not compare logs, so a node that lacks committed entries may lead",
        "Raft, section 5.4.1",
        ("partition", "kill"),
    ),
    "votes-twice": Bug(
        "a voter votes for every candidate of a term, so that two may lead in it",
        "Raft, section 5.2",
        ("partition", "kill"),
    ),
    "vote-forgotten": Bug(
        "the vote is not on disk, so a node that was started again may vote twice in a term",
        "Raft, figure 2: votedFor is persistent",
        ("kill",),
    ),
    "term-not-persisted": Bug(
        "a term that was learnt from others is not on disk",
        "Raft, figure 2: currentTerm is persistent",
        ("kill",),
    ),
    "conflict-kept": Bug(
        "a follower keeps its own entry where the leader has another one",
        "Raft, section 5.3",
        ("partition", "kill"),
    ),
    "truncates-too-much": Bug(
        "a new leader drops the entries that it does not know to be committed",
        "Kafka before KIP-101 truncated to the high watermark (KAFKA-1211)",
        ("partition", "kill"),
    ),
    "heartbeat-commits": Bug(
        "a follower believes the leader's commit index before their logs are equal",
        "",
        ("partition", "kill"),
    ),
    "ack-before-sync": Bug(
        "a node acknowledges what it has written and not synced",
        "NATS JetStream 2.12.1 syncs every two minutes (Jepsen, 2025)",
        ("power-failure",),
    ),
    "deaf-to-disk": Bug(
        "a node takes a write to its disk that failed for one that succeeded",
        "PostgreSQL before 12 (fsyncgate, 2018); Rebello and others, USENIX ATC 2020",
        ("disk-error", "kill"),
    ),
    "memory-only": Bug(
        "entries are acknowledged from memory, and the disk never sees them",
        "",
        ("kill",),
    ),
    "snapshot-ahead": Bug(
        "a snapshot claims entries that were not applied when it was taken",
        "etcd 3.5.0 to 3.5.2 stored the index of an entry before its effect (etcd #13766)",
        ("kill",),
    ),
    "torn-snapshot": Bug(
        "a snapshot holds changes that were made after the index that it claims",
        "",
        ("kill",),
    ),
    "sessions-lost": Bug(
        "a snapshot lacks the sessions, so a repeated request is carried out twice",
        "dissertation, 6.3: sessions are part of the state",
        ("partition", "kill"),
    ),
    "transfer-without-votes": Bug(
        "the node that leadership is handed over to leads at once, without votes",
        "",
        ("transfer",),
    ),
    "early-change": Bug(
        "a new leader changes the members before it has committed an entry of its term",
        "D. Ongaro, bug in single-server membership changes, raft-dev, 2015",
        ("demote", "partition"),
    ),
    "two-changes": Bug(
        "the leader begins a change of the members before the last is committed",
        "dissertation, 4.1",
        ("demote", "partition"),
    ),
    "empty-voter": Bug(
        "a member gets its vote before it holds what is committed",
        "dissertation, 4.2.1",
        ("replace-member",),
    ),
    "configuration-kept": Bug(
        "a node that drops an entry goes on with the configuration that was in it",
        "dissertation, 4.1: a configuration that is dropped gives way to the one before",
        ("demote", "partition"),
    ),
}
"""By the values of the option `bug`."""


def description() -> str:
    """Of the option, for its help."""
    return (
        f"a bug to switch on (docs/simulated.md says more): {', '.join(BUGS)};"
        f" of transactions alone: {', '.join(OF_TRANSACTIONS)}"
    )
