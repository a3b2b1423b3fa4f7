"""
Cut clients off from nodes, or reset their connections; nodes go on hearing each other.

Evidence of a cut: what it drops is counted, and the node answers no request; afterwards the cut is
gone, and it does. A node that hangs for a reason of its own answers nobody: then packets are seen
to pass between clients and its host. Evidence of resets: a connection of ours is reset, and those
that were ended are counted; afterwards one stays open.

How it is done is for `network.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from dissever.harness.cluster import (
    ClientLinks,
    HostCommands,
    NodeProcesses,
    NodeState,
    Sockets,
    backends,
)
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.clients.network import ClientNetwork, HostClients, Passage, SimulatedClients
from dissever.nemesis.environment import CLIENT_CUT_NAME, CLIENTS, Environment
from dissever.nemesis.fault import Fault, Heals, Simulated
from dissever.nemesis.needs import Need, Offer
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import Answers, NodeEvidence
from dissever.nemesis.parameters import Settings, number, one_of
from dissever.nemesis.targets import WAY, Way

__all__ = ["FAULTS"]

OPEN_S: Final = 1.0
"""A connection that lives for this long is not reset."""

COUNTED_LIMIT_S: Final = 3.0
LISTENS_LIMIT_S: Final = 5.0
"""One that was started a moment ago does not listen yet."""

_GLANCE_S: Final = 0.05


class ClientCut:
    """Nodes do not hear clients, or are not heard, or both; a `NodeFault`."""

    def __init__(
        self, cluster: AbleCluster, network: ClientNetwork, answers: Answers | None
    ) -> None:
        """`answers`: whether a node answers a client now; None when nobody can say."""
        self._cluster = cluster
        self._network = network
        self._answers = answers
        self._counted: dict[str, int] = {}
        """Node -> packets dropped when its cut was seen to hold, those of ours included."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        await self._network.cut(node, Way(settings[WAY.name]))
        loop = asyncio.get_running_loop()
        end = loop.time() + COUNTED_LIMIT_S
        count, answered = 0, None
        while (not count or answered) and loop.time() < end:
            answered = await self._asked(node)
            count = await self._network.dropped(node) or 0
        self._counted[node] = count
        status = await self._cluster.status(node)
        facts: dict[str, Any] = {"dropped": count, "answers": answered}
        is_so = count > 0 and not answered
        skipped = "" if is_so else await self._silence(node)
        return NodeEvidence(node, is_so, status, facts, skipped=skipped)

    async def look_again(self, node: str) -> NodeEvidence | None:
        """What we ask gets no answer, and the rule counts it; what it counted before is theirs."""
        before = await self._network.dropped(node)
        answered = await self._asked(node)
        after = await self._network.dropped(node)
        is_so = before is not None and after is not None and before < after and not answered
        theirs = (before or 0) - self._counted.get(node, 0)
        facts = {"dropped": after, "dropped_of_clients": theirs, "answers": answered}
        status = await self._cluster.status(node)
        return NodeEvidence(node, is_so, status, facts, is_idle=theirs <= 0)

    async def undo(self, node: str) -> NodeEvidence:
        count = await self._network.dropped(node)
        await self._network.heal(node)
        is_gone = await self._network.dropped(node) is None
        answered = await processes.answers_again(self._answers, node)
        facts: dict[str, Any] = {"dropped": count, "answers": answered}
        is_so = answered
        # One that is down or paused by then answers nobody, and neither does one that hangs.
        if is_gone and not answered and await _runs(self._cluster, node):
            passage = await self._passage(node)
            facts |= passage.facts
            is_so = passage.is_open
        is_so = is_gone and (is_so or not await _runs(self._cluster, node))
        return NodeEvidence(node, is_so, await self._cluster.status(node), facts)

    async def release(self, node: str) -> None:
        await self._network.heal(node)

    async def _silence(self, node: str) -> str:
        """Why there is nothing to drop, if the node hangs by itself; then nothing is cut either."""
        passage = await self._network.passage(node)
        if not passage.facts.get("queue_full"):
            return ""
        await self._network.heal(node)
        return f"{node} hangs, and sends nothing to clients"

    async def _passage(self, node: str) -> Passage:
        """What passes between clients and a node that does not answer, looked at for a while."""
        loop = asyncio.get_running_loop()
        end = loop.time() + COUNTED_LIMIT_S
        passage = await self._network.passage(node)
        while not passage.is_open and loop.time() < end:
            await asyncio.sleep(_GLANCE_S)
            passage = await self._network.passage(node)
        return passage

    async def _asked(self, node: str) -> bool | None:
        """Whether it answers; who cannot ask knocks, so that there is something to count."""
        if self._answers is not None:
            return await self._answers(node)
        await self._network.knock(node)
        return None


