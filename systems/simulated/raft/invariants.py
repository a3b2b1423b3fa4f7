"""
What must hold of a cluster at each moment, as only a simulation can see it. Pure watching.

A breach is a line of the trace, said once for each node and name. `election-safety`: one leader a
term. `leader-completeness`: a leader has what was committed in earlier terms.
`state-machine-safety`: all apply the same entry at an index. `vote-not-stored` and
`term-not-stored`: a node that was started again knows what it has said before. `stored-index`: it
has the entries that it said were safe. `two-changes`: a leader changes members one at a time.
`earlier-term-committed`: a leader counts copies of its own term's entries alone (figure 8).

Source: Raft, figure 3; dissertation, figure 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dissever.systems.simulated.raft.identities import host_of
from dissever.systems.simulated.raft.log import Configuration, Entry

if TYPE_CHECKING:  # A server has them.
    from dissever.systems.simulated.raft.server import Server

AROUND: Final = 3
"""How many entries before and behind the one in question are shown."""


@dataclass(frozen=True, slots=True)
class _Applied:
    """What was applied first at an index: by whom, and in which term."""

    entry: Entry
    node: str
    term: int


@dataclass(slots=True)
class Invariants:
    """Those of one cluster, for as long as it lives."""

    leaders: dict[int, str] = field(default_factory=dict)
    applied: dict[int, _Applied] = field(default_factory=dict)
    terms: dict[str, int] = field(default_factory=dict)
    """Identity -> the latest term in whose name it has said something."""

    votes: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Identity -> the term in which it has voted last, and for whom."""

    stored: dict[str, int] = field(default_factory=dict)
    """Identity -> up to where it has said that its log is safe."""

    last: int = 0
    """The greatest index that was applied."""

    said: dict[tuple[str, str], None] = field(default_factory=dict)

    def leads(self, server: Server) -> None:
        """A node begins to lead."""
        other = self.leaders.setdefault(server.term, server.identity)
        if other != server.identity:
            both = (server.name, host_of(other))
            text = f"{both[0]} and {both[1]} lead in term {server.term}"
            self._broken(server, "election-safety", text, nodes=both)
        self._has_all(server)

    def applies(self, server: Server, entry: Entry) -> None:
        """A node applies an entry."""
        known = self.applied.get(entry.index)
        if known is None:
            self.applied[entry.index] = _Applied(entry, server.name, server.term)
            self.last = max(self.last, entry.index)
        elif known.entry is not entry and (
            known.entry.term != entry.term or known.entry.what is not entry.what
        ):
            text = f"{server.name} applies {entry}, and {known.node} applied {known.entry}"
            nodes = (server.name, known.node)
            self._broken(server, "state-machine-safety", text, index=entry.index, nodes=nodes)

    def commits(self, server: Server, index: int) -> None:
        """A leader takes an entry for committed, since a majority holds it."""
        term = server.log.term_at(index)
        if term is not None and term < server.term:
            text = f"{server.name} leads in term {server.term} and commits {server.log.get(index)}"
            self._broken(server, "earlier-term-committed", text)

    def overtakes(self, server: Server, changed: Configuration) -> None:
        """A leader begins a change of the members before the last one is committed."""
        text = f"{server.name} changes {server.configuration}, not committed yet, to {changed}"
        self._broken(server, "two-changes", text)

    def says(self, server: Server) -> None:
        """A node says something in the name of its term."""
        self.terms[server.identity] = server.term

    def votes_for(self, server: Server, candidate: str) -> None:
        """A node tells a candidate, or itself, that it has its vote."""
        self.votes[server.identity] = (server.term, candidate)
        self.says(server)

    def stores(self, server: Server, index: int) -> None:
        """A node takes its log for safe up to an index; less than before: it has dropped some."""
        self.stored[server.identity] = index

    def starts(self, server: Server) -> None:
        """A node has read its disk."""
        term = self.terms.get(server.identity, 0)
        if server.term < term:
            text = f"{server.name} spoke in term {term}, and comes back in term {server.term}"
            self._broken(server, "term-not-stored", text)
        voted_in, candidate = self.votes.get(server.identity, (0, ""))
        if server.term == voted_in and server.vote != candidate:
            whom = host_of(candidate)
            text = f"{server.name} voted for {whom} in term {voted_in}, and comes back without"
            self._broken(server, "vote-not-stored", text)
        stored = self.stored.get(server.identity, 0)
        if server.log.last_index < stored:
            has = f"comes back with {server.log.last_index}"
            text = f"{server.name} said that entries up to {stored} are safe, and {has}"
            self._broken(server, "stored-index", text)

    def _has_all(self, leader: Server) -> None:
        """Look whether a leader has the newest entry that was committed in an earlier term."""
        index = self.last
        while index > 1 and self.applied[index].term >= leader.term:
            index -= 1
        if index <= max(1, leader.log.snapshot.index):  # All were made with the first.
            return
        known = self.applied[index]
        if leader.log.term_at(index) != known.entry.term:
            has = leader.log.get(index)
            instead = "has nothing there" if has is None else f"has {has}"
            leads = f"{leader.name} leads in term {leader.term} and {instead}"
            text = f"{leads}; {known.node} applied {known.entry}"
            nodes = (leader.name, known.node)
            self._broken(leader, "leader-completeness", text, index=index, nodes=nodes)

    def _broken(
        self, server: Server, name: str, text: str, *, index: int = 0, nodes: tuple[str, ...] = ()
    ) -> None:
        if (server.name, name) in self.said:
            return
        self.said[server.name, name] = None
        facts = {"index": index, "nodes": list(nodes), "logs": self._logs(server, index)}
        known = {key: value for key, value in facts.items() if value}
        server.cluster.tell("violation", node=server.name, name=name, text=text, **known)

    def _logs(self, server: Server, index: int) -> dict[str, list[list[object]]]:
        """What the node has around an index, and what was applied there first."""
        if not index:
            return {}
        own = [server.log.get(each) for each in range(index - AROUND, index + AROUND + 1)]
        first = [self.applied.get(each) for each in range(index - AROUND, index + AROUND + 1)]
        applied = [each.entry for each in first if each is not None]
        other = self.applied[index].node
        shown = {server.name: [each for each in own if each is not None], other: applied}
        return {
            node: [[each.index, each.term, str(each.what or "no-op")] for each in entries]
            for node, entries in shown.items()
        }
