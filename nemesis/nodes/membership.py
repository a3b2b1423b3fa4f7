"""
Change who belongs to a cluster, and in which role: a node removed, replaced, demoted; a leader that
hands over.

Evidence is the list of members that the system itself gives, asked for anew after the change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from dissever.harness.cluster import Cluster
from dissever.harness.missing import Missing
from dissever.harness.system import Members, Role
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.processes import Seen

__all__ = ["Demote", "Remove", "Replace", "Transfer"]

TRANSFER_LIMIT_S = 5.0
GLANCE_S = 0.05


class _Membership:
    """What all of these share; each is a `Hand`."""

    extra: tuple[str, ...] = ()

    def __init__(self, cluster: Cluster, members: Members | None) -> None:
        self._cluster = cluster
        self._members = members

    def probe(self) -> Missing | None:
        """The system must let its members be changed."""
        if self._members is None:
            return Missing("the system has no members to change", "choose another fault")
        return None

    @property
    def members(self) -> Members:
        assert self._members is not None, "probe said that there are none"
        return self._members

    def is_back(self, seen: Seen) -> bool:
        return seen.is_so

    async def _seen(self, node: str, role: Role | None, change: Awaitable[None]) -> Seen:
        """Make a change, and look whether the node has the role then; None: it is no member."""
        began = asyncio.get_running_loop().time()
        facts: dict[str, Any] = {}
        try:
            await change
            found = (await self.members.roles()).get(node)
            is_so = found is role
            facts["role"] = None if found is None else found.value
        except (OSError, TimeoutError) as error:
            is_so, facts["error"] = False, str(error)
        facts["took_ms"] = round((asyncio.get_running_loop().time() - began) * 1000, 3)
        return Seen(node, is_so, await self._cluster.status(node), facts)


class Remove(_Membership):
    """Take a node out of the cluster, while it runs; it comes back with nothing that it held."""

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        return await self._seen(node, None, self.members.remove(node))

    async def undo(self, node: str) -> Seen:
        return await self._seen(node, Role.VOTER, self._rejoin(node))

    async def release(self, node: str) -> None:
        """A node that is no member harms nobody: the end of the run takes it away."""

    async def _rejoin(self, node: str) -> None:
        await self._cluster.kill(node)
        await self.members.remove(node)  # Where the first try went wrong, it still is one.
        await self.members.wipe(node)
        await self.members.start(node)
        await self.members.add(node, Role.VOTER)


class Replace(Remove):
    """Lose a node with its disk, and put an empty one in its place."""

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        return await processes.kill(self._cluster, node)


class Demote(_Membership):
    """Take a node's vote away, and give it back."""

    extra: tuple[str, ...] = ("role",)

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        role = Role(told.get("role", Role.STAND_BY))
        return await self._seen(node, role, self.members.assign(node, role))

    async def undo(self, node: str) -> Seen:
        return await self._seen(node, Role.VOTER, self.members.assign(node, Role.VOTER))

    async def release(self, node: str) -> None:
        """Nothing of it outlives the run."""


class Transfer(_Membership):
    """
    Have the leader hand over to the node; there is nothing to undo but to see who leads.

    Several nodes lead in turn.
    """

    def __init__(self, cluster: Cluster, members: Members | None) -> None:
        super().__init__(cluster, members)
        self._turn = asyncio.Lock()

    async def strike(self, node: str, told: Mapping[str, Any]) -> Seen:
        async with self._turn:
            before = await self.members.leader()
            seen = await self._transferred(node)
        return Seen(node, seen.is_so, seen.status, {**seen.facts, "from": before})

    async def undo(self, node: str) -> Seen:
        leader = await self.members.leader()
        status = await self._cluster.status(node)
        return Seen(node, leader is not None, status, {"leader": leader})

    async def release(self, node: str) -> None:
        """Nothing is in force."""

    async def _transferred(self, node: str) -> Seen:
        began = asyncio.get_running_loop().time()
        facts: dict[str, Any] = {}
        leader = None
        try:
            async with asyncio.timeout(TRANSFER_LIMIT_S):
                while True:
                    facts["error"] = await self._ask(node)
                    leader = await self.members.leader()
                    if leader == node:
                        break
                    await asyncio.sleep(GLANCE_S)
        except TimeoutError:
            facts["error"] = facts.get("error") or f"{leader} leads after {TRANSFER_LIMIT_S:g} s"
        facts |= {
            "leader": leader,
            "took_ms": round((asyncio.get_running_loop().time() - began) * 1000, 3),
        }
        told = {name: fact for name, fact in facts.items() if fact is not None}
        return Seen(node, leader == node, await self._cluster.status(node), told)

    async def _ask(self, node: str) -> str | None:
        """Ask once more; why it was refused, if it was. A leader that is busy may ignore it."""
        try:
            await self.members.transfer(node)
        except OSError as error:
            return str(error)
        return None
