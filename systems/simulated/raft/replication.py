"""
Replication: the leader's log becomes everyone's, and what a majority holds is committed.

A leader knows of each follower up to where their logs are equal (`match`), and what to send next.
An entry is committed once a majority of the voters has it on disk, if it is of the leader's own
term; that commits all before it (a majority can hold an entry of an earlier term, and it may be
replaced all the same). A leader begins with an entry of its own, so that this comes soon. One that
hears from no majority for an election's time leads nobody, and steps down.

Source: Raft, 5.3, 5.4.2 and figure 8; dissertation, 6.2 (a leader that is cut off).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dissever.systems.simulated.raft.log import Command, Configuration, Entry
from dissever.systems.simulated.raft.messages import Appended, AppendEntries
from dissever.systems.simulated.raft.server import ENTRIES_MOST, Role, Server


@dataclass(slots=True)
class Progress:
    """
    What a leader knows of a follower: the index to send `next`, up to where the logs are known to
    be equal (`match`, 0: unknown), the latest of the leader's questions that it answered (`round`),
    and when it answered last.
    """

    next: int
    match: int = 0
    round: int = 0
    heard_s: float = 0.0
    sent_match: int = -1
    """Its `match` at the last heartbeat: if it has not moved, what was sent may be lost."""

    refused_round: int = -1
    refused_index: int = 0
    """The question of the last refusal that was answered at once, and the index that it hinted."""


class Replication:
    """
    What a leader sends, and what a follower does with it.

    Args:
        commits: Hears that the commit index has moved.
        behind: Sends a snapshot to a follower that needs entries which are gone.
        rounds: Hears that followers have answered.
    """

    def __init__(
        self,
        server: Server,
        *,
        commits: Callable[[], None],
        behind: Callable[[str], None],
        rounds: Callable[[], None],
    ) -> None:
        self._server = server
        self._commits = commits
        self._behind = behind
        self._rounds = rounds
        self.progress: dict[str, Progress] = {}
        self.round = 0
        self._asked_s: dict[int, float] = {}
        self.first_own = 0
        """The entry that this leader began with: once it is committed, it knows what else is."""

    # The leader.

    def lead(self) -> None:
        """Begin to lead."""
        server = self._server
        server.role, server.leader = Role.LEADER, server.identity
        self.progress = {}
        self.look_up_peers()
        for each in self.progress.values():
            each.heard_s = server.now_s()
        if server.has("truncates-too-much"):
            server.log.truncate(max(server.commit, 1) + 1)  # Not the first configuration.
            server.look_up_configuration()
        if server.has("figure-8"):  # It begins with no entry, and counts those of others.
            self.first_own = server.log.last_index
        else:
            self.first_own = server.log.last_index + 1
            self.propose(None)
        term = server.term
        server.after(server.timings.heartbeat_s, lambda: self._beat(term))

    def look_up_peers(self) -> None:
        """Follow the configuration: forget who has gone, and begin with who is new."""
        server = self._server
        known = self.progress
        self.progress = {
            peer: known.get(peer)
            or Progress(next=server.log.last_index + 1, heard_s=server.now_s())
            for peer in server.peers
        }

    def propose(self, what: Command | Configuration | None) -> Entry:
        """Append to the leader's log, and send it to all."""
        server = self._server
        entry = Entry(server.log.last_index + 1, server.term, what)
        server.log.append((entry,))
        if isinstance(what, Configuration):
            server.set_configuration(entry.index, what)
            self.look_up_peers()
        term = server.term

        def stored() -> None:
            if server.is_leader and server.term == term:
                self.advance()

        server.storage.append((entry,), stored)
        for peer in self.progress:
            self.send(peer)
        return entry

    def ask(self) -> int:
        """Ask all whether this node still leads: the number of the question."""
        self._begin_round()
        for peer in self.progress:
            self.send(peer)
        return self.round

    def confirmed_round(self) -> int:
        """The latest question that a majority of the voters has answered, the leader included."""
        return int(self._held_by_majority(lambda each: each.round, self.round))

    def confirmed_s(self) -> float:
        """When that question was asked: followers have defended this leader since, at least."""
        confirmed = self.confirmed_round()
        self._asked_s = {n: time_s for n, time_s in self._asked_s.items() if n >= confirmed}
        return self._asked_s.get(confirmed, -1e9)

    def heard_by_majority_s(self) -> float:
        """The latest time since which a majority has been heard."""
        return self._held_by_majority(lambda each: each.heard_s, self._server.now_s())

    def send(self, peer: str) -> None:
        """Send a follower what it lacks, or a heartbeat."""
        server, progress = self._server, self.progress[peer]
        previous = progress.next - 1
        previous_term = server.log.term_at(previous)
        if previous_term is None:
            self._behind(peer)
            return
        entries = server.log.after(previous, ENTRIES_MOST)
        commit = server.commit
        asked = self.round
        server.send(
            peer, AppendEntries(server.term, previous, previous_term, entries, commit, asked)
        )
        progress.next += len(entries)  # It most likely gets them.

    def hear_appended(self, follower: str, answer: Appended) -> None:
        """A follower answered."""
        server, progress = self._server, self.progress.get(follower)
        if not server.is_leader or answer.term != server.term or progress is None:
            return
        progress.round = max(progress.round, answer.round)
        progress.heard_s = server.now_s()
        if answer.is_match:
            progress.match = max(progress.match, answer.index)
            progress.next = max(progress.next, progress.match + 1)
            self.advance()
        elif answer.index + 1 < progress.next:
            progress.match = min(progress.match, answer.index)  # An answer that was overtaken.
            progress.next = answer.index + 1
            if answer.round > progress.refused_round or answer.index < progress.refused_index:
                progress.refused_round, progress.refused_index = answer.round, answer.index
                self.send(follower)  # Once: duplicates of a refusal would multiply without end.
        self._rounds()

    def advance(self) -> None:
        """Commit what a majority holds."""
        server = self._server
        index = int(self._held_by_majority(lambda each: each.match, server.storage.stored))
        index = min(index, server.log.last_index)
        is_own = server.log.term_at(index) == server.term or server.has("figure-8")
        if index > server.commit and is_own:
            server.invariants.commits(server, index)
            server.commit = index
            self._commits()

    def _held_by_majority(self, what: Callable[[Progress], float], own: float) -> float:
        """The greatest number that a majority of the voters has reached."""
        server, majority = self._server, self._server.configuration.majority
        if server.has("minority-commit"):
            majority = max(1, majority - 1)
        held = [
            own if voter == server.identity else what(self.progress[voter])
            for voter in server.configuration.voters
        ]
        return sorted(held, reverse=True)[majority - 1]

    def _beat(self, term: int) -> None:
        """Send heartbeats as long as this node leads, and step down where nobody hears them."""
        server = self._server
        if not server.is_leader or server.term != term:
            return
        silent_s = server.now_s() - self.heard_by_majority_s()
        if silent_s > server.timings.election_most_s:
            server.cluster.tell("note", node=server.name, text="no majority answers: steps down")
            server.enter(server.term)
            server.leader = ""
            self._rounds()
            server.tell()
            return
        self._begin_round()
        for peer, progress in self.progress.items():
            if 0 < progress.match == progress.sent_match:
                progress.next = progress.match + 1  # What was sent since may be lost.
            progress.sent_match = progress.match
            self.send(peer)
        server.after(server.timings.heartbeat_s, lambda: self._beat(term))
        server.tell()

    def _begin_round(self) -> None:
        self.round += 1
        self._asked_s[self.round] = self._server.now_s()

    # The follower.

    def hear_append(self, leader: str, request: AppendEntries) -> None:
        """Make this log equal to the leader's, and answer once that is safe."""
        server, log = self._server, self._server.log
        if server.has("heartbeat-commits"):
            self._learn_commit(min(request.commit, log.last_index))
        previous, entries = request.previous_index, request.entries
        if previous < log.snapshot.index:  # Committed entries are equal.
            known = log.snapshot.index - previous
            previous, entries = log.snapshot.index, entries[known:]
            is_equal = True
        else:
            is_equal = log.term_at(previous) == request.previous_term
        if not is_equal:
            server.send(leader, Appended(server.term, False, self._hint(previous), request.round))
            return
        new = self._new(entries, previous)
        last = previous + len(entries)
        if new:
            self._append(new)
        term = server.term
        if not server.has("heartbeat-commits"):
            self._learn_commit(min(request.commit, last))

        def answer() -> None:
            if server.term == term:
                server.invariants.says(server)
                server.send(leader, Appended(term, True, last, request.round))

        server.storage.after(answer)

    def _new(self, entries: tuple[Entry, ...], previous: int) -> tuple[Entry, ...]:
        """Those that are not in the log; what is in their place is not to stay."""
        log = self._server.log
        for place, entry in enumerate(entries):
            term = log.term_at(entry.index)
            if term == entry.term:
                continue
            if term is not None and self._server.has("conflict-kept"):
                continue
            return entries[place:]
        return ()

    def _append(self, entries: tuple[Entry, ...]) -> None:
        server = self._server
        is_replaced = entries[0].index <= server.log.last_index
        server.log.append(entries)
        has_configuration = any(isinstance(each.what, Configuration) for each in entries)
        is_lost = is_replaced and entries[0].index <= server.configuration_index
        if has_configuration or is_lost:
            server.look_up_configuration()
        server.storage.append(entries, lambda: None)
        if is_replaced:
            server.invariants.stores(server, server.storage.stored)

    def _learn_commit(self, index: int) -> None:
        server = self._server
        if index > server.commit:
            server.commit = index
            self._commits()

    def _hint(self, previous: int) -> int:
        """Where the logs may be equal: before all entries of the term that differs."""
        log = self._server.log
        index = min(previous - 1, log.last_index)
        term = log.term_at(previous)
        while term is not None and index > log.snapshot.index and log.term_at(index) == term:
            index -= 1
        return max(index, log.snapshot.index)
