"""
Nodes that a simulator runs: the real code of a system on simulated hosts, in virtual time.

The simulator is one process for the whole run, and exact: it moves only while the event loop has
nothing to do, and every question is answered at the present moment. A crash of the system's code
ends the simulator, and so the cluster: `ClusterEnded`. A signal ends one that does not answer:
`ClusterInterrupted`. Anything else that ends it is ours: `SimulatorLost`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from dissever.harness.clock import VirtualLoop
from dissever.harness.cluster import (
    ClusterEnded,
    ClusterLost,
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
from dissever.harness.cluster.last_words import keep_last_words
from dissever.harness.cluster.roster import note_start
from dissever.harness.cluster.simulator import answers, frames
from dissever.harness.cluster.simulator.connection import Connections, SimulatedConnection, fate
from dissever.harness.cluster.simulator.frames import Change, Kind, Member
from dissever.harness.cluster.simulator.probe import Datagram, Probe
from dissever.harness.cluster.simulator.process import SimulatorLost, SimulatorProcess, signal_name
from dissever.harness.cluster.simulator.world import SimulatorWorld
from dissever.harness.trace import VIOLATION, Trace

KILLED: Final = -9
LOG: Final = "simulator.log"
"""What the simulator says on stderr, beside the folders of the nodes."""

NONE: Final = (Traffic(), 0)
"""Of a link that nothing went over."""


@dataclass(slots=True)
class _Host:
    """A node's process, as far as the harness has heard."""

    state: NodeState = NodeState.NEVER_STARTED
    incarnation: int = 0
    pid: int | None = None
    exit_status: int | None = None
    ended: asyncio.Event | None = None


def address(number: int) -> str:
    """The address of the node of that number, counted from 0."""
    return f"10.0.0.{number + 1}"


@asynccontextmanager
async def simulated(
    argv: Sequence[str],
    nodes: Sequence[str],
    directory: Path,
    *,
    seed: int,
    settings: Mapping[str, str],
    trace: Trace,
) -> AsyncIterator[SimulatorCluster]:
    """
    A simulator that runs until the block ends; no node of it is started.

    Args:
        argv: The simulator's command.
        directory: Where the folders of the nodes are made.
        seed: Everything in the simulator is drawn from it; its lowest 64 bits count.
        settings: Options of the simulator, by name.

    Raises:
        OSError: When it cannot be started, or refuses the settings.
    """
    directory.mkdir(parents=True, exist_ok=True)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop), "a simulator lives on the virtual clock"
    process = SimulatorProcess(argv, directory / LOG, wake_up=loop.wake_up)
    try:
        begin = frames.begin(seed, len(nodes), {**settings, "trace": str(int(trace.is_on))})
        ready = process.ask(begin, answers.Ready)
        cluster = SimulatorCluster(nodes, process, directory, trace, ready.library, loop)
        try:
            yield cluster
        finally:
            await cluster.close()
    finally:
        process.close()


