"""
Snapshots: the state in place of the log that led to it, on disk and for followers that lag behind.

A snapshot belongs to one index: it holds all that was applied up to there, the sessions and the
configuration with it, and nothing of what came later. A follower that needs entries which are gone
gets the leader's snapshot. It takes that on only if it knows less, once its disk has it.

Source: Raft, 7; dissertation, 5.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dissever.systems.simulated.raft.log import Configuration, Snapshot
from dissever.systems.simulated.raft.machine import Machine
from dissever.systems.simulated.raft.messages import Appended, InstallSnapshot
from dissever.systems.simulated.raft.server import Server

COPY_S: Final = 0.1
"""How long it takes to copy the state, with the bug that does so while the store goes on."""


class Snapshots:
    """Takes snapshots, sends them, and takes them on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.machine = Machine(server.log.snapshot.data, server.log.snapshot.sessions)
        self.is_installed = False
        """Whether the snapshot that this node holds came from another."""

        self._is_saving = False
        self._sent_s: dict[str, float] = {}

    def take_if_due(self) -> None:
        """Take a snapshot when enough was applied since the last."""
        server = self._server
        due = server.log.snapshot.index + server.timings.snapshot_entries
        if self._is_saving or server.applied < due:
            return
        snapshot = self._taken()
        if server.has("torn-snapshot"):  # The rest is copied while the store goes on.
            self._is_saving = True
            server.after(COPY_S, lambda: self._save(self._with_later_data(snapshot)))
            return
        self._save(snapshot)

    def send(self, follower: str) -> None:
        """Send the leader's snapshot to a follower, now and then until it has it."""
        server = self._server
        now_s = server.now_s()
        if 0 <= now_s - self._sent_s.get(follower, -1e9) < server.timings.election_least_s:
            return
        self._sent_s[follower] = now_s
        server.send(follower, InstallSnapshot(server.term, server.log.snapshot))

    def hear_install(self, leader: str, request: InstallSnapshot) -> None:
        """Take on a snapshot that holds more than this node knows to be committed."""
        server, snapshot = self._server, request.snapshot
        term = server.term

        def answer() -> None:
            if server.term == term:
                server.send(leader, Appended(term, True, snapshot.index, 0))

        if snapshot.index <= server.commit:
            answer()
            return
        if self._is_saving:
            return
        self._is_saving = True

        def saved(is_saved: bool) -> None:
            self._is_saving = False
            if is_saved and snapshot.index > server.commit:
                self._install(snapshot)
                server.storage.replace_log(server.log.entries, answer)
                server.tell()

        server.storage.save_snapshot(snapshot, saved)

    def _taken(self) -> Snapshot:
        server, machine = self._server, self.machine
        index = server.applied
        if server.has("snapshot-ahead"):  # It claims what was not applied yet.
            index = server.log.last_index
        term = server.log.term_at(index)
        assert term is not None, "an entry that was applied is there until a snapshot has it"
        sessions = {} if server.has("sessions-lost") else dict(machine.sessions)
        return Snapshot(index, term, self._configuration(index), dict(machine.data), sessions)

    def _with_later_data(self, snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, data=dict(self.machine.data))

    def _configuration(self, index: int) -> Configuration:
        """The one that counted at an index."""
        log = self._server.log
        for each in reversed(log.entries):
            if each.index <= index and isinstance(each.what, Configuration):
                return each.what
        return log.snapshot.configuration

    def _save(self, snapshot: Snapshot) -> None:
        server = self._server
        self._is_saving = True

        def saved(is_saved: bool) -> None:
            self._is_saving = False
            if is_saved and snapshot.index > server.log.snapshot.index:
                server.log.compact(snapshot, server.timings.trailing_entries)
                self.is_installed = False
                server.storage.replace_log(server.log.entries, lambda: None)
                server.cluster.tell("snapshot", node=server.name, index=snapshot.index, how="taken")
                server.tell()

        server.storage.save_snapshot(snapshot, saved)

    def _install(self, snapshot: Snapshot) -> None:
        server = self._server
        server.log.compact(snapshot, trailing=0)
        server.storage.stored = max(server.storage.stored, snapshot.index)
        self.machine = Machine(snapshot.data, snapshot.sessions)
        server.commit = server.applied = snapshot.index
        server.look_up_configuration()
        self.is_installed = True
        server.cluster.tell("snapshot", node=server.name, index=snapshot.index, how="installed")
