"""
Cut random nodes off one after the other, and heal them one after the other in another order.

Every state in between is a partition of its own, and some last long enough for an election.

Source: FoundationDB's swizzle-clogging, as its documentation describes it.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Final

from dissever.harness.cluster import Links
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.parameters import Request
from dissever.nemesis.partitions.grudges import isolate
from dissever.nemesis.targets import TargetSpec, target_count

__all__ = ["FAULTS"]

GAPS_S = (0.05, 0.6)
"""Between one node and the next, least and most."""


class Swizzle:
    """Implements `Injector`: cuts nodes off by turns, and heals them by turns."""

    def __init__(self, fault: Fault, site: Environment) -> None:
        self._name = fault.name
        self._every = site.cluster.nodes
        self._cuts = site.cuts
        self._rng = Random(f"{site.seed}/{fault.name}")
        self._nodes: list[str] = []

    async def inject(self, request: Request) -> FaultEvidence:
        self._rng = request.rng
        steps: list[dict[str, Any]] = []
        for node in _drawn(request, self._every):
            await self._pause(bool(steps))
            self._nodes.append(node)
            seen = await self._cuts.add(self._cut(node), isolate(self._every, [node]))
            steps.append({"node": node, "held": seen.is_held, **seen.as_json()})
        is_held = all(step["held"] for step in steps) if steps else None
        return _seen(steps, is_held, "a cut did not hold")

    async def look_again(self) -> FaultEvidence | None:
        return await self._cuts.look_again(*map(self._cut, self._nodes))

    async def heal(self) -> FaultEvidence:
        steps: list[dict[str, Any]] = []
        for node in self._rng.sample(self._nodes, len(self._nodes)):
            await self._pause(bool(steps))
            seen = await self._cuts.remove(self._cut(node))
            self._nodes.remove(node)
            steps.append({"node": node, "healed": seen.is_healed, **seen.as_json()})
        return _seen(steps, all(step["healed"] for step in steps), "a cut did not heal")

    async def release(self) -> None:
        for node in self._every:
            await self._cuts.clear(self._cut(node))
        self._nodes = []

    async def _pause(self, is_due: bool) -> None:
        if is_due:
            await asyncio.sleep(self._rng.uniform(*GAPS_S))

    def _cut(self, node: str) -> str:
        return f"{self._name} {node}"


def _seen(steps: list[dict[str, Any]], is_so: bool | None, error: str) -> FaultEvidence:
    targets = tuple(step["node"] for step in steps)
    return FaultEvidence(targets, is_so, {"steps": steps}, error=error)


def _drawn(request: Request, nodes: tuple[str, ...]) -> list[str]:
    """The nodes to cut off, in a random order."""
    if request.targets is not None:
        return request.rng.sample(request.targets, len(request.targets))
    size = target_count(TargetSpec(request.spec), len(nodes))
    return request.rng.sample(list(nodes), size)


SWIZZLE = Fault(
    name="swizzle",
    description="cut nodes off one by one, heal them in another order",
    targets={"minority": 3, "majority": 3, "all": 2},
    default_target="minority",
    heals=Heals.LINKS,
    needs=(Links,),
    make=Swizzle,
    held="that of `partition`, for each node",
    healed="every link carries datagrams, after each node",
)

FAULTS: Final = (SWIZZLE,)