class SimulatorCluster:
    """
    Implements `Cluster`, `NodeProcesses`, `Links`, `Impairments`, `DiskFaults`, `NodeTimes`,
    `Allocations`, `ClientLinks`, `Reseeds`, `Traced` and `Ends`. Use `simulated`.
    """

    backend: Final = SIMULATED

    def __init__(
        self,
        nodes: Sequence[str],
        process: SimulatorProcess,
        directory: Path,
        trace: Trace,
        library: str,
        loop: VirtualLoop,
    ) -> None:
        self.nodes = tuple(nodes)
        self.trace = trace
        self.library = library
        """What the simulator says that it runs."""
        self._loop = loop
        self._process = process
        self._directory = directory
        self._number = {node: number for number, node in enumerate(self.nodes)}
        self._hosts = {node: _Host() for node in self.nodes}
        self._pids = iter(range(100, 1 << 30))
        self._exits: list[Exit] = []
        self._end: asyncio.Future[ClusterLost] = loop.create_future()
        self._is_closed = False
        self._connections = Connections(self._say_unless_lost)
        self._changes: dict[int, asyncio.Future[answers.Changed]] = {}
        self._asked_changes = 0
        self._probes: list[Probe] = []
        self._cut: dict[Link, int] = {}
        self._impaired: Mapping[Link, Impairment] = {}
        self._passed: Mapping[Link, Traffic] = {}
        self._world = SimulatorWorld(loop, process, trace, self.nodes, self._hear)
        loop.world = self._world

    # Of every cluster.

    def address(self, node: str) -> str:
        return address(self._number[node])

    def directory(self, node: str) -> Path:
        return self._directory / node

    async def close(self) -> None:
        """End the simulator; what it counted is the last line of its trace. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.world, summary = None, dict[str, str]()
        if self._world.lost is None:
            with suppress(ClusterLost):  # It has nothing more to say about the run.
                summary |= self._process.ask(frames.frame(Kind.END), answers.Summary).values
        self._world.take()
        self.trace.end(self._loop.now_ns(), summary)
        self._process.close()

    finish = close

    async def end(self) -> ClusterLost:
        return await asyncio.shield(self._end)

    def reseed(self, seed: int) -> None:
        self._say(frames.reseed(seed))

    # Processes.

    @property
    def exits(self) -> tuple[Exit, ...]:
        return tuple(self._exits)

    async def start(self, node: str, program: Program | None = None) -> NodeStatus:
        host = self._hosts[node]
        if host.state in (NodeState.NEVER_STARTED, NodeState.GONE):
            self._tell(Kind.START, node)
            host.state, host.pid = NodeState.RUNNING, next(self._pids)
            host.incarnation += 1
            note_start(self._exits, node, host.incarnation, self._loop.now_ns())
            host.ended = asyncio.Event()
        return await self.status(node)

    async def stop(self, node: str, timeout_s: float) -> NodeStatus:
        host = self._hosts[node]
        if host.pid is not None:
            ended = host.ended
            assert ended is not None, "it was started"
            self._tell(Kind.STOP, node)
            try:
                async with asyncio.timeout(timeout_s):
                    await ended.wait()
            except TimeoutError:
                return await self.kill(node)
        return await self.status(node)

    async def kill(self, node: str) -> NodeStatus:
        if self._hosts[node].pid is not None:
            self._kill(node, power=False)
        return await self.status(node)

    async def pause(self, node: str) -> NodeStatus:
        host = self._hosts[node]
        if host.state is NodeState.RUNNING:
            self._tell(Kind.PAUSE, node)
            host.state = NodeState.PAUSED
        return await self.status(node)

    async def resume(self, node: str) -> NodeStatus:
        host = self._hosts[node]
        if host.state is NodeState.PAUSED:
            self._tell(Kind.RESUME, node)
            host.state = NodeState.RUNNING
        return await self.status(node)

    async def status(self, node: str) -> NodeStatus:
        self._require()
        host = self._hosts[node]
        return NodeStatus(host.state, host.incarnation, host.pid, host.exit_status)

    # Links.

    async def drop(self, grudge: Grudge) -> None:
        pairs = [(source, node) for node in grudge for source in sorted(grudge[node])]
        links = {pair: self._link(pair) for pair in sorted(pairs)}
        self._say(frames.cut(links.values()))
        counted = self._counts() if links else {}
        self._cut = {pair: counted.get(link, NONE)[1] for pair, link in links.items()}

    async def dropped(self) -> Mapping[Link, int]:
        counted = self._counts() if self._cut else {}
        return {
            link: counted.get(self._link(link), NONE)[1] - before
            for link, before in self._cut.items()
        }

    async def reach(self, pairs: Sequence[Link], timeout_s: float) -> Reachability:
        arrived = await self._arrivals(frames.reach, pairs, 1, timeout_s)
        return {link: bool(delays) for link, delays in arrived.items()}

    async def impair(self, links: Mapping[Link, Impairment]) -> None:
        self._say(frames.impair({self._link(link): each for link, each in links.items()}))
        self._impaired, counted = dict(links), self._counts() if links else {}
        self._passed = {link: counted.get(self._link(link), NONE)[0] for link in links}

    async def traffic(self) -> Mapping[Link, Traffic]:
        counted = self._counts() if self._passed else {}
        return {
            link: answers.since(before, counted.get(self._link(link), NONE)[0])
            for link, before in self._passed.items()
        }

    async def probe(
        self, links: Sequence[Link], count: int, wait_s: float
    ) -> Mapping[Link, tuple[float, ...]]:
        return await self._arrivals(frames.probe, links, count, wait_s)

    async def _arrivals(
        self, datagram: Datagram, links: Sequence[Link], count: int, wait_s: float
    ) -> Mapping[Link, tuple[float, ...]]:
        links = tuple(dict.fromkeys(links))
        delays_ms: dict[tuple[int, int], list[float]] = {self._link(link): [] for link in links}
        has_copies = any(self._impaired[link].duplicate for link in links if link in self._impaired)
        probe = Probe(self._loop.now_ns(), delays_ms, None if has_copies else count * len(links))
        for link in probe.delays_ms:
            for _ in range(count):
                self._say(datagram(*link))
        self._probes.append(probe)
        try:
            await probe.wait(wait_s)
        finally:
            self._probes.remove(probe)
        self._require()
        return {link: tuple(probe.delays_ms[self._link(link)]) for link in links}

    # Clients.

    async def cut_clients(self, node: str, *, to_node: bool, from_node: bool) -> None:
        self._require()
        self._connections.cut(self._number[node], to_node=to_node, from_node=from_node)

    async def client_drops(self, node: str) -> int | None:
        return self._connections.dropped(self._number[node])

    async def reset_clients(self, node: str) -> int:
        self._require()
        return self._connections.reset_those_of(self._number[node])

    async def client_fate(self, node: str, limit_s: float) -> str:
        return await fate(partial(self.connect, node), limit_s)

    # Disks, clocks, memory.

    async def set_disk_rule(self, node: str, name: str, rule: DiskRule | None) -> None:
        self._say(frames.disk_rule(self._number[node], name, rule))

    async def disk_hits(self, node: str) -> Mapping[str, int]:
        return self._ask(frames.of_node(Kind.DISK_HITS, self._number[node]), answers.Hits).rules

    async def fail_power(self, node: str) -> Mapping[str, int]:
        if self._hosts[node].pid is None:
            self._require()
            return {"lost": 0, "kept": 0}
        killed = self._kill(node, power=True)
        return {"lost": killed.lost, "kept": killed.kept}

    async def turn_clock(self, node: str, offset_s: float, rate: float) -> None:
        self._say(frames.clock(self._number[node], offset_s, rate))

    async def clock_offset_s(self, node: str) -> float:
        frame = frames.of_node(Kind.CLOCK_LOOK, self._number[node])
        return self._ask(frame, answers.Offset).offset_s

    async def fail_allocation(self, node: str, number: int) -> None:
        self._say(frames.allocation(self._number[node], number))

    async def failed_allocations(self, node: str) -> int:
        frame = frames.of_node(Kind.ALLOCATIONS, self._number[node])
        return self._ask(frame, answers.Failed).count

    # Of simulators alone: servers as they are, members, connections of clients.

    def look(self, node: str) -> answers.Server:
        """A server as it is now, also while it is paused or does not run."""
        return self._ask(frames.of_node(Kind.LOOK, self._number[node]), answers.Server)

    def name(self, number: int) -> str | None:
        """The node of a number; None: nobody."""
        return self.nodes[number] if number < len(self.nodes) else None

    def wipe(self, node: str) -> None:
        """
        Have a node that does not run forget everything.

        Raises:
            ClusterLost: When it runs.
        """
        self._tell(Kind.WIPE, node)

    async def change(
        self, asked: str, what: Change, member: str, role: Member = Member.VOTER
    ) -> None:
        """
        Ask a node for a change of the members, and wait until it is done.

        Raises:
            OSError: When it is not; the message says why.
        """
        self._asked_changes += 1
        number = self._asked_changes
        self._changes[number] = self._loop.create_future()
        try:
            self._say(frames.change(number, self._number[asked], what, self._number[member], role))
            changed = await self._changes[number]
        finally:
            del self._changes[number]
        if changed.status:
            name = what.name.lower()
            raise OSError(f"{asked} did not {name} {member}: {changed.why} ({changed.status})")

    async def connect(
        self, node: str, make: Callable[[], asyncio.BaseProtocol], timeout_s: float
    ) -> tuple[SimulatedConnection, asyncio.BaseProtocol]:
        """
        A client's connection to a node, as `create_connection` makes one. Cuts of links spare it.

        Raises:
            ConnectionRefusedError: When the node does not run.
            TimeoutError: When it does not answer in time.
        """
        self._require()
        return await self._connections.open(self._number[node], node, make, timeout_s)

    # What the simulator is asked.

    def _require(self) -> None:
        """Raises ClusterLost when there is no simulator to ask."""
        if self._end.done():
            raise self._end.result()
        if self._is_closed:
            raise SimulatorLost("the simulator: it was ended")

    def _say(self, frame: bytes) -> None:
        self._require()
        try:
            self._process.send(frame)
        except ClusterLost as error:
            raise self._lost(error) from error

    def _say_unless_lost(self, frame: bytes) -> None:
        """What a client sends is lost with the simulator, as on a network."""
        if self._world.lost is None and not self._is_closed:
            self._say(frame)

    def _ask(self, frame: bytes, kind: type[answers.A]) -> answers.A:
        self._require()
        try:
            return self._process.ask(frame, kind)
        except ClusterLost as error:
            raise self._lost(error) from error

    def _tell(self, kind: Kind, node: str) -> None:
        self._say(frames.of_node(kind, self._number[node]))

    def _kill(self, node: str, *, power: bool) -> answers.Killed:
        killed = self._ask(frames.kill(self._number[node], power=power), answers.Killed)
        self._ended(node, KILLED, is_asked=True)
        return killed

    def _counts(self) -> Mapping[tuple[int, int], tuple[Traffic, int]]:
        return self._ask(frames.frame(Kind.COUNT), answers.Counts).links

    def _link(self, link: Link) -> tuple[int, int]:
        """A link by the numbers of its nodes. Raises ValueError."""
        source, destination = link
        if unknown := [node for node in link if node not in self._number]:
            raise ValueError(f"expected nodes out of {', '.join(self.nodes)}, got {unknown[0]!r}")
        if source == destination:
            raise ValueError(f"expected a link between two nodes, got {source} to itself")
        return self._number[source], self._number[destination]

    # What the simulator says.

    def _hear(self, events: Sequence[answers.Event]) -> None:
        for event in events:
            match event:
                case answers.Received() | answers.Opened() | answers.Closed():
                    self._connections.hear(event)
                case answers.Ended() if event.node >= len(self.nodes):
                    self._lost(SimulatorLost(f"the simulator: it says that {event} happened"))
                case answers.Ended():
                    node = self.nodes[event.node]
                    if self._hosts[node].incarnation == event.incarnation:
                        self._ended(node, event.status, is_asked=event.is_asked)
                case answers.Changed():
                    asked = self._changes.get(event.change)
                    if asked is not None and not asked.done():
                        asked.set_result(event)
                case answers.Arrived():
                    for probe in self._probes:
                        probe.hear(event)
                case answers.Violated():
                    self._violated(event)
        if self._world.lost is not None and not self._end.done():
            self._lost(self._world.lost)

    def _ended(self, node: str, status: int, *, is_asked: bool) -> None:
        host = self._hosts[node]
        if host.pid is None:
            return
        host.state, host.pid, host.exit_status = NodeState.GONE, None, status
        self._exits.append(Exit(node, host.incarnation, status, is_asked, self._loop.now_ns()))
        if host.ended is not None:
            host.ended.set()

    def _violated(self, event: answers.Violated) -> None:
        details: dict[str, object] = {}
        with suppress(msgspec.MsgspecError):  # They are for reports: a violation counts without.
            details = msgspec.json.decode(
                self._world.named(event.details) or b"{}", type=dict[str, object]
            )
        self.trace.add(
            {
                **details,
                "time": self._loop.now_ns(),
                "kind": VIOLATION,
                "node": self.name(event.node),
                "name": event.name,
                "text": self._world.named(event.why.encode()).decode(),
            }
        )

    def _lost(self, error: ClusterLost) -> ClusterLost:
        """Nothing more can be asked: why, after all that waits has been told."""
        self._world.lost = self._world.lost or error
        if self._end.done():
            return self._end.result()
        crashed = self._exits[-1] if self._exits else None
        lost = error
        if crashed is not None and not crashed.is_asked and crashed.exit_status < 0:
            node, how = crashed.node, signal_name(-crashed.exit_status)
            lost = ClusterEnded(f"the simulation ended with {node}, which crashed ({how})")
            keep_last_words(self._directory / LOG, self.directory(node), crashed.incarnation)
        self._end.set_result(lost)
        self._connections.reset()
        for change in self._changes.values():
            if not change.done():
                change.set_exception(lost)
        for probe in self._probes:
            probe.is_whole.set()
        return lost
