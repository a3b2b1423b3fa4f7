"""
How a node serves its clients: it passes each request on to the leader until that answers.

A request has a number in the session of this process. It is sent again when the leader changes, or
does not answer; the session makes that harmless. Without a leader it waits a while for one. What
was never sent to a leader is known to have no effect. After `LIMIT_S` nobody knows what became of a
change that was sent.

Source: Raft, 8; dissertation, 6.2 (finding the leader) and 6.3 (sessions).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.systems.simulated.raft.log import Command
from dissever.systems.simulated.raft.machine import Machine
from dissever.systems.simulated.raft.messages import Answer, Forward
from dissever.systems.simulated.raft.server import Server

RETRY_S: Final = 0.12
"""How long a node waits for the leader's answer before it asks again."""

LIMIT_S: Final = 0.7
"""How long it tries."""

NO_LEADER_LIMIT_S: Final = 0.5
"""How long it waits for a leader before it refuses."""

LOOK_S: Final = 0.03
"""The gap between two looks whether somebody leads."""

HASTY_S: Final = 0.009
"""How long a node waits for an answer, with the bugs of one that is in a hurry."""

BACK_OFF_S: Final = 0.05
"""How long it waits then before it asks again."""


@dataclass(frozen=True, slots=True)
class Do:
    """
    What a client asks a node for: a change of a key, `f` for the record; a `read` changes nothing.

    `change` is a pure function from the value to the new value and the answer.
    """

    key: str
    f: str
    change: Callable[[Any], tuple[Any, Any]]


@dataclass(slots=True)
class _Request:
    """A request that has no answer yet."""

    command: Command
    answer: asyncio.Future[Any]
    began_s: float
    is_sent: bool = False
    sent_s: float = 0.0
    sent_to: str = ""


class Gateway:
    """
    Serves the clients of one node.

    Args:
        pass_on: Gives a request to a leader, by its identity, which may be this node.
        machine: What this node has applied.
    """

    def __init__(
        self,
        server: Server,
        session: str,
        *,
        pass_on: Callable[[str, Forward], None],
        machine: Callable[[], Machine],
    ) -> None:
        self._server = server
        self._session = session
        self._pass_on = pass_on
        self._machine = machine
        self._sequence = 0
        self._requests: dict[int, _Request] = {}
        self._is_watching = False
        self._leader = ""

    def serve(self, do: Do) -> asyncio.Future[Any]:
        """The answer to a client, later; or NotApplied, or a TimeoutError if nobody knows."""
        server = self._server
        self._sequence += 1
        below = min(self._requests, default=self._sequence)
        command = Command(self._session, self._sequence, below, do.key, do.f, do.change)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if server.has("stale-read") and do.f == "read":
            answer.set_result(self._machine().read(command)[0])
            return answer
        if server.has("lost-write") and do.f != "read":
            worked_out = self._worked_out(command)
            if worked_out is None:
                answer.set_exception(NotApplied("the value is another", "mismatch"))
                return answer
            command = worked_out
        self._requests[command.sequence] = _Request(command, answer, server.now_s())
        self._try(command.sequence)
        self._watch()
        return answer

    def hear_answer(self, answer: Answer) -> None:
        """The leader answered, or a node that does not lead."""
        session, number = answer.request
        request = self._requests.get(number)
        if request is None or session != self._session:
            return
        if not answer.is_leader:
            request.sent_to = ""  # Whoever leads then is asked at the next look.
            return
        if answer.refusal is not None:
            self._end(number, answer.refusal)
        else:
            self._end(number, answer.value)

    def hear_leader(self, leader: str) -> None:
        """Somebody leads: what waits for that is sent at once."""
        if leader != self._leader:
            self._leader = leader
            for number in tuple(self._requests):
                self._try(number)

    def _worked_out(self, command: Command) -> Command | None:
        """With the new value that follows from this node's own copy, or None where it refuses."""
        try:
            value, told = command.change(self._machine().data.get(command.key))
        except NotApplied:
            return None
        return replace(command, change=lambda _: (value, told))

    def _try(self, number: int) -> None:
        """Send a request to the leader, if there is one that has not got it lately."""
        server, request = self._server, self._requests[number]
        leader, now_s = server.leader, server.now_s()
        is_waiting = request.sent_to == leader and now_s - request.sent_s < RETRY_S
        if not leader or is_waiting:
            return
        if server.has("double-write") and not request.is_sent and request.command.f != "read":
            server.after(HASTY_S, lambda: self._repeat_if_late(number, leader))
        request.is_sent, request.sent_s, request.sent_to = True, now_s, leader
        self._pass_on(leader, Forward((self._session, number), request.command))

    def _repeat_if_late(self, number: int, leader: str) -> None:
        """Send a request again after a while, as one that nobody knows: a bug."""
        request = self._requests.get(number)
        if request is not None:
            self._sequence += 1
            again = replace(request.command, sequence=self._sequence)
            forward = Forward((self._session, self._sequence), again)
            self._server.after(BACK_OFF_S, lambda: self._pass_on(leader, forward))

    def _watch(self) -> None:
        """Look now and then at what waits."""
        if self._is_watching:
            return
        self._is_watching = True
        self._server.after(HASTY_S if self._server.has("dirty-read") else LOOK_S, self._look)

    def _look(self) -> None:
        self._is_watching = False
        server = self._server
        for number, request in tuple(self._requests.items()):
            waited_s = server.now_s() - request.began_s
            is_read = request.command.f == "read"
            if server.has("dirty-read") and request.is_sent and not is_read and waited_s > HASTY_S:
                self._end(number, NotApplied("the leader took too long", "busy"))
            elif not request.is_sent and waited_s > NO_LEADER_LIMIT_S:
                self._end(number, NotApplied("nobody leads", "no-leader"))
            elif waited_s > LIMIT_S and is_read:
                self._end(number, NotApplied("no answer from the leader", "no-answer"))
            elif waited_s > LIMIT_S:
                self._end(number, TimeoutError("no answer from the leader; it may be applied"))
            else:
                self._try(number)
        if self._requests:
            self._watch()

    def _end(self, number: int, outcome: Any) -> None:
        answer = self._requests.pop(number).answer
        if answer.done():
            return
        if isinstance(outcome, BaseException):
            answer.set_exception(outcome)
            answer.exception()  # Seen: the client may have gone.
        else:
            answer.set_result(outcome)
