"""
Who belongs to the simulated cluster, and changes of it, asked of the leader until they are so.

A node that lost its disk must not pass for the one that voted before. So it comes back under an
identity that nobody had, and waits until a leader takes it in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from dissever.harness.cluster.simulated import SimulatedCluster
from dissever.harness.system import Role
from dissever.harness.waiting import NotYet, until
from dissever.systems.simulated.raft.identities import host_of, identity_of
from dissever.systems.simulated.raft.log import Configuration, Membership
from dissever.systems.simulated.raft.membership import Refused
from dissever.systems.simulated.raft.node import ChangeMember, HandOver, View

CHANGE_LIMIT_S: Final = 15.0
ASK_LIMIT_S: Final = 0.5
LEADER_LIMIT_S: Final = 5.0
_GAP_S: Final = 0.05

ROLES: Final = {
    Membership.VOTER: Role.VOTER,
    Membership.STAND_BY: Role.STAND_BY,
    Membership.SPARE: Role.SPARE,
}


class Nodes(Protocol):
    """The deployment whose members change."""

    @property
    def cluster(self) -> SimulatedCluster:
        """The hosts."""

    async def views(self) -> Mapping[str, View]:
        """Node -> what it says of itself, for those that answer."""


class SimulatedMembers:
    """
    Implements `Members`.

    Args:
        keeps_identity: A node that lost its disk passes for the one that voted before: a bug.
    """

    def __init__(self, nodes: Nodes, *, keeps_identity: bool = False) -> None:
        self._nodes = nodes
        self._keeps_identity = keeps_identity
        self._generations = dict.fromkeys(nodes.cluster.nodes, 0)

    async def leader(self) -> str | None:
        views = await self._nodes.views()
        leading = [node for node, view in views.items() if view.is_leader]
        return max(leading, key=lambda node: views[node].term, default=None)

    async def roles(self) -> Mapping[str, Role]:
        configuration = await self._configuration()
        return {
            host_of(identity): ROLES[role]
            for identity, role in configuration.members
            if identity == self._identity(host_of(identity))
        }

    async def remove(self, node: str) -> None:
        if self._keeps_identity:
            return
        configuration = await self._configuration()
        for identity in configuration.identities:  # An earlier one may still be in.
            if host_of(identity) == node:
                await self._change(identity, None)

    async def add(self, node: str, role: Role) -> None:
        if self._keeps_identity:
            return
        await self._change(self._identity(node), Membership.SPARE)
        await self.assign(node, role)

    async def assign(self, node: str, role: Role) -> None:
        wanted = next(each for each, name in ROLES.items() if name is role)
        await self._change(self._identity(node), wanted)

    async def transfer(self, node: str) -> None:
        leader = await self.leader()
        if leader is None:
            raise OSError("nobody leads")
        await self._ask(leader, HandOver(self._identity(node)))

    async def wipe(self, node: str) -> None:
        self._generations[node] += not self._keeps_identity
        disk = self._nodes.cluster.disk_of(node)
        disk.wipe()
        disk.keep("identity", self._identity(node))

    async def start(self, node: str) -> None:
        await self._nodes.cluster.start(node)

    def _identity(self, node: str) -> str:
        return identity_of(node, self._generations[node])

    async def _configuration(self) -> Configuration:
        """
        As the leader of the latest term says that is a member itself; waits through an election.

        Raises:
            OSError: When nobody leads in time.
        """
        view = await until(self._leading, LEADER_LIMIT_S, _GAP_S, late="nobody leads")
        return view.configuration

    async def _leading(self) -> View:
        """What that leader says of itself. Raises NotYet."""
        views = (await self._nodes.views()).values()
        leading = [each for each in views if each.is_leader]
        members = [each for each in leading if each.configuration.role(each.identity) is not None]
        if not members:
            raise NotYet("no member claims to lead")
        return max(members, key=lambda view: view.term)

    async def _change(self, identity: str, role: Membership | None) -> None:
        """Ask the leader until its configuration is so. Raises TimeoutError when it is not."""
        missing = "nobody leads"
        try:
            async with asyncio.timeout(CHANGE_LIMIT_S):
                while True:
                    leader = await self.leader()
                    if leader is not None:
                        try:
                            view = await self._ask(leader, ChangeMember(identity, role))
                            if await self._is_so(identity, role):
                                return
                            missing = f"{view.configuration} are the members"
                        except OSError as error:
                            missing = str(error)
                    await asyncio.sleep(_GAP_S)
        except TimeoutError as error:
            raise TimeoutError(f"{identity} is not {role or 'removed'}: {missing}") from error

    async def _is_so(self, identity: str, role: Membership | None) -> bool:
        return (await self._configuration()).role(identity) is role

    async def _ask(self, node: str, request: ChangeMember | HandOver) -> View:
        """Raises OSError when the node refuses, or does not answer."""
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                view: View = await self._nodes.cluster.request(None, node, request)
        except Refused as error:
            raise OSError(str(error)) from error
        except TimeoutError as error:
            raise OSError(f"no answer from {node}") from error
        return view
