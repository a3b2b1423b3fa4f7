"""
Cut clients off from nodes, or reset their connections; nodes go on hearing each other.

Evidence of a cut: the rule counts packets, and the node answers no request; afterwards the rule is
gone, and it does. Evidence of resets: a connection of ours is reset, and ss names those it ended;
afterwards one stays open.

Everything that is no node is a client: the harness's own address, or the gateway of a network of
containers. Only the ports that clients are served on are meant.

Source: nft(8), ss(8).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

from dissever.harness.cluster import HostCommands, NodeProcesses, NodeState, Sockets, backends
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.environment import CLIENT_CUT_NAME, CLIENTS, Environment
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.host_commands import counted, run
from dissever.nemesis.needs import Need, Offer
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import Answers, NodeEvidence
from dissever.nemesis.parameters import Settings, number, one_of
from dissever.nemesis.targets import WAY, Way

__all__ = ["FAULTS"]

log = logging.getLogger(__name__)

OPEN_S: Final = 1.0
"""A connection that lives for this long is not reset."""

COUNTED_LIMIT_S: Final = 3.0
DIAL_LIMIT_S: Final = 1.0
LISTENS_LIMIT_S: Final = 5.0
"""One that was started a moment ago does not listen yet."""

_GLANCE_S: Final = 0.05

NFT: Final = ("nft", "-f", "-")

_TABLE: Final = "inet dissever_clients"

COUNTERS: Final = ("nft", "-j", "list", "table", *_TABLE.split())
"""The command that prints the counters; it fails when nothing is cut."""

HEAL: Final = f"add table {_TABLE}\ndelete table {_TABLE}\n"


def ruleset(way: Way, ports: Sequence[int], nodes: Sequence[str]) -> str:
    """
    The transaction that drops, and counts, packets from clients to a node, or back, or both.

    Args:
        nodes: The addresses of all nodes, which are no clients.
    """
    others, served = _set(nodes), _set(ports)
    rules = {
        "input": f"ip saddr != {others} tcp dport {served} counter drop",
        "output": f"ip daddr != {others} tcp sport {served} counter drop",
    }
    hooks = {Way.BOTH: ("input", "output"), Way.IN: ("input",), Way.OUT: ("output",)}[way]
    chains = "".join(
        f"  chain {hook} {{\n    type filter hook {hook} priority filter - 20; policy accept;\n"
        f"    {rules[hook]}\n  }}\n"
        for hook in hooks
    )
    return f"{HEAL}table {_TABLE} {{\n{chains}}}\n"


def resetting(ports: Sequence[int], nodes: Sequence[str]) -> list[str]:
    """The command that resets every connection of a client, and prints a line for each."""
    served = " or ".join(f"sport = :{port}" for port in ports)
    others = " or ".join(f"dst {address}" for address in nodes)
    expression = f"( {served} ) and not ( {others} )"
    return ["ss", "-K", "-H", "-t", "-n", "state", "connected", expression]


def _set(elements: Sequence[object]) -> str:
    return f"{{ {', '.join(map(str, elements))} }}"


class _Clients:
    """The links between clients and the nodes of a cluster; what both faults share."""

    def __init__(self, cluster: AbleCluster, ports: Sequence[int], answers: Answers | None) -> None:
        """
        Make what breaks them.

        Args:
            ports: Where nodes listen for clients.
            answers: Whether a node answers a client now; None when nobody can say.
        """
        self._cluster = cluster
        self._ports = tuple(ports)
        self._answers = answers

    @property
    def _nodes(self) -> list[str]:
        return [self._cluster.address(node) for node in self._cluster.nodes]

    async def _runs(self, node: str) -> bool:
        return (await self._cluster.status(node)).state is NodeState.RUNNING


class ClientCut(_Clients):
    """Nodes do not hear clients, or are not heard, or both; a `NodeFault`."""

    def __init__(self, cluster: AbleCluster, ports: Sequence[int], answers: Answers | None) -> None:
        super().__init__(cluster, ports, answers)
        self._counted: dict[str, int] = {}
        """Node -> packets dropped when its cut was seen to hold, those of ours included."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        rules = ruleset(Way(settings[WAY.name]), self._ports, self._nodes)
        await run(self._cluster, node, NFT, rules)
        loop = asyncio.get_running_loop()
        end = loop.time() + COUNTED_LIMIT_S
        count, answered = 0, None
        while (not count or answered) and loop.time() < end:
            answered = await self._asked(node)
            count = await self._dropped(node) or 0
        self._counted[node] = count
        status = await self._cluster.status(node)
        facts = {"dropped": count, "answers": answered}
        return NodeEvidence(node, count > 0 and not answered, status, facts)

    async def look_again(self, node: str) -> NodeEvidence | None:
        """What we ask gets no answer, and the rule counts it; what it counted before is theirs."""
        before = await self._dropped(node)
        answered = await self._asked(node)
        after = await self._dropped(node)
        is_so = before is not None and after is not None and before < after and not answered
        theirs = (before or 0) - self._counted.get(node, 0)
        facts = {"dropped": after, "dropped_of_clients": theirs, "answers": answered}
        status = await self._cluster.status(node)
        return NodeEvidence(node, is_so, status, facts, is_idle=theirs <= 0)

    async def undo(self, node: str) -> NodeEvidence:
        count = await self._dropped(node)
        await run(self._cluster, node, NFT, HEAL)
        is_gone = await self._dropped(node) is None
        answered = await processes.answers_again(self._answers, node)
        # One that is down or paused by then answers nobody.
        is_so = is_gone and (answered or not await self._runs(node))
        facts = {"dropped": count, "answers": answered}
        return NodeEvidence(node, is_so, await self._cluster.status(node), facts)

    async def release(self, node: str) -> None:
        await run(self._cluster, node, NFT, HEAL)

    async def _asked(self, node: str) -> bool | None:
        """Whether it answers; who cannot ask knocks, so that there is something to count."""
        if self._answers is not None:
            return await self._answers(node)
        with contextlib.suppress(OSError):
            (await self._cluster.dial(node, self._ports[0], DIAL_LIMIT_S)).close()
        return None

    async def _dropped(self, node: str) -> int | None:
        """Packets so far; None when there is no rule."""
        done = await self._cluster.command(node, COUNTERS)
        return None if done.exit_status else sum(count for _, count in counted(done.stdout))


