"""What clusters of real hosts share: the names, the turns and the ends of their nodes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from dissever.harness.clock import clock_ns
from dissever.harness.cluster import Exit, NodeStatus
from dissever.harness.names import check_nodes

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


def note_start(exits: list[Exit], node: str, incarnation: int, now_ns: int) -> None:
    """Note the time of a start in the end of the incarnation before, unless one is there."""
    for place, end in enumerate(exits):
        if end.node == node and end.incarnation == incarnation - 1 and end.next_ns is None:
            exits[place] = replace(end, next_ns=now_ns)


class Roster:
    """Changes of a node's processes take turns, so that none undoes half of another."""

    def __init__(self, nodes: Sequence[str]) -> None:
        """Raise ValueError unless these are names of nodes, as `check_nodes` says."""
        check_nodes(nodes)
        self.nodes = tuple(nodes)
        self.exits: list[Exit] = []
        self._locks = {node: asyncio.Lock() for node in nodes}

    def known(self, node: str) -> str:
        """The name itself. Raises ValueError when no node has it."""
        if node not in self._locks:
            raise ValueError(f"no node {node!r} among {', '.join(self.nodes)}")
        return node

    async def take_turn(self, node: str, change: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Make the change in its turn. Cancelling this stops the waiting, not the change."""
        return await asyncio.shield(self._make(node, change))

    def hear(self, end: Exit) -> None:
        """A main process has ended just now."""
        self.exits.append(replace(end, time_ns=clock_ns()()))
        level = logging.DEBUG if end.is_asked else logging.WARNING
        words = "%s: incarnation %d ended with status %d"
        log.log(level, words, end.node, end.incarnation, end.exit_status)

    def begun(self, node: str, status: NodeStatus) -> NodeStatus:
        """Note when a start was answered with this status, in the end of the process before it."""
        note_start(self.exits, node, status.incarnation, clock_ns()())
        return status

    async def _make(self, node: str, change: Coroutine[Any, Any, _Answer]) -> _Answer:
        async with self._locks[node]:
            return await change
