"""
Cut the network between nodes.

Chance is settled by the seed in the invocation; only `leader` depends on the run. It cuts off every
node that claims to lead, each alone, but never more than a minority: those that are not chosen stay
with the others.

Source: Jepsen, `nemesis.clj`, `partitioner`; the measured evidence is ours.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster, Grudge
from dissever.harness.missing import Missing
from dissever.harness.system import Primaries
from dissever.nemesis.nodes.down import known_primaries
from dissever.nemesis.partitions import grudges
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.grudges import PartitionSpec
from dissever.nemesis.requests import Request, read_request
from dissever.nemesis.targets import TargetSpec, choose, minority_size

__all__ = ["Partition"]

log = logging.getLogger(__name__)

NAME = "partition"


class Partition:
    """`start-partition` cuts, `stop-partition` heals. A second start replaces the first cut."""

    def __init__(
        self, cluster: Cluster, cuts: Cuts, *, primaries: Primaries | None, seed: int
    ) -> None:
        """`seed`: of the run; for invocations that bring none of their own."""
        self._cluster = cluster
        self._cuts = cuts
        self._primaries = primaries
        self._seed = seed
        self._count = 0

    def probe(self) -> Missing | None:
        """A link needs two ends."""
        if len(self._cluster.nodes) < 2:
            return Missing("there is no link between nodes", "run with at least 2 nodes")
        return None

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Cut or heal.

        Raises:
            ValueError: For another `f`, a spec that there is not, or too few nodes for it.
        """
        match invocation.f:
            case "start-partition":
                return await self._start(invocation)
            case "stop-partition":
                return await self._stop(invocation)
        raise ValueError(f"expected start-partition or stop-partition, got {invocation.f!r}")

    async def heal(self) -> None:
        """Take this fault's cuts out."""
        await self._cuts.clear(NAME)

    async def _start(self, invocation: Invocation) -> Completion:
        self._count += 1
        stream = f"{self._seed}/{NAME}/{self._count}"
        request = read_request(invocation.value, spec=PartitionSpec.ONE, stream=stream)
        grudge, notes = await self._draw(request)
        targets = grudges.most_cut(self._cluster.nodes, grudge)
        seen = await self._cuts.add(NAME, grudge)
        log.info("%s: %s cuts off %s, held: %s", NAME, request.spec, targets, seen.is_held)
        value = {
            "spec": request.spec,
            "targets": list(targets),
            "grudge": {node: sorted(grudge[node]) for node in sorted(grudge)},
            **notes,
            "evidence": {"held": seen.is_held, **seen.as_json()},
        }
        return invocation.info(None if seen.is_held else "the cut did not hold", value)

    async def _stop(self, invocation: Invocation) -> Completion:
        grudge = self._cuts.in_force.get(NAME, {})
        targets = grudges.most_cut(self._cluster.nodes, grudge)
        seen = await self._cuts.remove(NAME)
        log.info("%s: healed %s: %s", NAME, targets, seen.is_healed)
        evidence = {"healed": seen.is_healed, **seen.as_json()}
        value = {"targets": list(targets), "evidence": evidence}
        return invocation.info(None if seen.is_healed else "the cut did not heal", value)

    async def _draw(self, request: Request) -> tuple[Grudge, dict[str, Any]]:
        nodes = self._cluster.nodes
        if request.grudge is not None:
            return request.grudge, {}
        if request.targets is not None:
            choice = choose(request.targets, nodes, primaries=(), excluded=(), rng=request.rng)
            return grudges.isolate(nodes, choice.targets), {}
        spec = PartitionSpec(request.spec)
        if spec is not PartitionSpec.LEADER:
            return _grudge(spec, nodes, request), {}
        leading = await known_primaries(self._primaries)
        most = max(1, minority_size(len(nodes)))
        choice = choose(
            TargetSpec.LEADER, nodes, primaries=leading, excluded=(), rng=request.rng, limit=most
        )
        notes = {"fallback": choice.fallback} if choice.fallback else {}
        return grudges.isolate(nodes, choice.targets), notes


def _grudge(spec: PartitionSpec, nodes: Sequence[str], request: Request) -> Grudge:
    rng = request.rng
    match spec:
        case PartitionSpec.HALVES:
            return grudges.halves(nodes, rng)
        case PartitionSpec.MAJORITY:
            return grudges.majority(nodes, rng)
        case PartitionSpec.MAJORITIES_RING:
            return grudges.majorities_ring(nodes, rng)
        case PartitionSpec.BRIDGE:
            return grudges.bridge(nodes, rng)
        case PartitionSpec.ONE_WAY:
            count = rng.randint(1, max(1, minority_size(len(nodes))))
            targets = rng.sample(list(nodes), count)
            return grudges.one_way(nodes, targets, is_deaf=rng.random() < 0.5)
        case _:
            return grudges.one(nodes, rng)
