"""
A node's process: it hands each message to the part that it is for, and applies what is committed.

The leader keeps, for each request that it has in its log, the index and the term of its entry. The
request is answered when that very entry is applied; if another one is, it was replaced, and the
node that sent the request asks the next leader.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dissever.harness.cluster.simulated import SimulatedCluster, SimulatedDisk
from dissever.systems.simulated.raft.election import Election
from dissever.systems.simulated.raft.gateway import Do, Gateway
from dissever.systems.simulated.raft.invariants import Invariants
from dissever.systems.simulated.raft.log import Command, Configuration, Entry, Membership
from dissever.systems.simulated.raft.machine import Machine, Outcome
from dissever.systems.simulated.raft.membership import Changes
from dissever.systems.simulated.raft.messages import (
    Answer,
    Appended,
    AppendEntries,
    Envelope,
    Forward,
    InstallSnapshot,
    RequestId,
    RequestVote,
    TimeoutNow,
    Vote,
)
from dissever.systems.simulated.raft.reads import Reads
from dissever.systems.simulated.raft.replication import Replication
from dissever.systems.simulated.raft.server import USUAL, Server, Timings
from dissever.systems.simulated.raft.snapshots import Snapshots

Tell = Callable[[Answer], None]


@dataclass(frozen=True, slots=True)
class ChangeMember:
    """Somebody asks the leader to make a node, by its identity, something else."""

    identity: str
    role: Membership | None


@dataclass(frozen=True, slots=True)
class HandOver:
    """Somebody asks the leader to hand over to a node, by its identity."""

    identity: str


@dataclass(frozen=True, slots=True)
class View:
    """What a node says of itself when it is asked with "who are you"."""

    identity: str
    is_leader: bool
    term: int
    leader: str
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Who waits for an entry to be applied: the term that it must have, and what to tell."""

    term: int
    request: RequestId
    tell: Tell


class Node:
    """Implements `Behaviour`."""

    def __init__(
        self,
        name: str,
        disk: SimulatedDisk,
        cluster: SimulatedCluster,
        *,
        session: str,
        bug: str = "",
        by_lease: bool = False,
        timings: Timings = USUAL,
        invariants: Invariants | None = None,
    ) -> None:
        watched = invariants or Invariants()
        server = self.server = Server(
            name, disk, cluster, bug=bug, timings=timings, invariants=watched
        )
        self.snapshots = Snapshots(server)
        self._replication = Replication(
            server,
            commits=self._apply,
            behind=self.snapshots.send,
            rounds=lambda: self._reads.go_on(),
        )
        self._changes = Changes(server, self._replication)
        self._reads = Reads(
            server,
            self._replication,
            by_lease=by_lease,
            may_be_deposed=lambda: self._changes.handed_over_in == server.term,
        )
        self._gateway = Gateway(
            server, session, pass_on=self._pass_on, machine=lambda: self.machine
        )
        self._waiting: dict[int, _Waiting] = {}
        self._election = Election(server, self._win, self._deposed)
        server.tell()

    @property
    def machine(self) -> Machine:
        """What it has applied."""
        return self.snapshots.machine

    def handle(self, source: str | None, request: Any) -> Any:
        if isinstance(request, Envelope):
            self._hear(request)
            self.server.tell()
            return None
        if isinstance(request, Do):
            return self._gateway.serve(request)
        if isinstance(request, ChangeMember):
            self._changes.change(request.identity, request.role)
        elif isinstance(request, HandOver):
            self._changes.hand_over(request.identity)
        server = self.server
        self.server.tell()
        return View(
            *(server.identity, server.is_leader, server.term, server.leader),
            server.configuration,
        )

    def _hear(self, envelope: Envelope) -> None:
        server, sender, message = self.server, envelope.sender, envelope.message
        if envelope.to != server.identity:
            return
        if isinstance(message, AppendEntries | InstallSnapshot):
            self._hear_leader(sender, message)
        elif isinstance(message, Appended):
            if message.term > server.term:
                self._election.depose(message.term)
            self._replication.hear_appended(sender, message)
        elif isinstance(message, RequestVote):
            self._election.hear_request(sender, message)
        elif isinstance(message, Vote):
            self._election.hear_vote(sender, message)
        elif isinstance(message, TimeoutNow):
            self._election.hear_timeout_now(message)
        elif isinstance(message, Forward):
            self._lead_request(message, partial(server.send, sender))
        else:
            self._gateway.hear_answer(message)

    def _hear_leader(self, leader: str, message: AppendEntries | InstallSnapshot) -> None:
        server = self.server
        if message.term < server.term:
            server.send(leader, Appended(server.term, False, 0, 0))
            return
        if server.is_leader and message.term > server.term:
            self._deposed()
        server.enter(message.term, leader=leader)
        self._election.hear_leader()
        self._gateway.hear_leader(leader)
        if isinstance(message, AppendEntries):
            self._replication.hear_append(leader, message)
        else:
            self.snapshots.hear_install(leader, message)

    # Leading.

    def _win(self) -> None:
        self._changes.is_handing_over = False
        self.server.invariants.leads(self.server)
        self._replication.lead()
        self._gateway.hear_leader(self.server.identity)
        self.server.tell()

    def _deposed(self) -> None:
        """Another leads: reads that wait are asked of it, and requests hear what is applied."""
        self.server.enter(self.server.term)
        self._reads.go_on()

    def _pass_on(self, leader: str, forward: Forward) -> None:
        if leader == self.server.identity:
            self._lead_request(forward, self._gateway.hear_answer)
        else:
            self.server.send(leader, forward)

    def _lead_request(self, forward: Forward, tell: Tell) -> None:
        """Carry out a request, if this node leads."""
        request, command = forward.request, forward.command
        may_lead = self.server.is_leader and not (
            self._changes.is_handing_over and not self.server.has("transfer-without-votes")
        )
        if not may_lead:
            tell(Answer(request, is_leader=False))
            return
        if command.f == "read":
            self._reads.read(
                lambda: tell(_answer(request, self.machine.read(command))),
                lambda: tell(Answer(request, is_leader=False)),
            )
            return
        entry = self._replication.propose(command)
        self._waiting[entry.index] = _Waiting(entry.term, request, tell)
        if self.server.has("early-apply"):
            self._apply_to(entry.index)
        self._replication.advance()

    # Applying.

    def _apply(self) -> None:
        """Apply what is committed, in order."""
        server = self.server
        self._apply_to(server.commit)
        is_out = server.is_leader and not server.is_voter
        if is_out and server.commit >= server.configuration_index:
            server.enter(server.term)
            server.leader = ""
        self._reads.go_on()
        self.snapshots.take_if_due()

    def _apply_to(self, index: int) -> None:
        server = self.server
        while server.applied < index:
            entry = server.log.get(server.applied + 1)
            if entry is None:  # Only a bug commits what is not there.
                return
            server.applied = entry.index
            server.invariants.applies(server, entry)
            outcome = self._outcome(entry)
            waiting = self._waiting.pop(entry.index, None)
            if waiting is None:
                continue
            if waiting.term == entry.term or server.has("answers-by-index"):
                waiting.tell(_answer(waiting.request, outcome))
            else:
                waiting.tell(Answer(waiting.request, is_leader=False))

    def _outcome(self, entry: Entry) -> Outcome:
        if not isinstance(entry.what, Command):
            return None, None
        return self.machine.apply(entry.what)


def _answer(request: RequestId, outcome: Outcome) -> Answer:
    value, refusal = outcome
    return Answer(request, value, refusal)
