"""The simulated store on a simulated cluster, as the harness sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.cluster import NodeState
from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.system import Digest, Members, Replica, Snapshot, Unseen
from dissever.harness.values import listed
from dissever.harness.waiting import NotYet, disagreement, first_acknowledged, until
from dissever.systems.simulated import transactions
from dissever.systems.simulated.members import SimulatedMembers
from dissever.systems.simulated.raft.gateway import Do
from dissever.systems.simulated.raft.log import Configuration, Entry, Membership
from dissever.systems.simulated.raft.node import Node, View
from dissever.systems.simulated.stores import STORES, ask_node
from dissever.systems.simulated.transactions import SimulatedTransactions

START_LIMIT_S: Final = 10.0
ASK_LIMIT_S: Final = 0.2
WRITE_LIMIT_S: Final = 1.0
POLL_S: Final = 0.1
"""The gap between two looks at something that is waited for."""

TORN_SHARE: Final = 0.1
"""The share of commits that are made in two halves, with the bug that tears them."""

DATABASE: Final = "database"
"""The key of what transactions read and change."""

OF_TRANSACTIONS: Final = ("transactions", "rows")
"""The stores that `SimulatedTransactions` is."""


class SimulatedDeployment:
    """Raft on every node of a simulated cluster."""

    def __init__(
        self,
        cluster: SimulatedCluster,
        rng: Random | None = None,
        *,
        isolation: str = "serializable",
        bug: str = "",
    ) -> None:
        self.cluster = cluster
        self.members: Members = SimulatedMembers(self, keeps_identity=bug == "empty-voter")
        self._rng = rng or Random(0)
        self._isolation = transactions.isolation(isolation, bug)
        self._bug = bug
        self._begun = count(1)

    async def start(self) -> None:
        """
        Put the same first entry on every disk, which names all nodes as voters; start them, and
        wait for a leader.
        """
        first = Entry(1, 1, Configuration(tuple((n, Membership.VOTER) for n in self.cluster.nodes)))
        for node in self.cluster.nodes:
            disk = self.cluster.disk_of(node)
            disk.keep("metadata", (1, ""))
            disk.keep("log", [first])
            await self.cluster.start(node)
        await self.await_ready(START_LIMIT_S)

    async def view(self, node: str) -> View | None:
        """What a node says of itself; None: it does not answer."""
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                view: View = await self.cluster.request(None, node, "who are you")
        except (TimeoutError, ConnectionError):
            return None
        return view

    async def views(self) -> Mapping[str, View]:
        """Node -> what it says of itself, for those that answer."""
        seen = await asyncio.gather(*(self.view(node) for node in self.cluster.nodes))
        nodes = zip(self.cluster.nodes, seen, strict=True)
        return {node: view for node, view in nodes if view is not None}

    async def answers(self, node: str) -> bool:
        return await self.view(node) is not None

    async def primaries(self) -> tuple[str, ...]:
        return tuple(node for node, view in (await self.views()).items() if view.is_leader)

    async def await_ready(self, timeout_s: float) -> Mapping[str, Any]:
        late = f"not ready after {timeout_s:g} s"
        leader = await until(self._ready, timeout_s, POLL_S, late=late, what="waiting for a leader")
        return {"answering": list(self.cluster.nodes), "leader": leader}

    async def await_progress(self, nodes: Sequence[str], timeout_s: float) -> Mapping[str, Any]:
        late = f"no write by way of {listed(nodes)} within {timeout_s:g} s"
        return await until(partial(self._progress, nodes), timeout_s, POLL_S, late=late)

    async def snapshots(self) -> Mapping[str, frozenset[Snapshot]]:
        return {node: self._snapshots(node) for node in self.cluster.nodes}

    async def replicas(self) -> Mapping[str, Replica]:
        return {node: await self._replica(node) for node in self.cluster.nodes}

    async def open_store(self, store: str, node: str) -> Any:
        if store not in OF_TRANSACTIONS:
            return STORES[store](self.cluster, node)

        async def ask(f: str, change: Callable[[Any], tuple[Any, Any]]) -> Any:
            return await ask_node(self.cluster, node, Do(DATABASE, f, change))

        def is_torn() -> bool:
            return self._bug == "fractured-read" and self._rng.random() < TORN_SHARE

        return SimulatedTransactions(ask, self._isolation, self._begun.__next__, is_torn)

    async def _ready(self) -> str:
        """The leader that every node follows, once it acknowledges a write. Raises NotYet."""
        views = await self.views()
        silent = [node for node in self.cluster.nodes if node not in views]
        if silent:
            raise NotYet(f"no answer from {listed(silent)}")
        leaders = {view.leader for view in views.values()}
        if len(leaders) > 1 or "" in leaders:
            raise NotYet(disagreement({node: view.leader for node, view in views.items()}))
        await self._progress(self.cluster.nodes[:1])
        return next(node for node, view in views.items() if view.identity == view.leader)

    async def _progress(self, nodes: Sequence[str]) -> Mapping[str, Any]:
        """By way of which node a write was acknowledged. Raises NotYet."""
        return await first_acknowledged(
            nodes, self._write, lambda error: isinstance(error, NotApplied | OSError)
        )

    async def _write(self, node: str) -> None:
        async with asyncio.timeout(WRITE_LIMIT_S):
            await ask_node(self.cluster, node, Do("progress", "write", lambda _: (1, None)))

    def _snapshots(self, node: str) -> frozenset[Snapshot]:
        held = self.cluster.disk_of(node).content.get("snapshot")
        if held is None:
            return frozenset()
        return frozenset({Snapshot(f"{held.index}/{held.term}", self._is_installed(node))})

    def _is_installed(self, node: str) -> bool:
        process = self.cluster.behaviour(node)
        return isinstance(process, Node) and process.snapshots.is_installed

    async def _replica(self, node: str) -> Replica:
        """As a look into its memory sees it; what it does not answer was not seen."""
        status = await self.cluster.status(node)
        process = self.cluster.behaviour(node)
        if status.state is not NodeState.RUNNING or not isinstance(process, Node):
            return Unseen(f"{node} does not run")
        return Digest(process.machine.digest())
