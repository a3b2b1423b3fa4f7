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
import logging
from dataclasses import replace
from typing import Any

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster
from dissever.harness.missing import Missing
from dissever.harness.system import Primaries
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.down import Down, aim, known_primaries
from dissever.nemesis.nodes.processes import Answers
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.grudges import isolate
from dissever.nemesis.requests import read_request
from dissever.nemesis.targets import TargetSpec

__all__ = ["DeposedLeader"]

log = logging.getLogger(__name__)

NAME = "deposed-leader"


class DeposedLeader:
    """
    `start-`, `resume-` and `stop-deposed-leader`, in this order.

    When several nodes claim to lead, one of them is drawn. A stop without a resume wakes it first.
    """

    def __init__(
        self,
        cluster: Cluster,
        cuts: Cuts,
        down: Down,
        *,
        primaries: Primaries | None,
        answers: Answers | None,
        seed: int,
    ) -> None:
        """`seed`: of the run; for invocations that bring none of their own."""
        self._cluster = cluster
        self._cuts = cuts
        self._down = down
        self._primaries = primaries
        self._answers = answers
        self._seed = seed
        self._count = 0
        self._target: str | None = None

    def probe(self) -> Missing | None:
        """The others must be a majority, or nobody deposes it."""
        if len(self._cluster.nodes) < 3:
            return Missing("nobody can depose the leader", "run with at least 3 nodes")
        return self._down.probe()

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        One step of the script.

        Raises:
            ValueError: For another `f`, or when nobody was deposed.
        """
        match invocation.f:
            case "start-deposed-leader":
                return await self._start(invocation)
            case "resume-deposed-leader":
                return await self._resume(invocation)
            case "stop-deposed-leader":
                return await self._stop(invocation)
        raise ValueError(f"expected start-, resume- or stop-deposed-leader, got {invocation.f!r}")

    async def heal(self) -> None:
        """Wake it, then take the cut out: the other order could wait for a node that sleeps."""
        try:
            await self._down.bring_back(NAME, self._cluster.resume)
        finally:
            await self._cuts.clear(NAME)

    async def _start(self, invocation: Invocation) -> Completion:
        self._count += 1
        stream = f"{self._seed}/{NAME}/{self._count}"
        request = read_request(invocation.value, spec=TargetSpec.LEADER, stream=stream)
        aimed = await aim(
            replace(request, count=1),
            fault=NAME,
            cluster=self._cluster,
            primaries=self._primaries,
            down=self._down,
        )
        if not aimed.targets:
            return processes.struck(invocation, request.spec, aimed.notes, ())
        (node,) = aimed.targets
        self._target = node
        await self._cuts.cut(NAME, isolate(self._cluster.nodes, [node]))
        # Looked at together, and only once it sleeps: awake, it would soon see that it is alone.
        paused, links = await asyncio.gather(
            processes.pause(self._cluster, node, self._answers), self._cuts.look(NAME)
        )
        log.info("%s: %s is cut off: %s, paused: %s", NAME, node, links.is_held, paused.is_so)
        evidence = {
            "held": links.is_held and paused.is_so,
            **links.as_json(),
            "nodes": processes.as_json([paused]),
        }
        return _told(invocation, {"spec": request.spec, **aimed.notes}, [node], evidence)

    async def _resume(self, invocation: Invocation) -> Completion:
        node = self._target
        if node is None:
            raise ValueError("nobody was deposed")
        # Not whether it answers: that would cost the very moment in which its reads are stale. It
        # stays in the ledger: a node that nobody hears is as good as down.
        running = await processes.resume(self._cluster, node, None)
        leading = await known_primaries(self._primaries)
        links = await self._cuts.look(NAME)
        log.info("%s: %s runs: %s, now %s lead", NAME, node, running.is_so, leading)
        evidence = {
            "held": links.is_held and running.is_so,
            "leaders": [leader for leader in leading if leader != node],
            "claims_to_lead": node in leading,
            **links.as_json(),
            "nodes": processes.as_json([running]),
        }
        return _told(invocation, {}, [node], evidence)

    async def _stop(self, invocation: Invocation) -> Completion:
        nodes = self._down.of(NAME)
        awake = [await processes.resume(self._cluster, node, None) for node in nodes]
        links = await self._cuts.remove(NAME)
        for node in nodes:
            self._down.give_back(node)
        self._target = None
        is_healed = links.is_healed and all(each.is_so for each in awake)
        log.info("%s: healed %s: %s", NAME, nodes, is_healed)
        evidence = {"healed": is_healed, **links.as_json(), "nodes": processes.as_json(awake)}
        return _told(invocation, {}, list(nodes), evidence)


def _told(
    invocation: Invocation, said: dict[str, Any], targets: list[str], evidence: dict[str, Any]
) -> Completion:
    is_so = evidence.get("held", evidence.get("healed"))
    error = None if is_so else f"{invocation.f} did not take hold"
    return invocation.info(error, {**said, "targets": targets, "evidence": evidence})
