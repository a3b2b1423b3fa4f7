"""
Cut the network between nodes.

Chance is settled by the seed in the invocation; only `leader` depends on the run. It cuts off every
node that claims to lead, each alone, but never more than a minority: those that are not chosen stay
with the others.

Source: Jepsen, `nemesis.clj`, `partitioner`; the measured evidence is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from dissever.harness.cluster import Grudge, Links
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.parameters import GRUDGE, Parameter, Request
from dissever.nemesis.partitions import grudges
from dissever.nemesis.partitions.grudges import PartitionSpec
from dissever.nemesis.targets import TargetSpec, choose, minority_size

__all__ = ["FAULTS"]


class Partition:
    """Implements `Injector`. A second injection replaces the first cut."""

    def __init__(self, fault: Fault, site: Environment) -> None:
        self._name = fault.name
        self._nodes = site.cluster.nodes
        self._cuts = site.cuts
        self._aiming = site.aiming

    async def inject(self, request: Request) -> FaultEvidence:
        grudge, notes, facts = await self._draw(request)
        targets = grudges.most_cut(self._nodes, grudge)
        seen = await self._cuts.add(self._name, grudge)
        shown: dict[str, Any] = {GRUDGE: {node: sorted(grudge[node]) for node in sorted(grudge)}}
        evidence = seen.as_evidence(targets, notes={**shown, **notes})
        return replace(evidence, facts={**evidence.facts, **facts})

    async def look_again(self) -> FaultEvidence | None:
        return await self._cuts.look_again(self._name)

    async def heal(self) -> FaultEvidence:
        targets = grudges.most_cut(self._nodes, self._cuts.in_force.get(self._name, {}))
        return (await self._cuts.remove(self._name)).as_evidence(targets, is_healing=True)

    async def release(self) -> None:
        await self._cuts.clear(self._name)

    async def _draw(self, request: Request) -> tuple[Grudge, Mapping[str, Any], Mapping[str, Any]]:
        """The cuts, what the history says of them, and the evidence of who led."""
        nodes, rng = self._nodes, request.rng
        if GRUDGE in request.settings:
            named: Mapping[str, Sequence[str]] = request.settings[GRUDGE]
            return {node: frozenset(dropped) for node, dropped in named.items()}, {}, {}
        if request.targets is not None:
            choice = choose(request.targets, nodes, primaries=(), excluded=(), rng=rng)
        elif (spec := PartitionSpec(request.spec)) is PartitionSpec.LEADER:
            leading, most = await self._aiming.elected(), max(1, minority_size(len(nodes)))
            choice = choose(
                TargetSpec.LEADER, nodes, primaries=leading, excluded=(), rng=rng, limit=most
            )
        else:
            return _DRAWN[spec](nodes, rng), {}, {}
        cut = grudges.isolate(nodes, choice.targets)
        return cut, choice.notes, self._aiming.facts(choice)


def _one_way(nodes: Sequence[str], rng: Random) -> Grudge:
    count = rng.randint(1, max(1, minority_size(len(nodes))))
    targets = rng.sample(list(nodes), count)
    return grudges.one_way(nodes, targets, is_deaf=rng.random() < 0.5)


_DRAWN: Mapping[PartitionSpec, Callable[[Sequence[str], Random], Grudge]] = {
    PartitionSpec.ONE: grudges.one,
    PartitionSpec.HALVES: grudges.halves,
    PartitionSpec.MAJORITY: grudges.majority,
    PartitionSpec.MAJORITIES_RING: grudges.majorities_ring,
    PartitionSpec.BRIDGE: grudges.bridge,
    PartitionSpec.ONE_WAY: _one_way,
}


def _is_grudge(value: Any) -> bool:
    """One that cuts nothing is none."""
    return (
        isinstance(value, Mapping)
        and all(
            isinstance(dropped, list | tuple | frozenset)
            and all(isinstance(node, str) for node in dropped)
            for dropped in value.values()
        )
        and any(value.values())
    )


PARTITION = Fault(
    name="partition",
    description="cut the network between nodes",
    targets={spec.value: 2 for spec in PartitionSpec}
    | {
        PartitionSpec.MAJORITY.value: 3,
        PartitionSpec.MAJORITIES_RING.value: 3,
        PartitionSpec.BRIDGE.value: 3,
    },
    parameters=(
        Parameter(
            GRUDGE,
            "the very cuts: node -> the nodes that it does not hear",
            "as a mapping from nodes to lists of nodes, one of them not empty",
            _is_grudge,
        ),
    ),
    heals=Heals.LINKS,
    needs=(Links,),
    make=Partition,
    held="no datagram passes a cut link, every other link passes one, the rule of each cut counts",
    healed="every link carries datagrams",
)

FAULTS: Final = (PARTITION,)
