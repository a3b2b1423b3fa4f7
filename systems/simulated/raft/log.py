"""
Entries, configurations and snapshots, and the log of one node in memory.

The log begins after a snapshot: entries up to the snapshot's index may be gone, but the term of the
last of them is known. Before the first snapshot that is index 0, term 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec


class Membership(StrEnum):
    """What a member of a configuration is."""

    VOTER = "voter"
    STAND_BY = "stand-by"
    """It holds all entries and does not vote."""

    SPARE = "spare"
    """The same, until it is made something else."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Who belongs to the cluster: (identity, what it is) in order of the identities."""

    members: tuple[tuple[str, Membership], ...] = ()
    voters: tuple[str, ...] = field(init=False)
    """Those whose votes and copies count."""

    def __post_init__(self) -> None:
        voters = tuple(name for name, role in self.members if role is Membership.VOTER)
        object.__setattr__(self, "voters", voters)

    @property
    def identities(self) -> tuple[str, ...]:
        """All members."""
        return tuple(name for name, _ in self.members)

    @property
    def majority(self) -> int:
        """How many voters decide."""
        return len(self.voters) // 2 + 1

    def role(self, identity: str) -> Membership | None:
        """What a node is; None: no member."""
        return dict(self.members).get(identity)

    def changed(self, identity: str, role: Membership | None) -> Configuration:
        """With one member that is something else; None: no member any more."""
        members = dict(self.members)
        members.pop(identity, None)
        if role is not None:
            members[identity] = role
        return Configuration(tuple(sorted(members.items())))

    def __str__(self) -> str:
        others = {Membership.VOTER: ""}
        return " ".join(f"{name}{others.get(role, f'({role})')}" for name, role in self.members)


@dataclass(frozen=True, slots=True)
class Command:
    """
    A change of one key that a client asked for.

    `session` and `sequence` name the request, however often it is sent. `below`: the session waits
    for no answer to a request with a lower number. `change` is a pure function from the value of
    the key to the new value and the answer; it may raise `NotApplied`, which is the answer, then.
    """

    session: str
    sequence: int
    below: int
    key: str
    f: str
    change: Any

    def __str__(self) -> str:
        return f"{self.f} {self.key}"


class Entry(msgspec.Struct, frozen=True):
    """What is agreed on for one index; `what` None: nothing, which a new leader begins with."""

    index: int
    term: int
    what: Command | Configuration | None = None

    def __str__(self) -> str:
        what = "no-op" if self.what is None else str(self.what)
        return f"{self.index}/{self.term} {what}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after the entry at `index`, which had that term, and the configuration then."""

    index: int = 0
    term: int = 0
    configuration: Configuration = Configuration()
    data: Mapping[str, Any] = field(default_factory=dict)
    sessions: Mapping[str, Any] = field(default_factory=dict)


class Log:
    """The entries of one node, in memory."""

    def __init__(self, snapshot: Snapshot, entries: list[Entry]) -> None:
        self.snapshot = snapshot
        self._entries = entries

    @property
    def first_index(self) -> int:
        """Of the oldest entry that is there; one more than the last when there is none."""
        return self._entries[0].index if self._entries else self.snapshot.index + 1

    @property
    def last_index(self) -> int:
        """Of the newest entry, or of the snapshot."""
        return self._entries[-1].index if self._entries else self.snapshot.index

    @property
    def last_term(self) -> int:
        """Of the newest entry, or of the snapshot."""
        return self._entries[-1].term if self._entries else self.snapshot.term

    def term_at(self, index: int) -> int | None:
        """The term of an entry; None: it is not there, or no longer."""
        entry = self.get(index)
        if entry is not None:
            return entry.term
        return self.snapshot.term if index == self.snapshot.index else None

    def get(self, index: int) -> Entry | None:
        """An entry; None: it is not there."""
        place = index - self.first_index
        return self._entries[place] if 0 <= place < len(self._entries) else None

    def after(self, index: int, limit: int) -> tuple[Entry, ...]:
        """The entries behind an index, at most so many."""
        start = index + 1 - self.first_index
        return tuple(self._entries[start : start + limit])

    def append(self, entries: tuple[Entry, ...]) -> None:
        """Add entries behind the last, or in place of those from the first of them on."""
        if entries:
            self.truncate(entries[0].index)
            self._entries.extend(entries)

    def truncate(self, index: int) -> None:
        """Remove the entries from an index on."""
        del self._entries[max(0, index - self.first_index) :]

    def compact(self, snapshot: Snapshot, trailing: int) -> None:
        """Replace what a snapshot holds by it, but keep the last entries of that."""
        follows = self.first_index == snapshot.index + 1
        matches = follows or self.term_at(snapshot.index) == snapshot.term
        keep_from = snapshot.index + 1 - trailing
        kept = [each for each in self._entries if each.index >= keep_from] if matches else []
        self.snapshot, self._entries = snapshot, kept

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All that are there."""
        return tuple(self._entries)

    def configuration(self) -> tuple[int, Configuration]:
        """The index and the configuration of the newest entry that has one, or the snapshot's."""
        for entry in reversed(self._entries):
            if isinstance(entry.what, Configuration) and entry.index > self.snapshot.index:
                return entry.index, entry.what
        return self.snapshot.index, self.snapshot.configuration
