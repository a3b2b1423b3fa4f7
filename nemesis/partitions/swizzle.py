"""
Cut random nodes off one after the other, and heal them one after the other in another order.

Every state in between is a partition of its own, and some last long enough for an election.

Source: FoundationDB's swizzle-clogging, as its documentation describes it.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster
from dissever.harness.missing import Missing
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.grudges import isolate
from dissever.nemesis.requests import Request, read_request
from dissever.nemesis.targets import TargetSpec, target_count

__all__ = ["Swizzle"]

NAME = "swizzle"
GAPS_S = (0.05, 0.6)
"""Between one node and the next, least and most."""


class Swizzle:
    """`start-swizzle` cuts nodes off by turns, `stop-swizzle` heals them by turns."""

    def __init__(self, cluster: Cluster, cuts: Cuts, *, seed: int) -> None:
        """`seed`: of the run; for invocations that bring none of their own."""
        self._cluster = cluster
        self._cuts = cuts
        self._seed = seed
        self._count = 0
        self._rng = Random(f"{seed}/{NAME}")
        self._nodes: list[str] = []

    def probe(self) -> Missing | None:
        """A link needs two ends."""
        if len(self._cluster.nodes) < 2:
            return Missing("there is no link between nodes", "run with at least 2 nodes")
        return None

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Cut or heal, one node at a time.

        Raises:
            ValueError: For another `f`, or a spec that there is not.
        """
        match invocation.f:
            case "start-swizzle":
                return await self._start(invocation)
            case "stop-swizzle":
                return await self._stop(invocation)
        raise ValueError(f"expected start-swizzle or stop-swizzle, got {invocation.f!r}")

    async def heal(self) -> None:
        """Take every cut of this fault out."""
        for node in self._cluster.nodes:
            await self._cuts.clear(_name(node))
        self._nodes = []

    async def _start(self, invocation: Invocation) -> Completion:
        self._count += 1
        stream = f"{self._seed}/{NAME}/{self._count}"
        request = read_request(invocation.value, spec=TargetSpec.MINORITY, stream=stream)
        self._rng = request.rng
        held = True
        steps: list[dict[str, Any]] = []
        for node in _drawn(request, self._cluster.nodes):
            await self._pause(bool(steps))
            self._nodes.append(node)
            seen = await self._cuts.add(_name(node), isolate(self._cluster.nodes, [node]))
            held = held and seen.is_held
            steps.append({"node": node, "held": seen.is_held, **seen.as_json()})
        value = {
            "spec": request.spec,
            "targets": [step["node"] for step in steps],
            "evidence": {"held": held if steps else None, "steps": steps},
        }
        return invocation.info(None if held else "a cut did not hold", value)

    async def _stop(self, invocation: Invocation) -> Completion:
        order = self._rng.sample(self._nodes, len(self._nodes))
        healed = True
        steps: list[dict[str, Any]] = []
        for node in order:
            await self._pause(bool(steps))
            seen = await self._cuts.remove(_name(node))
            self._nodes.remove(node)
            healed = healed and seen.is_healed
            steps.append({"node": node, "healed": seen.is_healed, **seen.as_json()})
        value = {"targets": order, "evidence": {"healed": healed, "steps": steps}}
        return invocation.info(None if healed else "a cut did not heal", value)

    async def _pause(self, is_due: bool) -> None:
        if is_due:
            await asyncio.sleep(self._rng.uniform(*GAPS_S))


def _drawn(request: Request, nodes: tuple[str, ...]) -> list[str]:
    """The nodes to cut off, in a random order."""
    if request.targets is not None:
        return request.rng.sample(request.targets, len(request.targets))
    size = target_count(TargetSpec(request.spec), len(nodes))
    return request.rng.sample(list(nodes), size)


def _name(node: str) -> str:
    return f"{NAME} {node}"
