"""Who belongs to a simulated cluster of raft: asked of its leader, and seen there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from dissever.harness.cluster.simulator import Change, Member, SimulatorCluster
from dissever.harness.system import Role

CHANGE_LIMIT_S: Final = 15.0
"""How long a change may take: a new voter catches up first."""

ASK_LIMIT_S: Final = 5.0
ASK_GAP_S: Final = 0.05

ROLES: Final = {
    Member.VOTER: Role.VOTER,
    Member.STAND_BY: Role.STAND_BY,
    Member.SPARE: Role.SPARE,
}


class RaftMembers:
    """Implements `Members`."""

    def __init__(self, cluster: SimulatorCluster, leaders: Callable[[], tuple[str, ...]]) -> None:
        self._cluster = cluster
        self._leaders = leaders

    async def leader(self) -> str | None:
        leaders = self._leaders()
        return leaders[0] if len(leaders) == 1 else None

    async def roles(self) -> Mapping[str, Role]:
        leader = await self.leader()
        if leader is None:
            raise OSError("nobody leads")
        return self._roles(leader)

    async def remove(self, node: str) -> None:
        await self._change(
            lambda roles: None if node not in roles else (Change.REMOVE, Member.SPARE), node
        )

    async def add(self, node: str, role: Role) -> None:
        wanted = _member(role)

        def step(roles: Mapping[str, Role]) -> tuple[Change, Member] | None:
            if node not in roles:
                return Change.ADD, Member.SPARE
            return None if roles[node] is role else (Change.ASSIGN, wanted)

        await self._change(step, node)

    async def assign(self, node: str, role: Role) -> None:
        wanted = _member(role)
        await self._change(
            lambda roles: None if roles.get(node) is role else (Change.ASSIGN, wanted), node
        )

    async def transfer(self, node: str) -> None:
        leader = await self.leader()
        if leader is None:
            raise OSError("nobody leads")
        async with asyncio.timeout(ASK_LIMIT_S):
            await self._cluster.change(leader, Change.TRANSFER, node)

    async def wipe(self, node: str) -> None:
        self._cluster.wipe(node)

    async def start(self, node: str) -> None:
        await self._cluster.start(node)

    async def _change(
        self,
        step: Callable[[Mapping[str, Role]], tuple[Change, Member] | None],
        node: str,
    ) -> None:
        """
        Ask the leader for the next step until its configuration needs none.

        Raises:
            TimeoutError: When it does not in time, with what was missing last.
        """
        missing = "nobody leads"
        try:
            async with asyncio.timeout(CHANGE_LIMIT_S):
                while True:
                    try:
                        roles = await self.roles()
                        asked = step(roles)
                        if asked is None:
                            return
                        leader = await self.leader()
                        assert leader is not None, "it has just been there, at this very moment"
                        async with asyncio.timeout(ASK_LIMIT_S):
                            await self._cluster.change(leader, asked[0], node, asked[1])
                    except OSError as error:  # A TimeoutError is one.
                        missing = str(error) or missing
                    await asyncio.sleep(ASK_GAP_S)
        except TimeoutError as late:
            raise TimeoutError(f"no change within {CHANGE_LIMIT_S:g} s: {missing}") from late

    def _roles(self, leader: str) -> Mapping[str, Role]:
        members = self._cluster.look(leader).members
        named = {self._cluster.name(number): ROLES[role] for number, role in members.items()}
        return {node: named[node] for node in self._cluster.nodes if node in named}


def _member(role: Role) -> Member:
    return next(member for member, name in ROLES.items() if name is role)
