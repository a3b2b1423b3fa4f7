"""
The state machine: keys with values, and the sessions that make a repeated request harmless.

A node that gets no answer from the leader sends its request again. The command may be in the log
twice, then. A session remembers the answers to its requests, so the second is not applied, and is
answered as the first. Answers that the session no longer waits for are forgotten.

Source: Ongaro's dissertation, section 6.3; a session here is the life of one node's process, and
has many requests under way at once, so it keeps an answer for each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from dissever.harness.client import NotApplied
from dissever.systems.simulated.raft.log import Command

Outcome = tuple[Any, Exception | None]
"""The answer, or why a command was not applied."""


@dataclass(frozen=True, slots=True)
class Session:
    """The answers that may be asked for again; every request below `below` was answered."""

    below: int = 0
    answers: Mapping[int, Outcome] = field(default_factory=dict)


class Machine:
    """What all nodes that have applied the same entries hold alike."""

    def __init__(self, data: Mapping[str, Any], sessions: Mapping[str, Session]) -> None:
        self.data = dict(data)
        self.sessions = dict(sessions)

    def read(self, command: Command) -> Outcome:
        """The answer of a command that changes nothing."""
        return _changed(command, self.data.get(command.key))[1]

    def apply(self, command: Command) -> Outcome:
        """Carry out a command, unless it was before."""
        session = self.sessions.get(command.session, Session())
        if command.sequence in session.answers:
            return session.answers[command.sequence]
        if command.sequence < session.below:
            return None, NotApplied("nobody waits for it any more", "forgotten")
        value, outcome = _changed(command, self.data.get(command.key))
        if outcome[1] is None:
            self.data[command.key] = value
        below = max(session.below, command.below)
        answers = {number: each for number, each in session.answers.items() if number >= below}
        answers[command.sequence] = outcome
        self.sessions[command.session] = Session(below, answers)
        return outcome

    def digest(self) -> str:
        """Of all that it holds: equal for equal states, in every process."""
        text = _plain(sorted(self.data.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _changed(command: Command, value: Any) -> tuple[Any, Outcome]:
    try:
        changed, answer = command.change(value)
    except NotApplied as error:
        return value, (None, error)
    return changed, (answer, None)


def _plain(value: Any) -> str:
    """A text of a value in which nothing depends on the order of sets."""
    if isinstance(value, Mapping):
        return _plain(tuple(value.items()))
    if isinstance(value, frozenset | set):
        return f"{sorted(map(_plain, value))}"
    if isinstance(value, tuple | list):
        return f"({','.join(map(_plain, value))})"
    if is_dataclass(value):
        return _plain([getattr(value, each.name) for each in fields(value)])
    return repr(value)
