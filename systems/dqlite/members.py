"""
Who belongs to a dqlite cluster, and in which role: asked of the leader, changed by way of it.

A change is answered late, or with an error that says nothing, so only the leader's list afterwards
counts. A node that lost its data comes back under a new id: raft must not take it for the one that
voted before, and a node of id 1 would found a cluster of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

import dqlite
from dissever.harness.system import Role

if TYPE_CHECKING:
    from dissever.systems.dqlite.deployment import DqliteDeployment

CHANGE_LIMIT_S = 15.0
"""How long a change may take: a new voter catches up first."""

ASK_GAP_S = 0.05

ROLES: Final = {
    dqlite.Role.VOTER: Role.VOTER,
    dqlite.Role.STANDBY: Role.STAND_BY,
    dqlite.Role.SPARE: Role.SPARE,
}


class DqliteMembers:
    """Implements `Members`."""

    def __init__(self, nodes: DqliteDeployment) -> None:
        self._nodes = nodes

    async def leader(self) -> str | None:
        claims = await self._nodes.primaries()
        return claims[0] if len(claims) == 1 else None

    async def roles(self) -> Mapping[str, Role]:
        try:
            async with await self._nodes.find_leader() as leader:
                return await self._roles(leader)
        except dqlite.DqliteError as error:
            raise OSError(str(error)) from error

    async def remove(self, node: str) -> None:
        await self._change(
            lambda leader: leader.remove(self._nodes.id_of(node)),
            lambda roles: node not in roles,
        )

    async def add(self, node: str, role: Role) -> None:
        address = self._nodes.address_of(node)
        await self._change(
            lambda leader: leader.add(self._nodes.id_of(node), address),
            lambda roles: node in roles,
        )
        await self.assign(node, role)

    async def assign(self, node: str, role: Role) -> None:
        wanted = next(each for each, name in ROLES.items() if name is role)
        await self._change(
            lambda leader: leader.assign(self._nodes.id_of(node), wanted),
            lambda roles: roles.get(node) is role,
        )

    async def transfer(self, node: str) -> None:
        try:
            async with await self._nodes.find_leader() as leader:
                await leader.transfer(self._nodes.id_of(node))
        except dqlite.DqliteError as error:
            raise OSError(str(error)) from error

    async def wipe(self, node: str) -> None:
        await self._nodes.hosts.wipe(node)
        self._nodes.renew_id(node)

    async def start(self, node: str) -> None:
        await self._nodes.start_node(node)

    async def _change(
        self,
        ask: Callable[[dqlite.Client], Awaitable[None]],
        is_done: Callable[[Mapping[str, Role]], bool],
    ) -> None:
        """
        Ask until the leader's list shows it.

        Raises:
            TimeoutError: When it does not in time.
        """
        missing = "nobody leads"
        try:
            async with asyncio.timeout(CHANGE_LIMIT_S):
                while True:
                    try:
                        async with await self._nodes.find_leader() as leader:
                            if is_done(await self._roles(leader)):
                                return
                            await ask(leader)
                    except (dqlite.DqliteError, TimeoutError) as error:
                        missing = str(error) or missing
                    await asyncio.sleep(ASK_GAP_S)
        except TimeoutError as late:
            raise TimeoutError(f"no change within {CHANGE_LIMIT_S:g} s: {missing}") from late

    async def _roles(self, leader: dqlite.Client) -> Mapping[str, Role]:
        listed = await leader.cluster()
        named = {self._nodes.name_of(each.address): ROLES[each.role] for each in listed}
        return {node: named[node] for node in self._nodes.cluster.nodes if node in named}
