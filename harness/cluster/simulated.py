"""
Nodes as objects on a virtual clock and a virtual network: for learning, and to test everything else.

A node's process is a `Behaviour`; the cluster makes one for each start and keeps the node's durable
state between starts. A paused node handles nothing, and its messages wait for it, as they would in the
kernel's buffers. A message is dropped at its destination, like a packet at a firewall.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

from dissever.harness.cluster import Grudge, NodeState, NodeStatus, Program, Reachability

LATENCY_S = (0.000_5, 0.003)
"""One-way delay of a message: least and most."""

KILLED = -9


class Behaviour(Protocol):
    """What a node's process does."""

    async def handle(self, source: str | None, request: Any) -> Any:
        """Answer a request of another node, or of a client (source None). May raise anything."""
        ...


@dataclass(slots=True)
class _Host:
    """A node: its process, if there is one, and what outlives it."""

    durable: dict[str, Any] = field(default_factory=dict)
    behaviour: Behaviour | None = None
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    incarnation: int = 0
    pid: int | None = None
    exit_status: int | None = None


Boot = Callable[[str, dict[str, Any], "SimulatedCluster"], Behaviour]
"""Makes a node's process: its name, its durable state, and the cluster to send by."""


class SimulatedCluster:
    """Implements `Cluster`. Only for the virtual loop; there is nothing to dial."""

    def __init__(self, nodes: Sequence[str], boot: Boot, rng: Random, directory: Path) -> None:
        self.nodes = tuple(nodes)
        self._boot = boot
        self._rng = rng
        self._directory = directory
        self._hosts = {node: _Host() for node in nodes}
        self._grudge: Grudge = {}
        self._dropped: dict[tuple[str, str], int] = {}
        self._pids = iter(range(100, 1 << 30))

    def address(self, node: str) -> str:
        return f"10.0.0.{self.nodes.index(node) + 1}"

    def directory(self, node: str) -> Path:
        return self._directory / node

    async def start(self, node: str, program: Program | None = None) -> NodeStatus:
        host = self._hosts[node]
        if host.behaviour is None:
            host.incarnation += 1
            host.pid = next(self._pids)
            host.behaviour = self._boot(node, host.durable, self)
            host.awake.set()
        return await self.status(node)

    async def stop(self, node: str, timeout_s: float) -> NodeStatus:
        return await self._end(node, 0)

    async def kill(self, node: str) -> NodeStatus:
        return await self._end(node, KILLED)

    async def pause(self, node: str) -> NodeStatus:
        self._hosts[node].awake.clear()
        return await self.status(node)

    async def resume(self, node: str) -> NodeStatus:
        self._hosts[node].awake.set()
        return await self.status(node)

    async def status(self, node: str) -> NodeStatus:
        host = self._hosts[node]
        if host.behaviour is None:
            state = NodeState.GONE if host.incarnation else NodeState.NEVER_STARTED
        else:
            state = NodeState.RUNNING if host.awake.is_set() else NodeState.PAUSED
        return NodeStatus(state, host.incarnation, host.pid, host.exit_status)

    async def drop(self, grudge: Grudge) -> None:
        self._grudge = {node: frozenset(sources) for node, sources in grudge.items() if sources}
        self._dropped = {
            (source, node): 0 for node in self.nodes for source in sorted(self._drops(node))
        }

    async def dropped(self) -> Mapping[tuple[str, str], int]:
        return dict(self._dropped)

    async def reach(self, pairs: Sequence[tuple[str, str]], timeout_s: float) -> Reachability:
        answers: dict[tuple[str, str], bool] = {}
        for source, destination in pairs:
            answers[source, destination] = not self._is_dropped(source, destination)
        await asyncio.sleep(LATENCY_S[1] if all(answers.values()) else timeout_s)
        return answers

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        raise OSError("a simulated node has no sockets: use `request`")

    async def close(self) -> None:
        for node in self.nodes:
            await self._end(node, 0)

    async def request(self, source: str | None, destination: str, request: Any) -> Any:
        """
        Ask a node, from another one or from a client (None), and wait for its answer.

        Raises:
            TimeoutError: When the request or its answer was dropped. It comes at once: who asks must
                treat it as silence, and wait as long as it would for an answer.
            ConnectionError: When no process is there, or it is killed before it has answered.
            Exception: What the behaviour raised, but only to a client.
        """
        await self._travel()
        if source is not None and self._is_dropped(source, destination):
            raise TimeoutError("the request was dropped")
        host = self._hosts[destination]
        if host.behaviour is None:
            raise ConnectionRefusedError(f"{destination} does not run")
        task = asyncio.ensure_future(self._handle(host, source, request))
        host.tasks.add(task)
        task.add_done_callback(host.tasks.discard)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            # Who asked has gone; the node does not know, and goes on.
            task.add_done_callback(_forget)
            raise
        if task.cancelled():
            raise ConnectionResetError(f"{destination} was killed")
        await self._travel()
        if source is not None and self._is_dropped(destination, source):
            raise TimeoutError("the answer was dropped")
        return task.result()

    async def _handle(self, host: _Host, source: str | None, request: Any) -> Any:
        await host.awake.wait()
        behaviour = host.behaviour
        if behaviour is None:
            raise ConnectionResetError("killed")
        answer = await behaviour.handle(source, request)
        await host.awake.wait()
        return answer

    async def _travel(self) -> None:
        await asyncio.sleep(self._rng.uniform(*LATENCY_S))

    async def _end(self, node: str, exit_status: int) -> NodeStatus:
        host = self._hosts[node]
        if host.behaviour is not None:
            host.behaviour = None
            host.pid = None
            host.exit_status = exit_status
            tasks = sorted(host.tasks, key=lambda task: task.get_name())
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)
        return await self.status(node)

    def _drops(self, node: str) -> frozenset[str]:
        return self._grudge.get(node, frozenset())

    def _is_dropped(self, source: str, destination: str) -> bool:
        if source not in self._drops(destination):
            return False
        self._dropped[source, destination] += 1
        return True


def _forget(task: asyncio.Task[Any]) -> None:
    """Take the outcome that nobody waits for."""
    if not task.cancelled():
        task.exception()
