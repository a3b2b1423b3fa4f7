"""
Change who belongs to a cluster, and in which role: a node removed, replaced, demoted; a leader that
hands over.

Evidence is the list of members that the system itself gives after the change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from dissever.harness.cluster import Links, NodeProcesses, NodeState
from dissever.harness.episodes import Effect
from dissever.harness.system import Members, Role
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.fault import Fault, Heals, steps
from dissever.nemesis.needs import Offer
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence
from dissever.nemesis.parameters import Settings, choice
from dissever.nemesis.targets import TargetSpec

__all__ = ["FAULTS"]

TRANSFER_LIMIT_S = 5.0
GLANCE_S = 0.05
STILL_LIMIT_S = 2.0
REACH_LIMIT_S = 0.5
LED_MAX = 6
"""How many leaders a reason names."""


class _NotTakenBack(TimeoutError):
    """The system was asked to take a change back, and did not in time."""


async def _taken_back(change: Awaitable[None]) -> None:
    """
    Wait for the system to take a change back.

    Raises:
        _NotTakenBack: When it does not in time. Whatever else fails is not the system's doing.
    """
    try:
        await change
    except TimeoutError as error:
        raise _NotTakenBack(str(error)) from error


class _Membership:
    """What all of these share; each is a `NodeFault`."""

    def __init__(self, cluster: AbleCluster, members: Members) -> None:
        self._cluster = cluster
        self._members = members

    async def _seen(self, node: str, role: Role | None, change: Awaitable[None]) -> NodeEvidence:
        """Make a change, and look whether the node has the role then; None: it is no member."""
        began = processes.now()
        facts: dict[str, Any] = {}
        refused = ""
        try:
            await change
            found = (await self._members.roles()).get(node)
            is_so = found is role
            facts["role"] = None if found is None else found.value
        except (OSError, TimeoutError) as error:
            is_so, facts["error"] = False, str(error)
            if isinstance(error, _NotTakenBack):
                refused = str(error)
        facts["took_ms"] = processes.since_ms(began)
        status = await self._cluster.status(node)
        return NodeEvidence(node, is_so, status, facts, refused=refused)

    async def _still(self, node: str, role: Role | None) -> NodeEvidence | None:
        """
        Whether the node still has the role; None when the system gives no list in time.

        Who answers may lag behind for a moment.
        """
        for _ in range(round(STILL_LIMIT_S / GLANCE_S)):
            try:
                found = (await self._members.roles()).get(node)
            except (OSError, TimeoutError):
                return None
            if found is role:
                break
            await asyncio.sleep(GLANCE_S)
        facts = {"role": None if found is None else found.value}
        return NodeEvidence(node, found is role, await self._cluster.status(node), facts)


class Remove(_Membership):
    """Take a node out of the cluster, while it runs; it comes back with nothing that it held."""

    def __init__(self, cluster: AbleCluster, members: Members) -> None:
        super().__init__(cluster, members)
        self._emptied: set[str] = set()
        """The nodes that healing has started empty, and that are not seen to vote yet."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        return await self._seen(node, None, self._members.remove(node))

    async def look_again(self, node: str) -> NodeEvidence | None:
        return await self._still(node, None)

    async def undo(self, node: str) -> NodeEvidence:
        seen = await self._seen(node, Role.VOTER, self._rejoin(node))
        if seen.is_so:
            self._emptied.discard(node)
        return replace(seen, facts={**seen.facts, "outside": True}) if seen.refused else seen

    async def release(self, node: str) -> None:
        """A node that is no member harms nobody: the end of the run takes it away."""

    async def _rejoin(self, node: str) -> None:
        is_running = (await self._cluster.status(node)).state is NodeState.RUNNING
        # The system may just be taking in a node that an earlier try has emptied: that goes on.
        if node not in self._emptied or not is_running:
            await self._empty(node)
        await _taken_back(self._members.add(node, Role.VOTER))

    async def _empty(self, node: str) -> None:
        """Start the node with nothing that it held, once it is no member."""
        self._emptied.discard(node)
        await self._cluster.kill(node)
        # Where the first try went wrong, it still is one.
        await _taken_back(self._members.remove(node))
        await self._members.wipe(node)
        await self._members.start(node)
        self._emptied.add(node)


class Replace(Remove):
    """Lose a node with its disk, and put an empty one in its place."""

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        return await processes.end(self._cluster, node)

    async def look_again(self, node: str) -> NodeEvidence | None:
        return await processes.still(self._cluster, node, NodeState.GONE)


class Demote(_Membership):
    """Take a node's vote away, and give it back."""

    def __init__(self, cluster: AbleCluster, members: Members) -> None:
        super().__init__(cluster, members)
        self._given: dict[str, Role] = {}

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        role = self._given[node] = Role(settings["role"])
        return await self._seen(node, role, self._members.assign(node, role))

    async def look_again(self, node: str) -> NodeEvidence | None:
        return await self._still(node, self._given[node])

    async def undo(self, node: str) -> NodeEvidence:
        given_back = _taken_back(self._members.assign(node, Role.VOTER))
        return await self._seen(node, Role.VOTER, given_back)

    async def release(self, node: str) -> None:
        """Nothing of it outlives the run."""


