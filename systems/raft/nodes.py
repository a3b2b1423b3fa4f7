"""
Real nodes of raft: the library with its own I/O (raft_uv) in a process on each host.

The program is `native/simulation/real/node.c`, with the service and the protocol of simulated
servers. A client asks its node who leads, and stays with the leader until something goes wrong.
"""

from __future__ import annotations

import asyncio
from typing import Final

from dissever.harness.client import NotApplied
from dissever.harness.cluster.backends import NAMESPACES
from dissever.harness.forward import Endpoint
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.systems.processes import Processes
from dissever.systems.raft import calls, programs
from dissever.systems.raft.calls import Link
from dissever.systems.raft.options import LOCAL, OPTIONS, settings_of, variant_of
from dissever.systems.raft.stores import RaftElements, RaftRegisters, Session
from dissever.systems.templates import Node

__all__ = ["RaftNodes"]

CLIENT_PORT: Final = 9000
PEER_PORT: Final = 9001


class RaftClient:
    """Registers and a set, at the leader that its node names."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        session = Session(self._lead, is_local=endpoint.options["read"] == LOCAL)
        self._session = session
        self._registers = RaftRegisters(session)
        self._elements = RaftElements(session)

    async def read(self, key: int) -> int | None:
        return await self._registers.read(_slot(key))

    async def write(self, key: int, value: int) -> None:
        await self._registers.write(_slot(key), value)

    async def compare_and_set(self, key: int, old: int, new: int) -> bool:
        return await self._registers.compare_and_set(_slot(key), old, new)

    async def add(self, element: int) -> None:
        await self._elements.add(element)

    async def elements(self) -> list[int]:
        return await self._elements.elements()

    async def ping(self) -> None:
        await self._leader_of(self._endpoint.node)

    async def is_leader(self) -> bool:
        return await self._leader_of(self._endpoint.node) == self._endpoint.node

    async def digest(self) -> str:
        link = await self._connected(self._endpoint.node)
        try:
            return calls.digest_of(await link.ask(calls.digest()))
        finally:
            link.close()

    async def close(self) -> None:
        await self._session.close()

    async def _lead(self) -> Link:
        leader = await self._leader_of(self._endpoint.node)
        if leader is None:
            raise NotApplied(f"{self._endpoint.node} knows no leader", "no-leader")
        return await self._connected(leader)

    async def _leader_of(self, node: str) -> str | None:
        """Who leads, as a node says: it answers from its own state only while it leads."""
        link = await self._connected(node)
        try:
            await link.ask(calls.read(0, is_local=True))
        except NotApplied:
            nodes = tuple(self._endpoint.nodes)
            return None if link.leader is None else nodes[link.leader]
        finally:
            link.close()
        return node

    async def _connected(self, node: str) -> Link:
        port = self._endpoint.port_of(CLIENT_PORT, node)
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(Link, self._endpoint.host, port)
        return link


def _slot(key: int) -> int:
    """The harness probes with a key that is beyond those that a node keeps: the last one."""
    return min(key, calls.KEYS_MAX - 1)


class RaftNodes(Processes):
    """libraft, or the raft inside libdqlite, with its own I/O."""

    name = "raft"
    description = "the real libraft, or the raft inside libdqlite, as processes"
    client_ports = (CLIENT_PORT,)
    peer_ports = (PEER_PORT,)
    backends = (NAMESPACES,)
    client = RaftClient
    options = OPTIONS

    def command(self, node: Node) -> list[str]:
        variant = f"node-{node.options['library']}"
        found = programs.program(variant)
        program = variant if isinstance(found, Missing) else str(found)
        addresses = ",".join(node.addresses.values())
        settings = settings_of(node.options)

        words = (f"{name}={value}" for name, value in settings.items())
        return [program, node.data, str(node.index), addresses, *words]

    def probe(self, options: Options | None = None) -> Missing | None:
        options = options or Options(system=self.name, workload="")
        found = programs.program(variant_of(options))
        return found if isinstance(found, Missing) else super().probe(options)
