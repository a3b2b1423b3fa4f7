"""
What the parts of one node share: its term and role, its log, and its ways to others.

The parts change it; this file only says what holds whatever they do. A higher term makes any node a
follower that has not voted. Terms and votes are written before anything is said in their name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, Final

from dissever.harness.cluster.simulated import SimulatedCluster, SimulatedDisk
from dissever.harness.cluster.simulated.clock import Timer
from dissever.systems.simulated.raft.identities import host_of
from dissever.systems.simulated.raft.invariants import Invariants
from dissever.systems.simulated.raft.log import Configuration, Membership
from dissever.systems.simulated.raft.messages import Envelope, Message
from dissever.systems.simulated.raft.storage import Storage


class Role(StrEnum):
    """What a node is in its term."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class Timings:
    """
    How long things take, in seconds on the node's own clock.

    A follower that hears nothing from a leader for a time between the two of `election` stands for
    election. `snapshot_entries`: a snapshot is taken when so many entries were applied since the
    last; `trailing_entries` of those that it holds are kept for followers that lag behind.
    """

    heartbeat_s: float = 0.05
    election_least_s: float = 0.15
    election_most_s: float = 0.3
    snapshot_entries: int = 100
    trailing_entries: int = 20


USUAL: Final = Timings()

ENTRIES_MOST: Final = 64
"""How many entries one message has at most."""


class Server:
    """One node of the cluster while its process runs."""

    def __init__(
        self,
        name: str,
        disk: SimulatedDisk,
        cluster: SimulatedCluster,
        *,
        bug: str,
        timings: Timings,
        invariants: Invariants,
    ) -> None:
        self.name = name
        self.identity: str = disk.content.get("identity", name)
        self.cluster = cluster
        self.bug = bug
        self.timings = timings
        self.invariants = invariants
        self.rng: Random = cluster.stream(f"raft/{name}")
        self.storage = Storage(
            disk,
            self.after,
            self._tell_synced,
            is_loose=self.has("ack-before-sync"),
            is_deaf=self.has("deaf-to-disk"),
            is_amnesic=self.has("memory-only"),
        )
        (self.term, self.vote), self.log = self.storage.load()
        self.role = Role.FOLLOWER
        self.leader = ""
        """The identity of the leader of this term; empty: unknown."""

        # The first entry, which all were made with, is committed, and there is nothing to apply.
        self.commit = self.applied = max(self.log.snapshot.index, min(1, self.log.last_index))
        self.configuration_index, self.configuration = self.log.configuration()
        self._told: tuple[Any, ...] = ()
        invariants.starts(self)

    def has(self, bug: str) -> bool:
        """Whether a bug is switched on."""
        return self.bug == bug

    @property
    def is_voter(self) -> bool:
        """Whether it may stand for election."""
        return self.configuration.role(self.identity) is Membership.VOTER

    @property
    def is_leader(self) -> bool:
        """Whether it leads, as far as it knows."""
        return self.role is Role.LEADER

    @property
    def peers(self) -> tuple[str, ...]:
        """The other members."""
        return tuple(each for each in self.configuration.identities if each != self.identity)

    def now_s(self) -> float:
        """The time on its own clock."""
        return self.cluster.node_now_s(self.name)

    def after(self, delay_s: float, then: Callable[[], None]) -> Timer:
        """Have something happen later, by its own clock."""
        return self.cluster.set_timer(self.name, delay_s, then)

    def send(self, to: str, message: Message) -> None:
        """Send a message to a node, by its identity."""
        self.cluster.post(self.name, host_of(to), Envelope(self.identity, to, message))

    def enter(self, term: int, *, leader: str = "") -> None:
        """
        Follow, in this term or in a later one. What is written now is safe before anything that is
        asked of the storage after it.
        """
        if term > self.term:
            self.term, self.vote, self.leader = term, "", ""
            if not self.has("term-not-persisted"):
                self.save()
        self.role = Role.FOLLOWER
        self.leader = leader or self.leader

    def save(self, then: Callable[[], None] = lambda: None) -> None:
        """Write its term and its vote."""
        vote = "" if self.has("vote-forgotten") else self.vote
        self.storage.save(self.term, vote, then)

    def look_up_configuration(self) -> None:
        """The newest configuration in the log counts, whether or not it is committed."""
        self.configuration_index, self.configuration = self.log.configuration()

    def set_configuration(self, index: int, configuration: Configuration) -> None:
        """It counts from now on."""
        self.configuration_index, self.configuration = index, configuration

    def tell(self) -> None:
        """Write to the trace what has changed of what a reader wants to see."""
        if not self.cluster.trace.is_on:
            return
        role = self.role.value if self.configuration.members else "none"
        now = (
            *(role, self.term, self.vote, self.leader, self.log.first_index),
            *(self.log.last_index, self.storage.stored, self.commit, self.applied),
            self.log.snapshot.index,
        )
        if now == self._told:
            return
        self._told = now
        self.cluster.tell(
            "server",
            node=self.name,
            role=role,
            term=self.term,
            vote=host_of(self.vote) or None,
            leader=host_of(self.leader) or None,
            first=self.log.first_index,
            last=self.log.last_index,
            stored=self.storage.stored,
            commit=self.commit,
            applied=self.applied,
            snapshot=self.log.snapshot.index,
        )

    def _tell_synced(self, index: int) -> None:
        self.invariants.stores(self, index)
        if self.cluster.trace.is_on:
            self.cluster.tell("synced", node=self.name, to=index)
