"""
The hosts. Each start makes a node's process, a `Behaviour`; its disk and its clock outlive it.

A paused node handles and sends nothing, and no timer of it fires. Its messages wait for it, as they
would in the kernel's buffers. A message is dropped at its destination, like a packet at a firewall.
A behaviour that raises in a timer, or at a message that nobody waits for, ends its process with
status 1, and the traceback is in the node's `stderr` log.

Messages travel by timers and futures, not in tasks of their own: a simulated operation is some
twenty messages, and they are what a simulated run spends its time on.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol, TypeAlias

from dissever.harness.clock import clock_ns
from dissever.harness.cluster import (
    DiskRule,
    Exit,
    Grudge,
    Impairment,
    Link,
    NodeState,
    NodeStatus,
    Program,
    Reachability,
    Traffic,
)
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.cluster.roster import note_start
from dissever.harness.cluster.simulated.clients import ClientSide
from dissever.harness.cluster.simulated.clock import NodeClock, Timer
from dissever.harness.cluster.simulated.disk import SimulatedDisk
from dissever.harness.cluster.simulated.network import LATENCY_S, Network
from dissever.harness.plan import Streams
from dissever.harness.trace import Trace

KILLED: Final = -9
CRASHED: Final = 1

PLAIN_BYTES: Final = 100
"""The size of a message that does not say its own."""


class Behaviour(Protocol):
    """What a node's process does."""

    def handle(self, source: str | None, request: Any) -> Any:
        """
        Answer a request of another node, or of a client (source None). May raise anything.

        Returns:
            The answer, or a coroutine or a future that gives it when that takes time. Nobody looks
            at the answer to a message that was posted.
        """


class Message(Protocol):
    """What a message may say of itself, for the network's rate and for the trace of a run."""

    @property
    def size_bytes(self) -> int:
        """How large it is."""

    def told(self) -> Mapping[str, Any]:
        """`what`, `term` and `text` of the line that a trace has of it."""


Step: TypeAlias = Callable[[], None]


@dataclass(slots=True)
class _Host:
    """
    A node: its process, if there is one, and what outlives it.

    `held` is what waits while it is paused, each with the answer that depends on it, if there is
    one. `tasks` and `timers` are dicts, since a set would give them in another order in every
    process.
    """

    disk: SimulatedDisk
    clock: NodeClock = field(default_factory=NodeClock)
    behaviour: Behaviour | None = None
    is_paused: bool = False
    held: list[tuple[Step, asyncio.Future[Any] | None]] = field(default_factory=list)
    clients: ClientSide = field(default_factory=ClientSide)
    tasks: dict[asyncio.Future[Any], None] = field(default_factory=dict)
    timers: dict[Timer, None] = field(default_factory=dict)
    incarnation: int = 0
    pid: int | None = None
    exit_status: int | None = None


Boot = Callable[[str, SimulatedDisk, "SimulatedCluster"], Behaviour]
"""Makes a node's process: its name, its disk, and the cluster to send by."""


