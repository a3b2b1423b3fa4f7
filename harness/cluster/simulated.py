"""
Nodes as objects on a virtual clock and a virtual network: to learn, and to test everything else.

A node's process is a `Behaviour`; the cluster makes one for each start and keeps the node's durable
state between starts. A paused node handles and sends nothing, and its messages wait for it, as they
would in the kernel's buffers. A message is dropped at its destination, like a packet at a firewall.

Messages travel by timers and futures, not in tasks of their own: a simulated operation is some
twenty messages, and they are what a simulated run spends its time on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol, TypeAlias

from dissever.harness.clock import clock_ns
from dissever.harness.cluster import Exit, Grudge, NodeState, NodeStatus, Program, Reachability
from dissever.harness.cluster.backends import SIMULATED

LATENCY_S = (0.000_5, 0.003)
"""One-way delay of a message: least and most."""

KILLED = -9


class Behaviour(Protocol):
    """What a node's process does."""

    def handle(self, source: str | None, request: Any) -> Any:
        """
        Answer a request of another node, or of a client (source None). May raise anything.

        Returns:
            The answer, or a coroutine that gives it when that takes time.
        """


Step: TypeAlias = Callable[[], None]


@dataclass(slots=True)
class _Host:
    """
    A node: its process, if there is one, and what outlives it.

    `held` is what waits while it is paused, each with the answer that depends on it. `tasks` is a
    dict, since a set would give them in another order in every process.
    """

    durable: dict[str, Any] = field(default_factory=dict)
    behaviour: Behaviour | None = None
    is_paused: bool = False
    held: list[tuple[Step, asyncio.Future[Any]]] = field(default_factory=list)
    tasks: dict[asyncio.Task[Any], None] = field(default_factory=dict)
    incarnation: int = 0
    pid: int | None = None
    exit_status: int | None = None


Boot = Callable[[str, dict[str, Any], "SimulatedCluster"], Behaviour]
"""Makes a node's process: its name, its durable state, and the cluster to send by."""


