"""
Changes of the configuration, one member at a time, and handing over of leadership.

A configuration counts from the moment it is in a node's log. The old and the new one differ by one
voter, so each majority of one meets each majority of the other. That holds only if the old one is
committed, and if no other leader's change can be under way: so a leader changes nothing before it
has committed an entry of its own term. A member becomes a voter once it holds what is committed.

Source: dissertation, 4.1 to 4.3 and 3.10; D. Ongaro, "bug in single-server membership changes",
raft-dev, 2015.
"""

from __future__ import annotations

from typing import Final

from dissever.systems.simulated.raft.log import Membership
from dissever.systems.simulated.raft.messages import TimeoutNow
from dissever.systems.simulated.raft.replication import Replication
from dissever.systems.simulated.raft.server import Server

TRANSFER_LIMIT_S: Final = 0.3
"""How long a leader takes no requests while it hands over."""


class Refused(Exception):
    """The change was not begun; the message says why."""


class Changes:
    """What a leader does when somebody asks for another configuration, or another leader."""

    def __init__(self, server: Server, replication: Replication) -> None:
        self._server = server
        self._replication = replication
        self.is_handing_over = False
        self.handed_over_in = 0
        """
        The term in which this leader last tried. However long ago that was, who was asked to lead
        may still stand for election, although others hear this leader (tikv/raft-rs #234).
        """

    def change(self, identity: str, role: Membership | None) -> None:
        """
        Begin to make a node something else; None: no member any more.

        Raises:
            Refused: When that cannot be now.
        """
        server = self._server
        if not server.is_leader:
            raise Refused(f"{server.name} does not lead")
        if server.configuration.role(identity) is role:
            return
        is_under_way = server.configuration_index > server.commit
        if is_under_way and not server.has("two-changes"):
            raise Refused("another change is under way")
        if server.commit < self._replication.first_own:
            raise Refused(f"{server.name} has committed nothing of its term")
        changed = server.configuration.changed(identity, role)
        if not changed.voters:
            raise Refused("no voter would be left")
        progress = self._replication.progress.get(identity)
        lags = progress is not None and progress.match < server.commit
        if role is Membership.VOTER and lags:
            raise Refused(f"{identity} does not hold yet what is committed")
        if is_under_way:
            server.invariants.overtakes(server, changed)
        self._replication.propose(changed)
        self._replication.advance()

    def hand_over(self, identity: str) -> None:
        """
        Begin to hand over to a voter, which first gets what it lacks.

        Raises:
            Refused: When that cannot be now.
        """
        server = self._server
        if not server.is_leader:
            raise Refused(f"{server.name} does not lead")
        if identity == server.identity:
            return
        if server.configuration.role(identity) is not Membership.VOTER:
            raise Refused(f"{identity} has no vote")
        if self.is_handing_over:
            raise Refused("leadership is being handed over")
        self.is_handing_over = True
        self.handed_over_in = term = server.term
        until_s = server.now_s() + TRANSFER_LIMIT_S
        self._try(identity, term, until_s)

    def _try(self, identity: str, term: int, until_s: float) -> None:
        """Ask the node to stand for election once it has the whole log; give up after a while."""
        server = self._server
        progress = self._replication.progress.get(identity)
        is_over = not server.is_leader or server.term != term or server.now_s() >= until_s
        if is_over or progress is None:
            self.is_handing_over = False
            return
        if progress.match == server.log.last_index or server.has("transfer-without-votes"):
            server.send(identity, TimeoutNow(term))
        server.after(server.timings.heartbeat_s, lambda: self._try(identity, term, until_s))