class SimulatedCluster:
    """
    Implements `Cluster`, `NodeProcesses`, `Links`, `Impairments`, `DiskFaults`, `NodeTimes`,
    `ClientLinks`, `Reseeds` and `Traced`. Only for the virtual loop.
    """

    backend: Final = SIMULATED

    def __init__(self, nodes: Sequence[str], boot: Boot, rng: Random, directory: Path) -> None:
        self.nodes = tuple(nodes)
        self.trace = Trace()
        """Hears of each message, and of what disks lost."""
        self._boot = boot
        self._directory = directory
        self._streams = Streams(rng.getrandbits(64))
        self._network = Network(self.nodes, self.stream)
        self._hosts = {
            node: _Host(SimulatedDisk(self.stream(f"disk/{node}"), self._now_s)) for node in nodes
        }
        self._pids = iter(range(100, 1 << 30))
        self._messages = 0
        self._exits: list[Exit] = []

    @property
    def exits(self) -> tuple[Exit, ...]:
        return tuple(self._exits)

    def stream(self, name: str) -> Random:
        """Random numbers for one purpose; the same ones for the same name."""
        return self._streams.of(name)

    def reseed(self, seed: int) -> None:
        """From now on draw everything from another seed."""
        self._streams.reseed(seed)

    def address(self, node: str) -> str:
        return f"10.0.0.{self.nodes.index(node) + 1}"

    def directory(self, node: str) -> Path:
        return self._directory / node

    # Processes.

    async def start(self, node: str, program: Program | None = None) -> NodeStatus:
        host = self._hosts[node]
        if host.behaviour is None:
            host.incarnation += 1
            host.pid = next(self._pids)
            note_start(self._exits, node, host.incarnation, clock_ns()())
            host.disk.attach(partial(self._after, node))
            host.behaviour = self._boot(node, host.disk, self)
        return await self.status(node)

    async def stop(self, node: str, timeout_s: float) -> NodeStatus:
        return await self._ended(node, 0)

    async def kill(self, node: str) -> NodeStatus:
        return await self._ended(node, KILLED, "kill")

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

    async def finish(self) -> None:
        """It says all at once, so nothing is left to say."""

    async def close(self) -> None:
        for node in self.nodes:
            await self._ended(node, 0)

    def behaviour(self, node: str) -> Behaviour | None:
        """The process of a node as it is, also while it is paused: to look at, from outside."""
        return self._hosts[node].behaviour

    def exit(self, node: str, status: int, why: str) -> None:
        """End a node's process by its own decision; `why` goes to its `stderr` log."""
        host = self._hosts[node]
        folder = self.directory(node)
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"stderr-{host.incarnation}.log"
        log.write_text(f"{why.rstrip()}\n", encoding="utf-8", errors="replace")
        self._end(node, status, is_asked=False)

    # The network.

    async def drop(self, grudge: Grudge) -> None:
        self._network.cut(grudge)

    async def dropped(self) -> Mapping[Link, int]:
        return self._network.dropped()

    async def reach(self, pairs: Sequence[Link], timeout_s: float) -> Reachability:
        answers: dict[Link, bool] = {}
        for source, destination in pairs:
            answers[source, destination] = not self._network.drops(source, destination)
        await asyncio.sleep(LATENCY_S[1] if all(answers.values()) else timeout_s)
        return answers

    async def impair(self, links: Mapping[Link, Impairment]) -> None:
        self._network.impair(links)

    async def traffic(self) -> Mapping[Link, Traffic]:
        return self._network.traffic()

    async def probe(
        self, links: Sequence[Link], count: int, wait_s: float
    ) -> Mapping[Link, tuple[float, ...]]:
        time_s, limit_ms = self._now_s(), wait_s * 1000
        seen = {link: self._network.probe(link, count, time_s) for link in links}
        last_ms = max((delays[-1] for delays in seen.values() if delays), default=0.0)
        is_whole = all(len(delays) >= count for delays in seen.values())
        await asyncio.sleep(min(wait_s, last_ms / 1000) if is_whole else wait_s)
        return {link: tuple(ms for ms in seen[link] if ms <= limit_ms) for link in links}

    # Clients.

    async def cut_clients(self, node: str, *, to_node: bool, from_node: bool) -> None:
        self._hosts[node].clients.cut(to_node=to_node, from_node=from_node)

    async def client_drops(self, node: str) -> int | None:
        return self._hosts[node].clients.dropped

    async def reset_clients(self, node: str) -> int:
        return self._hosts[node].clients.reset()

    async def client_fate(self, node: str, limit_s: float) -> str:
        host = self._hosts[node]
        return f"{node} is down" if host.behaviour is None else await host.clients.fate(limit_s)

    # Disks and clocks.

    def disk_of(self, node: str) -> SimulatedDisk:
        """The disk of a node, as it is whether or not a process runs."""
        return self._hosts[node].disk

    async def set_disk_rule(self, node: str, name: str, rule: DiskRule | None) -> None:
        self._hosts[node].disk.set_rule(name, rule)

    async def disk_hits(self, node: str) -> Mapping[str, int]:
        return self._hosts[node].disk.hits()

    async def fail_power(self, node: str) -> Mapping[str, int]:
        await self._ended(node, KILLED, "power-failure")
        lost, kept = self._hosts[node].disk.fail_power()
        self.tell("unsynced", node=node, lost=lost, kept=kept, why="power-failure")
        return {"lost": lost, "kept": kept}

    async def turn_clock(self, node: str, offset_s: float, rate: float) -> None:
        host = self._hosts[node]
        host.clock.turn(self._now_s(), offset_s, rate)
        for timer in host.timers:
            timer.arm()

    async def clock_offset_s(self, node: str) -> float:
        time_s = self._now_s()
        return self._hosts[node].clock.now_s(time_s) - time_s

    def node_now_s(self, node: str) -> float:
        """What the clock of a node shows."""
        return self._hosts[node].clock.now_s(self._now_s())

    def set_timer(self, node: str, delay_s: float, fire: Step) -> Timer:
        """Have something happen once so many seconds have passed on the clock of a node."""
        host = self._hosts[node]

        def due(timer: Timer) -> None:
            del host.timers[timer]
            self._when_awake(node, partial(self._run, node, fire), None)

        timer = Timer(host.clock, host.clock.now_s(self._now_s()) + delay_s, due)
        host.timers[timer] = None
        return timer

    # Messages.

    def post(self, source: str, destination: str, message: Any) -> None:
        """Send a message that may be lost, late or doubled, and that nobody answers."""
        self._when_awake(source, partial(self._post, source, destination, message), None)

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
        if source is None:
            self._hosts[destination].clients.ask(answer)
        arrive = partial(self._arrive, source, destination, request, answer)
        lost = partial(_settle, answer, TimeoutError("the request was dropped"))
        leave = partial(self._leave, source, destination, arrive, lost)
        self._when_awake(source, leave, answer)
        return answer

    def tell(self, kind: str, **facts: Any) -> None:
        """Write a line of the trace, if somebody wants one."""
        self.trace.add({"time": clock_ns()(), "kind": kind, **facts})

    def _post(self, source: str, destination: str, message: Any) -> None:
        self._messages += 1
        number = self._messages
        if self.trace.is_on:
            ends = {"from": source, "to": destination}
            told = getattr(message, "told", None)
            what = {"what": type(message).__name__} if told is None else told()
            self.tell("send", id=number, **ends, **what)
        size_bytes = getattr(message, "size_bytes", PLAIN_BYTES)
        loop = asyncio.get_running_loop()
        passage = self._network.passage(source, destination, size_bytes, loop.time())
        if not passage.delays_s:
            self.tell("lost", id=number, why=passage.lost)
        for delay_s in passage.delays_s:
            loop.call_later(
                delay_s, self._receive, number, source, destination, message, passage.lost
            )

    def _receive(self, number: int, source: str, destination: str, message: Any, lost: str) -> None:
        host = self._hosts[destination]
        if self._network.drops(source, destination):
            lost = "cut"
        elif not lost and host.behaviour is None:
            lost = "down"
        if lost:
            self.tell("lost", id=number, why=lost)
            return
        if host.is_paused:
            host.held.append((partial(self._take, number, source, destination, message), None))
        else:
            self._take(number, source, destination, message)

    def _take(self, number: int, source: str, destination: str, message: Any) -> None:
        behaviour = self._hosts[destination].behaviour
        if behaviour is None:
            self.tell("lost", id=number, why="down")
            return
        if self.trace.is_on:
            self.tell("receive", id=number)
        self._run(destination, partial(behaviour.handle, source, message))

    def _leave(self, source: str | None, destination: str | None, arrive: Step, lose: Step) -> None:
        """Send a request or an answer off: it arrives once, or is lost."""
        loop = asyncio.get_running_loop()
        passage = self._network.passage(source, destination, PLAIN_BYTES, loop.time())
        if passage.lost:
            loop.call_later(LATENCY_S[1], lose)
        else:
            loop.call_later(passage.delays_s[0], arrive)

    def _arrive(
        self, source: str | None, destination: str, request: Any, answer: asyncio.Future[Any]
    ) -> None:
        host = self._hosts[destination]
        if source is None and host.clients.drops_request():
            return  # Silence: a client waits as long as it likes.
        if self._network.drops(source, destination):
            _settle(answer, TimeoutError("the request was dropped"))
        elif host.behaviour is None:
            _settle(answer, ConnectionRefusedError(f"{destination} does not run"))
        else:
            handle = partial(self._handle, source, destination, request, answer)
            self._when_awake(destination, handle, answer)

    def _handle(
        self, source: str | None, destination: str, request: Any, answer: asyncio.Future[Any]
    ) -> None:
        host = self._hosts[destination]
        if host.behaviour is None:  # It ended by itself, after it was resumed.
            _settle(answer, ConnectionResetError(f"{destination} ended"))
            return
        reply = partial(self._reply, source, destination, answer)
        try:
            handled = host.behaviour.handle(source, request)
        except Exception as error:  # It is the answer.
            reply(error)
            return
        if not (asyncio.isfuture(handled) or asyncio.iscoroutine(handled)):
            reply(handled)
            return

        def finish(task: asyncio.Future[Any]) -> None:
            host.tasks.pop(task, None)
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
            if source is None and self._hosts[destination].clients.drops_answer():
                return
            if self._network.drops(destination, source):
                _settle(answer, TimeoutError("the answer was dropped"))
            else:
                self._when_awake(source, partial(_settle, answer, outcome), answer)

        lose = partial(_settle, answer, TimeoutError("the answer was dropped"))
        leave = partial(self._leave, destination, source, arrive, lose)
        self._when_awake(destination, leave, answer)

    def _when_awake(self, node: str | None, step: Step, answer: asyncio.Future[Any] | None) -> None:
        if node is not None and self._hosts[node].is_paused:
            self._hosts[node].held.append((step, answer))
        else:
            step()

    def _after(self, node: str, delay_s: float, step: Step) -> None:
        """Have something happen for the process that runs now, which its disk has done."""
        host = self._hosts[node]
        incarnation = host.incarnation

        def happen() -> None:
            if host.behaviour is not None and host.incarnation == incarnation:
                self._when_awake(node, partial(self._run, node, step), None)

        asyncio.get_running_loop().call_later(delay_s, happen)

    def _run(self, node: str, step: Callable[[], Any]) -> None:
        """Let a process go on, if it still runs; if it raises, it has crashed."""
        if self._hosts[node].behaviour is None:
            return
        try:
            step()
        except Exception:  # As an uncaught exception ends a process of Python.
            self.exit(node, CRASHED, traceback.format_exc())

    async def _ended(self, node: str, exit_status: int, why: str = "") -> NodeStatus:
        host = self._hosts[node]
        if host.behaviour is not None:
            if why == "kill":
                unsynced = host.disk.unsynced
                self.tell("unsynced", node=node, lost=0, kept=unsynced, why=why)
            self._end(node, exit_status, is_asked=True)
            await asyncio.sleep(0)
        return await self.status(node)

    def _end(self, node: str, exit_status: int, *, is_asked: bool) -> None:
        host = self._hosts[node]
        host.behaviour = None
        host.pid = None
        host.exit_status = exit_status
        self._exits.append(Exit(node, host.incarnation, exit_status, is_asked, clock_ns()()))
        host.is_paused = False
        held, host.held = host.held, []
        timers, host.timers = host.timers, {}
        for timer in timers:
            timer.cancel()
        for task in tuple(host.tasks):
            task.cancel()
        for _, answer in held:
            if answer is not None:
                _settle(answer, ConnectionResetError(f"{node} was killed"))

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


def _settle(answer: asyncio.Future[Any], outcome: Any) -> None:
    """Give the outcome to who still waits for it."""
    if answer.done():
        return
    if isinstance(outcome, BaseException):
        answer.set_exception(outcome)
        answer.exception()  # Seen: nobody has to look, such as a proposer that was killed.
    else:
        answer.set_result(outcome)
