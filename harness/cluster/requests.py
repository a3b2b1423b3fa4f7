"""
Numbered requests to a keeper or an agent, and those who wait for the answers.

Requests overlap, and answers come in any order.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from dissever.harness.cluster import ClusterLost

_ANSWER_S: Final = 30.0
"""Longer than anything takes there, apart from the time limit that a request names itself."""


class Requests:
    """
    The requests that wait.

    Args:
        whom: Who answers, for messages.
        send: Sends one request, encoded as JSON.
    """

    def __init__(self, whom: str, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._whom = whom
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def ask(self, verb: str, **arguments: Any) -> Any:
        """
        Send a request, and wait for its result.

        Raises:
            ClusterLost: When there is no answer in time.
            OSError: Of the class of the errno in the answer.
        """
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        limit_s = _ANSWER_S + arguments.get("timeout_s", 0.0)
        try:
            async with asyncio.timeout(limit_s) as limit:
                await self._send(json.dumps({"id": number, "verb": verb, **arguments}).encode())
                return await answer
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ClusterLost(f"{self._whom}: no {verb} within {limit_s:g} s") from error
        finally:
            self._waiting.pop(number, None)

    def take(self, answer: dict[str, Any], extra: tuple[Any, ...] = ()) -> bool:
        """
        Give an answer to the one who waits for it; whether there was one.

        Args:
            extra: What came with the result; with it the result is a tuple of both.
        """
        future = self._waiting.get(answer["id"])
        if future is None or future.done():
            return False
        if "error" in answer:
            future.set_exception(OSError(*answer["error"]))
        else:
            future.set_result((answer["result"], *extra) if extra else answer["result"])
        return True

    def lose(self, error: ClusterLost) -> None:
        """No answer will come any more."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
