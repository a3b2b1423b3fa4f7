"""Changes of nodes' processes, one at a time for each node."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["Turns"]

_Answer = TypeVar("_Answer")


class Turns:
    """No change of a node undoes half of another."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self._locks = {node: asyncio.Lock() for node in nodes}

    async def take(self, node: str, change: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Make the change in its turn. Cancelling this stops the waiting, not the change."""
        return await asyncio.shield(self._make(node, change))

    async def _make(self, node: str, change: Coroutine[Any, Any, _Answer]) -> _Answer:
        async with self._locks[node]:
            return await change
