"""
A script for stale reads: cut the leader off and pause it, let the others elect and write, wake it.

A node that wakes while it is still cut off does not know that it was deposed, and may answer reads
from its own state until it has missed enough heartbeats. Clients reach it all the time. A pause or
a partition alone shows this by luck; in this order it is the rule.

Source: Ongaro and Ousterhout, the Raft paper (extended version), §8: what a leader must do before
it answers a read, and what a reader sees when it does not.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from dissever.harness.cluster import Links, NodeProcesses, NodeState
from dissever.harness.episodes import Action, Effect, Role
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.needs import Offer
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import evidence_of
from dissever.nemesis.parameters import Request
from dissever.nemesis.partitions.grudges import isolate
from dissever.nemesis.targets import TargetSpec

__all__ = ["FAULTS"]


class DeposedLeader:
    """
    Implements `Injector`, with a step in between: it goes on by waking the leader.

    When several nodes claim to lead, one of them is drawn. A healing without that step wakes it
    first.
    """

    def __init__(self, fault: Fault, site: Environment) -> None:
        self._name = fault.name
        self._cluster = site.cluster
        self._cuts = site.cuts
        self._down = site.down
        self._aiming = site.aiming
        self._answers = site.answers
        self._target: str | None = None
        self._is_awake = False

    async def inject(self, request: Request) -> FaultEvidence:
        aim = await self._aiming.nodes(replace(request, count=1), self._name, self._down)
        if not aim.targets:
            return evidence_of([], aim.notes)
        (node,) = aim.targets
        self._target, self._is_awake = node, False
        await self._cuts.cut(self._name, isolate(self._cluster.nodes, [node]))
        # Looked at together, and only once it sleeps: awake, it would soon see that it is alone.
        with self._aiming.changing(aim.targets):
            paused, links = await asyncio.gather(
                processes.pause(self._cluster, node, self._answers), self._cuts.look(self._name)
            )
        evidence = {**links.as_json(), "nodes": processes.as_json([paused]), **aim.facts}
        return FaultEvidence(aim.targets, links.is_held and paused.is_so, evidence, aim.notes)

    async def go_on(self) -> FaultEvidence:
        """Wake it, still cut off; there is nothing to do if the injection struck nobody."""
        node = self._target
        if node is None:
            return evidence_of([], {"skipped": "nobody was deposed"})
        # Not whether it answers: that would cost the very moment in which its reads are stale. It
        # stays in the ledger: a node that nobody hears is as good as down.
        running = await processes.resume(self._cluster, node, None)
        self._is_awake = True
        leading = await self._aiming.leading()
        links = await self._cuts.look(self._name)
        evidence = {
            "leaders": [leader for leader in leading if leader != node],
            "claims_to_lead": node in leading,
            **links.as_json(),
            "nodes": processes.as_json([running]),
        }
        return FaultEvidence((node,), links.is_held and running.is_so, evidence)

    async def look_again(self) -> FaultEvidence | None:
        """The cut lasts until it heals; that the leader sleeps, only until it is woken."""
        seen = await self._cuts.look_again(self._name)
        if seen is None or self._target is None or self._is_awake:
            return seen
        asleep = await processes.still(self._cluster, self._target, NodeState.PAUSED)
        error = seen.error or ("" if asleep.is_so else f"{self._target} was awake")
        facts = {**seen.facts, "nodes": processes.as_json([asleep])}
        return replace(seen, is_so=seen.is_so and asleep.is_so, facts=facts, error=error)

    async def heal(self) -> FaultEvidence:
        nodes = self._down.of(self._name)
        awake = [await processes.resume(self._cluster, node, None) for node in nodes]
        links = await self._cuts.remove(self._name)
        for node in nodes:
            self._down.give_back(node)
        self._target = None
        is_healed = links.is_healed and all(each.is_so for each in awake)
        return FaultEvidence(
            nodes, is_healed, {**links.as_json(), "nodes": processes.as_json(awake)}
        )

    async def release(self) -> None:
        """Wake it, then take the cut out: the other order could wait for a node that sleeps."""
        try:
            await self._down.bring_back(self._name, self._cluster.resume)
        finally:
            await self._cuts.clear(self._name)


DEPOSED_LEADER = Fault(
    name="deposed-leader",
    description="cut the leader off and pause it, and wake it once others lead",
    actions={
        "start-deposed-leader": Action(Role.INJECT, Effect.PAUSED),
        "resume-deposed-leader": Action(Role.CONTINUE, Effect.RESUMED),
        "stop-deposed-leader": Action(Role.HEAL),
    },
    targets={TargetSpec.LEADER.value: 3},
    default_target=TargetSpec.LEADER.value,
    takes_down=True,
    heals=Heals.RESUME,
    needs=(NodeProcesses, Links, Offer.LEADERS),
    make=DeposedLeader,
    held="those of `partition` and `pause`",
    healed="those of `partition` and `pause`, but not that it answers",
)

FAULTS: Final = (DEPOSED_LEADER,)