class ClientReset(_Clients):
    """Every connection of a client with the node is reset, again and again; a `NodeFault`."""

    def __init__(self, cluster: AbleCluster, ports: Sequence[int], answers: Answers | None) -> None:
        super().__init__(cluster, ports, answers)
        self._resetting: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, int] = {}
        """Node -> connections that were reset."""
        self._is_failing: dict[str, bool] = {}
        """Node -> whether the last reset could not be carried out."""
        self._ended_at_first: dict[str, int] = {}
        """The same when it was seen to hold: ours among them."""
        # The engine's proxy may pass a reset on as an end.
        is_direct = cluster.backend == backends.NAMESPACES
        self._resets = ("reset",) if is_direct else ("reset", "closed")

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        interval_s = settings["every_ms"] / 1000
        await self.release(node)
        self._ended[node] = 0
        self._resetting[node] = asyncio.create_task(self._keep_resetting(node, interval_s))
        loop = asyncio.get_running_loop()
        end = loop.time() + 2 * interval_s + LISTENS_LIMIT_S
        seen = ""
        while (seen not in self._resets or not self._ended[node]) and loop.time() < end:
            seen = await self._fate(node, end - loop.time())
            await asyncio.sleep(_GLANCE_S)  # What ss says comes a little later.
        self._ended_at_first[node] = self._ended[node]
        facts = {"connection": seen, "ended": self._ended[node]}
        is_so = seen in self._resets and self._ended[node] > 0
        return NodeEvidence(node, is_so, await self._cluster.status(node), facts)

    async def look_again(self, node: str) -> NodeEvidence | None:
        task = self._resetting.get(node)
        is_so = task is not None and not task.done() and not self._is_failing.get(node, False)
        theirs = self._ended.get(node, 0) - self._ended_at_first.get(node, 0)
        facts = {"ended": self._ended.get(node, 0), "ended_of_clients": theirs}
        status = await self._cluster.status(node)
        return NodeEvidence(node, is_so, status, facts, is_idle=theirs <= 0)

    async def undo(self, node: str) -> NodeEvidence:
        await self.release(node)
        loop = asyncio.get_running_loop()
        end = loop.time() + LISTENS_LIMIT_S
        seen = ""
        while seen != "open" and loop.time() < end and await self._runs(node):
            seen = await self._fate(node, OPEN_S)
            await asyncio.sleep(_GLANCE_S)
        is_so = seen == "open" or not await self._runs(node)
        facts = {"connection": seen, "ended": self._ended.pop(node, 0)}
        return NodeEvidence(node, is_so, await self._cluster.status(node), facts)

    async def release(self, node: str) -> None:
        task = self._resetting.pop(node, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_resetting(self, node: str, interval_s: float) -> None:
        command = resetting(self._ports, self._nodes)
        while True:
            await asyncio.sleep(interval_s)
            done = await self._cluster.command(node, command)
            self._is_failing[node] = done.exit_status != 0
            if done.exit_status:
                log.warning("%s: ss failed: %s", node, done.stderr.strip())
            self._ended[node] += len(done.stdout.splitlines())

    async def _fate(self, node: str, limit_s: float) -> str:
        """What becomes of a connection in that time: `open`, `reset`, `closed`, or why none is."""
        try:
            connection = await self._cluster.dial(node, self._ports[0], DIAL_LIMIT_S)
        except OSError as error:
            return error.strerror or str(error)
        with connection:
            return await _ended(connection, limit_s)


async def _ended(connection: socket.socket, limit_s: float) -> str:
    try:
        async with asyncio.timeout(limit_s):
            await asyncio.get_running_loop().sock_recv(connection, 1)
    except ConnectionError:
        return "reset"
    except TimeoutError:
        return "open"
    return "closed"


def _make(node_fault: type[ClientCut | ClientReset], fault: Fault, site: Environment) -> PerNode:
    return PerNode(fault, site, node_fault(site.cluster, site.client_ports, site.asked))


CLIENT_CUT = Fault(
    name=CLIENT_CUT_NAME,
    description="cut clients off from nodes, which go on hearing each other",
    parameters=(WAY,),
    heals=Heals.CLIENTS,
    group=CLIENTS,
    needs=(NodeProcesses, HostCommands, Sockets, Offer.CLIENT_PORTS),
    make=partial(_make, ClientCut),
    held="the rule counts packets, and the node answers no request",
    healed="no rule is left, and the node answers, if it runs",
)

CLIENT_RESET = Fault(
    name="client-reset",
    description="reset every connection of clients with nodes, over and over",
    parameters=(
        number("every_ms", "from one reset to the next", 50.0, 60_000.0, one_of(100, 300, 1000)),
    ),
    heals=Heals.CLIENTS,
    group=CLIENTS,
    needs=(NodeProcesses, HostCommands, Sockets, Offer.CLIENT_PORTS, Need.RESETS),
    make=partial(_make, ClientReset),
    held="a connection of ours is reset, and ss names those that it ended",
    healed="a connection of ours lives for a second",
)

FAULTS: Final = (CLIENT_CUT, CLIENT_RESET)
