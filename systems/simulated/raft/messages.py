"""
What nodes say to each other. Every message may be lost, late, doubled or overtaken.

A node that lost its disk comes back under a new identity. So a message names the identities of both
ends, and a node ignores what is meant for an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from dissever.systems.simulated.raft.log import Command, Entry, Snapshot

ENTRY_BYTES = 120
MESSAGE_BYTES = 80


class RequestVote(msgspec.Struct, frozen=True):
    """
    A candidate asks for a vote, or asks who would vote for it (`is_pre`), which binds nobody.

    `is_transfer`: the leader asked it to, so nobody defends the leader.
    """

    term: int
    last_index: int
    last_term: int
    is_pre: bool = False
    is_transfer: bool = False

    def __str__(self) -> str:
        return f"log ends with {self.last_index}/{self.last_term}"


class Vote(msgspec.Struct, frozen=True):
    """The answer; `term` is the one that was asked for, or the voter's own if that is later."""

    term: int
    is_granted: bool
    is_pre: bool = False

    def __str__(self) -> str:
        return "yes" if self.is_granted else "no"


class AppendEntries(msgspec.Struct, frozen=True):
    """
    A leader's entries, which follow on an entry that the follower must have; also its heartbeat.

    `round` counts the leader's questions whether it still leads; the answer repeats it.
    """

    term: int
    previous_index: int
    previous_term: int
    entries: tuple[Entry, ...]
    commit: int
    round: int

    def __str__(self) -> str:
        after = f"after {self.previous_index}/{self.previous_term}, commit {self.commit}"
        if not self.entries:
            return f"no entries {after}"
        first, last = self.entries[0].index, self.entries[-1].index
        which = f"entry {first}" if first == last else f"entries {first}-{last}"
        return f"{which} {after}"


class Appended(msgspec.Struct, frozen=True):
    """
    The answer: the follower's log equals the leader's up to `index`, durably.

    If `is_match` is false, they differ, and may be equal up to `index`.
    """

    term: int
    is_match: bool
    index: int
    round: int

    def __str__(self) -> str:
        return f"up to {self.index}" if self.is_match else f"differs, try {self.index}"


class InstallSnapshot(msgspec.Struct, frozen=True):
    """The leader's snapshot, for a follower that needs entries which are gone."""

    term: int
    snapshot: Snapshot

    def __str__(self) -> str:
        return f"up to {self.snapshot.index}/{self.snapshot.term}"


class TimeoutNow(msgspec.Struct, frozen=True):
    """The leader asks a follower to stand for election at once."""

    term: int

    def __str__(self) -> str:
        return "stand for election"


RequestId: TypeAlias = tuple[str, int]
"""
The session and the number by which a node knows a request. The session is that of its process: an
answer that comes after a restart must not be taken for another request's.
"""


class Forward(msgspec.Struct, frozen=True):
    """A request of a client that a node passes on to the leader; `request` is for the answer."""

    request: RequestId
    command: Command

    @property
    def term(self) -> int:
        """It belongs to none."""
        return 0

    def __str__(self) -> str:
        return str(self.command)


class Answer(msgspec.Struct, frozen=True):
    """What became of a request: its value, why it was not applied, or that nobody leads here."""

    request: RequestId
    value: Any = None
    refusal: Exception | None = None
    is_leader: bool = True

    @property
    def term(self) -> int:
        """It belongs to none."""
        return 0

    def __str__(self) -> str:
        if not self.is_leader:
            return "does not lead"
        return "done" if self.refusal is None else f"refused: {self.refusal}"


Message: TypeAlias = (
    RequestVote | Vote | AppendEntries | Appended | InstallSnapshot | TimeoutNow | Forward | Answer
)


class Envelope(msgspec.Struct, frozen=True):
    """A message with the identities of both ends."""

    sender: str
    to: str
    message: Message

    @property
    def size_bytes(self) -> int:
        """How large it is on the network."""
        message = self.message
        if isinstance(message, AppendEntries):
            return MESSAGE_BYTES + ENTRY_BYTES * len(message.entries)
        if isinstance(message, InstallSnapshot):
            return MESSAGE_BYTES + ENTRY_BYTES * len(message.snapshot.data)
        return MESSAGE_BYTES

    def told(self) -> Mapping[str, Any]:
        """What the trace of a run says of it."""
        what = type(self.message).__name__
        if isinstance(self.message, RequestVote | Vote) and self.message.is_pre:
            what = f"Pre{what}"
        return {"what": what, "term": self.message.term, "text": str(self.message)}