class Transfer(_Membership):
    """
    Have the leader hand over to the node; there is nothing to undo but to see who leads.

    Several nodes lead in turn. A strike is left out where leadership could not be handed over: it
    was won or lost meanwhile, the leader and the node did not both run and hear each other, or
    another fault had taken the node's vote away. A leader that stays and just does not hand over
    leaves the strike without evidence.
    """

    def __init__(self, cluster: AbleCluster, members: Members) -> None:
        super().__init__(cluster, members)
        self._turn = asyncio.Lock()

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        async with self._turn:
            before, began = await self._members.leader(), processes.now()
            leader = error = None
            led = [before]
            try:
                async with asyncio.timeout(TRANSFER_LIMIT_S):
                    while leader != node:
                        error = await self._ask(node)
                        leader = await self._members.leader()
                        led += [] if leader == led[-1] else [leader]
                        await asyncio.sleep(0 if leader == node else GLANCE_S)
            except TimeoutError:
                error = error or f"{leader} leads after {TRANSFER_LIMIT_S:g} s"
            facts = {"error": error, "leader": leader, "took_ms": processes.since_ms(began)}
            skipped = "" if leader == node else await self._hindrance(node, led)
        known = {name: fact for name, fact in facts.items() if fact is not None}
        status = await self._cluster.status(node)
        facts = {**known, "from": before}
        return NodeEvidence(node, leader == node, status, facts, skipped=skipped)

    async def _hindrance(self, node: str, led: Sequence[str | None]) -> str:
        """Why leadership could not be handed over, if other faults or an election are why."""
        leader = led[0]
        if len(led) > 1:
            names = ", then ".join(each or "nobody" for each in led[:LED_MAX])
            return f"leadership moved meanwhile: {names}"
        if leader is None:
            return f"no node led for {TRANSFER_LIMIT_S:g} s"
        for each in (leader, node):
            if (state := (await self._cluster.status(each)).state) is not NodeState.RUNNING:
                return f"{each} was {state.value}"
        if hindered := await self._no_voter(node):
            return hindered
        heard = await self._cluster.reach([(leader, node), (node, leader)], REACH_LIMIT_S)
        return "" if all(heard.values()) else f"{leader} and {node} did not hear each other"

    async def _no_voter(self, node: str) -> str:
        """Why the node may not lead, if the system's list says so."""
        try:
            role = (await self._members.roles()).get(node)
        except (OSError, TimeoutError):
            return ""
        if role is Role.VOTER:
            return ""
        return f"{node} was no member" if role is None else f"{node} was a {role.value}"

    async def look_again(self, node: str) -> NodeEvidence | None:
        """Nothing is in force: others may lead by now."""
        return None

    async def undo(self, node: str) -> NodeEvidence:
        """Wait for a leader: an election that is under way is nothing to undo."""
        leader = await self._members.leader()
        for _ in range(int(TRANSFER_LIMIT_S / GLANCE_S)):
            if leader is not None:
                break
            await asyncio.sleep(GLANCE_S)
            leader = await self._members.leader()
        status = await self._cluster.status(node)
        return NodeEvidence(node, leader is not None, status, {"leader": leader})

    async def release(self, node: str) -> None:
        """Nothing is in force."""

    async def _ask(self, node: str) -> str | None:
        """Ask once more; why it was refused, if it was. A leader that is busy may ignore it."""
        try:
            await self._members.transfer(node)
        except OSError as error:
            return str(error)
        return None


_members = partial(
    Fault,
    takes_down=True,
    heals=Heals.MEMBERS,
    needs=(NodeProcesses, Links, Offer.MEMBERS),
    is_steady=True,
    slow_s=TRANSFER_LIMIT_S,
)

REMOVE_MEMBER = _members(
    name="remove-member",
    description="take nodes out of the cluster, and take them in again, empty",
    make=lambda fault, site: PerNode(fault, site, Remove(site.cluster, site.members)),
    held="the system's list of members is without the node",
    healed="the list says that the node votes",
)

REPLACE_MEMBER = _members(
    name="replace-member",
    description="lose nodes with their disks, and put empty ones in their place",
    actions=steps("replace-member", Effect.KILLED, Effect.STARTED),
    make=lambda fault, site: PerNode(fault, site, Replace(site.cluster, site.members)),
    held="the process is gone, by SIGKILL",
    healed="the list says that the node votes",
)

DEMOTE = _members(
    name="demote",
    description="take nodes' votes away, and give them back",
    parameters=(
        choice(
            "role",
            "what the node is meanwhile",
            (Role.STAND_BY.value, Role.SPARE.value),
            default=Role.STAND_BY.value,
        ),
    ),
    make=lambda fault, site: PerNode(fault, site, Demote(site.cluster, site.members)),
    held="the list says that the node has that role",
    healed="the list says that the node votes",
)

TRANSFER = _members(
    name="transfer",
    description="have the leader hand over to another node",
    targets={TargetSpec.FOLLOWERS.value: 2},
    make=lambda fault, site: PerNode(fault, site, Transfer(site.cluster, site.members)),
    held="the node leads",
    healed="some node leads",
)

FAULTS: Final = (REMOVE_MEMBER, REPLACE_MEMBER, DEMOTE, TRANSFER)
