"""
Reads that are not in the log: the leader answers from its own state, if it still leads.

It notes what is committed when the read arrives, asks all whether they still follow it, and answers
once a majority said so and that much is applied. Reads that arrive meanwhile share the next
question. A new leader knows what is committed only once the entry that it began with is.

With the option `lease`, a leader that a majority heard a moment ago answers at once: they vote for
nobody until an election's time has passed on their clocks. That is right as long as no clock goes
faster than the leader's by more than `DRIFT_MOST`.

Source: Raft, 8; dissertation, 6.4 (reads) and 6.4.1 (leases).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dissever.systems.simulated.raft.replication import Replication
from dissever.systems.simulated.raft.server import Server

DRIFT_MOST: Final = 0.25
"""How much faster than the leader's clock another may go, where leases are used."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A read that waits: until that index is applied, and `fail` if the node stops leading."""

    index: int
    answer: Callable[[], None]
    fail: Callable[[], None]


class Reads:
    """Reads of a leader."""

    def __init__(
        self,
        server: Server,
        replication: Replication,
        *,
        by_lease: bool,
        may_be_deposed: Callable[[], bool],
    ) -> None:
        self._server = server
        self._replication = replication
        self._by_lease = by_lease or server.has("lease-drift")
        self._may_be_deposed = may_be_deposed
        """Whether it has tried to hand over in its term: others may vote for another, then."""

        self._early: list[_Read] = []
        """Those that arrived before this leader knew what is committed."""

        self._waiting: list[_Read] = []
        """Those that wait for the next question."""

        self._asked: tuple[int, list[_Read]] = (0, [])
        """The question that is under way, and who waits for its answers."""

    def read(self, answer: Callable[[], None], fail: Callable[[], None]) -> None:
        """Call `answer` once the state may be read; `fail` if this node no longer leads."""
        server = self._server
        if server.has("stale-leader"):
            answer()
            return
        read = _Read(server.commit, answer, fail)
        if server.commit < self._replication.first_own and not server.has("early-read"):
            self._early.append(read)
        elif self._by_lease and self._holds_lease():
            answer()
        else:
            self._waiting.append(read)
            self._ask()

    def go_on(self) -> None:
        """Something was committed or answered, or the node has stopped leading."""
        server = self._server
        if not server.is_leader:
            failed = (*self._early, *self._waiting, *self._asked[1])
            self._early, self._waiting, self._asked = [], [], (0, [])
            for each in failed:
                each.fail()
            return
        if self._early and server.commit >= self._replication.first_own:
            early, self._early = self._early, []
            for each in early:
                self.read(each.answer, each.fail)
        number, reads = self._asked
        if reads and self._replication.confirmed_round() >= number:
            self._asked = (0, [])
            for each in reads:
                assert server.applied >= each.index, "what is committed is applied at once"
                each.answer()
            self._ask()

    def _ask(self) -> None:
        if self._waiting and not self._asked[1]:
            waiting, self._waiting = self._waiting, []
            self._asked = (self._replication.ask(), waiting)
            self.go_on()  # A cluster of one has no one to ask.

    def _holds_lease(self) -> bool:
        timings = self._server.timings
        lasts_s = timings.election_least_s / (1 + DRIFT_MOST)
        if self._server.has("lease-drift"):
            lasts_s = timings.election_most_s
        since_s = self._server.now_s() - self._replication.confirmed_s()
        return not self._may_be_deposed() and 0 <= since_s < lasts_s