class SimulatedCluster:
    """Implements `Cluster`, `NodeProcesses` and `Links`. Only for the virtual loop."""

    backend: Final = SIMULATED

    def __init__(self, nodes: Sequence[str], boot: Boot, rng: Random, directory: Path) -> None:
        self.nodes = tuple(nodes)
        self._boot = boot
        self._rng = rng
        self._directory = directory
        self._hosts = {node: _Host() for node in nodes}
        self._grudge: Grudge = {}
        self._dropped: dict[tuple[str, str], int] = {}
        self._pids = iter(range(100, 1 << 30))
        self._exits: list[Exit] = []

    @property
    def exits(self) -> tuple[Exit, ...]:
        return tuple(self._exits)

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
        return await self.status(node)

    async def stop(self, node: str, timeout_s: float) -> NodeStatus:
        return await self._end(node, 0)

    async def kill(self, node: str) -> NodeStatus:
        return await self._end(node, KILLED)

    async def pause(self, node: str) -> NodeStatus:
        host = self._hosts[node]
        host.is_paused = host.behaviour is not None
        return await self.status(node)

    async def resume(self, node: str) -> NodeStatus:
        host = self._hosts[node]
        host.is_paused = False
        held, host.held = host.held, []
        for step, _ in held:
            step()
        return await self.status(node)

    async def status(self, node: str) -> NodeStatus:
        host = self._hosts[node]
        if host.behaviour is None:
            state = NodeState.GONE if host.incarnation else NodeState.NEVER_STARTED
        else:
            state = NodeState.PAUSED if host.is_paused else NodeState.RUNNING
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

    async def close(self) -> None:
        for node in self.nodes:
            await self._end(node, 0)

    async def request(self, source: str | None, destination: str, request: Any) -> Any:
        """
        Ask a node, from another one or from a client (None), and wait for its answer.

        Raises:
            TimeoutError: When the request or its answer was dropped. It comes at once: who asks
                must treat it as silence, and wait as long as it would for an answer.
            ConnectionError: When no process is there, or it is killed before it has answered.
            Exception: What the behaviour raised.
        """
        return await self.send(source, destination, request)

    def send(self, source: str | None, destination: str, request: Any) -> asyncio.Future[Any]:
        """The same without waiting: the answer comes, or one of those exceptions."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._leave(source, partial(self._arrive, source, destination, request, answer), answer)
        return answer

    def _leave(self, node: str | None, arrive: Step, answer: asyncio.Future[Any]) -> None:
        """Send a message off once the node is awake."""

        def leave() -> None:
            asyncio.get_running_loop().call_later(self._rng.uniform(*LATENCY_S), arrive)

        self._when_awake(node, leave, answer)

    def _when_awake(self, node: str | None, step: Step, answer: asyncio.Future[Any]) -> None:
        if node is not None and self._hosts[node].is_paused:
            self._hosts[node].held.append((step, answer))
        else:
            step()

    def _arrive(
        self, source: str | None, destination: str, request: Any, answer: asyncio.Future[Any]
    ) -> None:
        if self._is_dropped(source, destination):
            _settle(answer, TimeoutError("the request was dropped"))
        elif self._hosts[destination].behaviour is None:
            _settle(answer, ConnectionRefusedError(f"{destination} does not run"))
        else:
            handle = partial(self._handle, source, destination, request, answer)
            self._when_awake(destination, handle, answer)

    def _handle(
        self, source: str | None, destination: str, request: Any, answer: asyncio.Future[Any]
    ) -> None:
        host = self._hosts[destination]
        assert host.behaviour is not None, "what waits for a process ends with it"
        reply = partial(self._reply, source, destination, answer)
        try:
            handled = host.behaviour.handle(source, request)
        except Exception as error:  # It is the answer.
            reply(error)
            return
        if not asyncio.iscoroutine(handled):
            reply(handled)
            return

        def finish(task: asyncio.Task[Any]) -> None:
            del host.tasks[task]
            if task.cancelled():
                _settle(answer, ConnectionResetError(f"{destination} was killed"))
            else:
                reply(task.exception() or task.result())

        task = asyncio.ensure_future(handled)
        host.tasks[task] = None
        task.add_done_callback(finish)

    def _reply(
        self, source: str | None, destination: str, answer: asyncio.Future[Any], outcome: Any
    ) -> None:
        def arrive() -> None:
            if self._is_dropped(destination, source):
                _settle(answer, TimeoutError("the answer was dropped"))
            else:
                self._when_awake(source, partial(_settle, answer, outcome), answer)

        self._leave(destination, arrive, answer)

    async def _end(self, node: str, exit_status: int) -> NodeStatus:
        host = self._hosts[node]
        if host.behaviour is not None:
            host.behaviour = None
            host.pid = None
            host.exit_status = exit_status
            now_ns = clock_ns()()
            self._exits.append(Exit(node, host.incarnation, exit_status, True, now_ns))
            host.is_paused = False
            held, host.held = host.held, []
            for task in tuple(host.tasks):
                task.cancel()
            for _, answer in held:
                _settle(answer, ConnectionResetError(f"{node} was killed"))
            await asyncio.sleep(0)
        return await self.status(node)

    def _drops(self, node: str) -> frozenset[str]:
        return self._grudge.get(node, frozenset())

    def _is_dropped(self, source: str | None, destination: str | None) -> bool:
        """Whether a packet is dropped, which counts it; those of clients (None) never are."""
        if source is None or destination is None or source not in self._drops(destination):
            return False
        self._dropped[source, destination] += 1
        return True


def _settle(answer: asyncio.Future[Any], outcome: Any) -> None:
    """Give the outcome to who still waits for it."""
    if answer.done():
        return
    if isinstance(outcome, BaseException):
        answer.set_exception(outcome)
        answer.exception()  # Seen: nobody has to look, such as a proposer that was killed.
    else:
        answer.set_result(outcome)