class ClientReset:
    """Every connection of a client with the node is reset, again and again; a `NodeFault`."""

    def __init__(self, cluster: AbleCluster, network: ClientNetwork) -> None:
        self._cluster = cluster
        self._network = network
        self._resetting: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, int] = {}
        """Node -> connections that were reset."""
        self._is_failing: dict[str, bool] = {}
        """Node -> whether the last reset could not be carried out."""
        self._ended_at_first: dict[str, int] = {}
        """The same when it was seen to hold: ours among them."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        interval_s = settings["every_ms"] / 1000
        await self.release(node)
        self._ended[node] = 0
        self._resetting[node] = asyncio.create_task(self._keep_resetting(node, interval_s))
        loop = asyncio.get_running_loop()
        end = loop.time() + 2 * interval_s + LISTENS_LIMIT_S
        seen = ""
        while (seen not in self._network.resets or not self._ended[node]) and loop.time() < end:
            seen = await self._network.fate(node, end - loop.time())
            await asyncio.sleep(_GLANCE_S)  # What ss says comes a little later.
        self._ended_at_first[node] = self._ended[node]
        facts = {"connection": seen, "ended": self._ended[node]}
        is_so = seen in self._network.resets and self._ended[node] > 0
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
        while seen != "open" and loop.time() < end and await _runs(self._cluster, node):
            seen = await self._network.fate(node, OPEN_S)
            await asyncio.sleep(_GLANCE_S)
        is_so = seen == "open" or not await _runs(self._cluster, node)
        facts = {"connection": seen, "ended": self._ended.pop(node, 0)}
        return NodeEvidence(node, is_so, await self._cluster.status(node), facts)

    async def release(self, node: str) -> None:
        task = self._resetting.pop(node, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_resetting(self, node: str, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            ended = await self._network.reset(node)
            self._is_failing[node] = ended is None
            self._ended[node] += ended or 0


async def _runs(cluster: AbleCluster, node: str) -> bool:
    return (await cluster.status(node)).state is NodeState.RUNNING


def _network(site: Environment) -> ClientNetwork:
    if site.cluster.backend == backends.SIMULATED:
        return SimulatedClients(site.cluster)
    return HostClients(site.cluster, site.client_ports)


def _cut(fault: Fault, site: Environment) -> PerNode:
    return PerNode(fault, site, ClientCut(site.cluster, _network(site), site.asked))


def _reset(fault: Fault, site: Environment) -> PerNode:
    return PerNode(fault, site, ClientReset(site.cluster, _network(site)))


CLIENT_CUT = Fault(
    name=CLIENT_CUT_NAME,
    description="cut clients off from nodes, which go on hearing each other",
    parameters=(WAY,),
    heals=Heals.CLIENTS,
    group=CLIENTS,
    needs=(NodeProcesses, HostCommands, Sockets, Offer.CLIENT_PORTS),
    make=_cut,
    held="the rule counts packets, and the node answers no request",
    healed="no rule is left, and the node, if it runs, answers or exchanges packets with clients",
    simulated=Simulated(
        needs=(NodeProcesses, ClientLinks),
        make=_cut,
        held="the network counts what it drops, and the node answers no request",
        healed="nothing is cut, and the node, if it runs, answers or takes connections",
    ),
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
    make=_reset,
    held="a connection of ours is reset, and ss names those that it ended",
    healed="a connection of ours lives for a second",
    simulated=Simulated(
        needs=(NodeProcesses, ClientLinks),
        make=_reset,
        parameters=(
            number("every_ms", "from one reset to the next", 1.0, 60_000.0, one_of(3, 10, 30)),
        ),
        held="a connection of ours is reset, and the network counts those that it reset",
        healed="a connection of ours lives for a second",
    ),
)

FAULTS: Final = (CLIENT_CUT, CLIENT_RESET)
