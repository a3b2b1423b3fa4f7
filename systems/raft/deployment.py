"""Servers of raft in a simulator: how they form one cluster, and what can be seen of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from dissever.harness.client import NotApplied
from dissever.harness.cluster.simulator import Server, ServerRole, SimulatorCluster
from dissever.harness.plan import Options
from dissever.harness.system import Digest, Replica, Snapshot, Unseen
from dissever.harness.values import listed, reason
from dissever.harness.waiting import NotYet, disagreement, first_acknowledged, until
from dissever.systems.raft import calls
from dissever.systems.raft.calls import Link
from dissever.systems.raft.members import RaftMembers
from dissever.systems.raft.options import LOCAL, option
from dissever.systems.raft.stores import STORES, Session

ASK_LIMIT_S: Final = 1.0
START_LIMIT_S: Final = 60.0
POLL_S: Final = 0.1

NO_VALUE: Final = -(1 << 63)
"""
A value that no workload writes. A compare-and-set that expects it goes through the log as every
write does, and changes nothing: it shows progress.
"""


class RaftDeployment:
    """
    A server of raft on every node, all of them voters at first.

    What a server believes is looked at from outside, which takes no time: it stands for the
    application that runs with the server. Nobody looks at one that is paused.
    """

    def __init__(self, cluster: SimulatorCluster, options: Options) -> None:
        self.cluster = cluster
        self.members = RaftMembers(cluster, self._leaders)
        self._options = options

    async def start(self) -> None:
        """
        Start every node, and wait until they serve.

        Raises:
            TimeoutError: When that takes too long; the message says what is missing.
        """
        for node in self.cluster.nodes:
            await self.cluster.start(node)
        await self.await_ready(START_LIMIT_S)

    async def primaries(self) -> tuple[str, ...]:
        return self._leaders()

    async def answers(self, node: str) -> bool:
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                link = await self._connected(node, ASK_LIMIT_S)
                try:
                    await link.ask(calls.read(0, is_local=True))
                finally:
                    link.close()
        except NotApplied as error:  # It says that it does not lead, so it answers.
            return error.code != "unreached"
        except OSError:  # A TimeoutError is one.
            return False
        return True

    async def await_ready(self, timeout_s: float) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        late = f"not ready after {timeout_s:g} s"
        leader = await until(self._ready, timeout_s, POLL_S, late=late, what="waiting for a leader")
        return {"leader": leader, "waited_ms": round((loop.time() - start) * 1000)}

    async def _ready(self) -> str:
        """The leader that every node names, once it has acknowledged a write. Raises NotYet."""
        named = {node: self._leader_of(node) for node in self.cluster.nodes}
        leader = named[self.cluster.nodes[0]]
        if leader is None or set(named.values()) != {leader}:
            raise NotYet(disagreement(named))
        try:
            await self._write(leader)
        except (NotApplied, OSError) as error:
            raise NotYet(f"{leader} leads, but a write fails: {reason(error)}") from error
        return leader

    async def await_progress(self, nodes: Sequence[str], timeout_s: float) -> Mapping[str, Any]:
        late = f"no write by way of {listed(nodes)} within {timeout_s:g} s"
        return await until(partial(self._progress, nodes), timeout_s, POLL_S, late=late)

    async def _progress(self, nodes: Sequence[str]) -> Mapping[str, Any]:
        """By way of which node a write was acknowledged. Raises NotYet."""
        return await first_acknowledged(
            nodes, self._write, lambda error: isinstance(error, NotApplied | OSError)
        )

    async def snapshots(self) -> Mapping[str, frozenset[Snapshot]]:
        return {node: _snapshots(self.cluster.look(node)) for node in self.cluster.nodes}

    async def replicas(self) -> Mapping[str, Replica]:
        return {node: self._replica(node) for node in self.cluster.nodes}

    async def open_store(self, store: str, node: str) -> Any:
        lead = partial(self._lead, node, self._options.operation_limit_s)
        session = Session(lead, is_local=option(self._options, "read") == LOCAL)
        return STORES[store](session)

    def _server(self, node: str) -> Server | None:
        """A server as it is; None: it does not run, or is paused."""
        server = self.cluster.look(node)
        return server if server.is_running and not server.is_paused else None

    def _leaders(self) -> tuple[str, ...]:
        servers = {node: self._server(node) for node in self.cluster.nodes}
        return tuple(
            node
            for node, server in servers.items()
            if server is not None and server.role is ServerRole.LEADER
        )

    def _leader_of(self, node: str) -> str | None:
        """Who leads, as a node believes."""
        server = self._server(node)
        return None if server is None else self.cluster.name(server.leader)

    def _replica(self, node: str) -> Replica:
        server = self._server(node)
        if server is None:
            return Unseen(f"{node} does not run")
        return Digest(f"{server.digest:016x}") if server.digest else Unseen("it has no digest")

    async def _lead(self, node: str, limit_s: float) -> Link:
        """A connection to the leader that a node names. Raises NotApplied."""
        leader = self._leader_of(node)
        if leader is None:
            raise NotApplied(f"{node} knows no leader", "no-leader")
        return await self._connected(leader, limit_s)

    async def _connected(self, node: str, limit_s: float) -> Link:
        try:
            _, link = await self.cluster.connect(node, Link, limit_s)
        except OSError as error:
            raise NotApplied(f"{node} was not reached: {reason(error)}", "unreached") from error
        assert isinstance(link, Link)
        return link

    async def _write(self, node: str) -> None:
        """Raises NotApplied, or OSError when there is no acknowledgement in time."""
        async with asyncio.timeout(ASK_LIMIT_S):
            link = await self._lead(node, ASK_LIMIT_S)
            try:
                await link.ask(calls.compare_and_set(0, NO_VALUE, NO_VALUE))
            finally:
                link.close()


def _snapshots(server: Server) -> frozenset[Snapshot]:
    held = {Snapshot(f"snapshot-{server.snapshot}", is_installed=False)} if server.snapshot else {}
    if not server.installed:
        return frozenset(held)
    return frozenset({*held, Snapshot(f"installed-{server.installed}", is_installed=True)})
