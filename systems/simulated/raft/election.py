"""
Elections: who leads in a term, at most one.

A follower that hears nothing from a leader first asks who would vote for it (the pre-vote): so a
node that was cut off does not depose a leader that everybody else hears. Then it enters the next
term and asks for votes. A voter gives one vote a term, to a candidate whose log is at least as new
as its own. While it hears a leader it gives none, unless that leader hands over.

Source: Raft, 5.2 and 5.4.1; dissertation, 3.10 (hand over), 4.2.3 and 9.6 (pre-vote).
"""

from __future__ import annotations

from collections.abc import Callable

from dissever.systems.simulated.raft.messages import RequestVote, TimeoutNow, Vote
from dissever.systems.simulated.raft.server import Role, Server


class Election:
    """Stands for election, and votes."""

    def __init__(self, server: Server, win: Callable[[], None], depose: Callable[[], None]) -> None:
        self._server = server
        self._win = win
        self._depose = depose
        self._votes: dict[str, None] = {}
        self._is_pre = False
        self._heard_s = server.now_s()
        """When a leader was heard last; at the start it may have been just now."""

        self._due_s = 0.0
        self.wait()
        self._watch()

    def wait(self) -> None:
        """Give others some time before standing for election."""
        timings, rng = self._server.timings, self._server.rng
        wait_s = rng.uniform(timings.election_least_s, timings.election_most_s)
        self._due_s = self._server.now_s() + wait_s

    def hear_leader(self) -> None:
        """A leader of this term said something."""
        self._heard_s = self._server.now_s()
        self._votes = {}
        self.wait()

    def depose(self, term: int) -> None:
        """A later term was heard of: whatever the node is, it follows now."""
        if self._server.is_leader:
            self._depose()
        self._server.enter(term)

    def stand(self, *, is_pre: bool, is_transfer: bool = False) -> None:
        """Ask for votes."""
        server = self._server
        self._is_pre = is_pre
        self._votes = {}
        self.wait()
        if is_pre:
            self._ask(server.term + 1, is_transfer=False)
            self.hear_vote(server.identity, Vote(server.term + 1, True, is_pre=True))
            return
        server.enter(server.term + 1)
        server.role, server.vote = Role.CANDIDATE, server.identity
        term = server.term

        def begin() -> None:
            if server.term == term and server.role is Role.CANDIDATE:
                server.invariants.votes_for(server, server.identity)
                self._ask(term, is_transfer=is_transfer)
                self.hear_vote(server.identity, Vote(term, True))

        server.save(begin)

    def hear_request(self, candidate: str, request: RequestVote) -> None:
        """Answer a candidate."""
        server = self._server
        if self._hears_leader() and not request.is_transfer:
            return
        if request.term > server.term and not request.is_pre:
            self.depose(request.term)
        is_granted = self._grants(candidate, request)
        if request.is_pre:
            term = request.term if is_granted else server.term
            server.send(candidate, Vote(term, is_granted, is_pre=True))
            return
        if is_granted:
            server.vote = candidate
            server.save()
            self.wait()
        term = server.term

        def answer() -> None:
            if is_granted and server.term == term:
                server.invariants.votes_for(server, candidate)
            server.send(candidate, Vote(term, is_granted))

        server.storage.after(answer)

    def hear_vote(self, voter: str, vote: Vote) -> None:
        """Count a vote."""
        server = self._server
        asked = server.term + 1 if vote.is_pre and vote.is_granted else server.term
        if vote.term > asked:
            self.depose(vote.term)
            return
        if vote.term < asked or vote.is_pre is not self._is_pre or not vote.is_granted:
            return
        if server.is_leader or (not vote.is_pre and server.role is not Role.CANDIDATE):
            return
        self._votes[voter] = None
        count = sum(each in self._votes for each in server.configuration.voters)
        if count >= server.configuration.majority:
            self._votes = {}
            if vote.is_pre:
                self.stand(is_pre=False)
            else:
                self._win()

    def hear_timeout_now(self, request: TimeoutNow) -> None:
        """The leader wants this node to lead."""
        server = self._server
        if request.term != server.term or not server.is_voter:
            return
        if server.has("transfer-without-votes"):
            server.enter(server.term + 1)
            server.save(self._win)
            return
        self.stand(is_pre=False, is_transfer=True)

    def _grants(self, candidate: str, request: RequestVote) -> bool:
        server = self._server
        if request.term < server.term:
            return False
        if request.is_pre and request.term == server.term:
            return False
        has_voted = server.vote not in ("", candidate) and not server.has("votes-twice")
        if not request.is_pre and (has_voted or server.role is not Role.FOLLOWER):
            return False
        if server.has("outdated-leader"):
            return True
        ours = server.log.last_term, server.log.last_index
        return (request.last_term, request.last_index) >= ours

    def _hears_leader(self) -> bool:
        """Whether somebody leads, so that nobody else should be voted for."""
        if self._server.is_leader:
            return True
        since_s = self._server.now_s() - self._heard_s
        return 0 <= since_s < self._server.timings.election_least_s

    def _ask(self, term: int, *, is_transfer: bool) -> None:
        server, log = self._server, self._server.log
        request = RequestVote(
            term, log.last_index, log.last_term, is_pre=self._is_pre, is_transfer=is_transfer
        )
        for voter in server.configuration.voters:
            if voter != server.identity:
                server.send(voter, request)

    def _watch(self) -> None:
        """Look now and then whether a leader was heard; a timer that is never moved is cheap."""
        server = self._server
        now_s = server.now_s()
        if server.is_leader or not server.is_voter:
            self.wait()
        elif now_s >= self._due_s:
            self.stand(is_pre=True)
        server.after(min(max(self._due_s - now_s, 0.001), 0.3), self._watch)
        server.tell()
