"""
What stands between the clients of a simulated cluster and one node.

A request and its answer stand for a connection. A client that is cut off hears nothing, and waits
as long as it likes. One whose connection is reset does not know whether its request arrived.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

ASKED_MAX: Final = 64
"""Past so many requests, those that have an answer are forgotten."""


class ClientSide:
    """The clients of one node. `dropped` counts what a cut dropped; None: nothing is cut."""

    def __init__(self) -> None:
        self.dropped: int | None = None
        self._drops_requests = False
        self._drops_answers = False
        self._asked: list[asyncio.Future[Any]] = []

    def cut(self, *, to_node: bool, from_node: bool) -> None:
        """Drop requests, or answers, or both; neither: drop nothing any more."""
        self._drops_requests, self._drops_answers = to_node, from_node
        self.dropped = 0 if to_node or from_node else None

    def ask(self, answer: asyncio.Future[Any]) -> None:
        """A client waits for this answer."""
        if len(self._asked) >= ASKED_MAX:
            self._asked = [each for each in self._asked if not each.done()]
        self._asked.append(answer)

    def drops_request(self) -> bool:
        """Whether one that arrives now is dropped; counts it."""
        return self._dropped(self._drops_requests)

    def drops_answer(self) -> bool:
        """The same for an answer on its way back."""
        return self._dropped(self._drops_answers)

    def reset(self) -> int:
        """Reset the connections of all requests that have no answer; how many there were."""
        waiting = [each for each in self._asked if not each.done()]
        self._asked.clear()
        for answer in waiting:
            answer.set_exception(ConnectionResetError("the connection was reset"))
            answer.exception()  # Seen: the client may have gone.
        return len(waiting)

    async def fate(self, limit_s: float) -> str:
        """What becomes of a connection in that time: `open`, `reset`, or that there is none."""
        if self.drops_request() or self.drops_answer():
            await asyncio.sleep(limit_s)
            return "no answer"
        connection: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ask(connection)
        await asyncio.wait([connection], timeout=limit_s)
        if connection.done():
            return "reset"
        connection.cancel()
        return "open"

    def _dropped(self, is_dropped: bool) -> bool:
        if is_dropped and self.dropped is not None:
            self.dropped += 1
        return is_dropped
