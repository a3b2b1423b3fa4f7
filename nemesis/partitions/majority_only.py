"""
Heal a majority only: whatever else heals, the other nodes stay cut off from it.

It is no fault that users ask for, but the first half of the end of a run: a system that needs more
than a majority to go on is not available, and a run that heals everything at once never shows it.

Source: TigerBeetle's simulator, which heals a core and requires progress of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster
from dissever.harness.missing import Missing
from dissever.harness.recovery_names import MAJORITY_ONLY
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.grudges import complete
from dissever.nemesis.targets import minority_size

__all__ = ["MAJORITY_ONLY", "MajorityOnly", "core"]


def core(nodes: Sequence[str], voters: Sequence[str], seed: int) -> tuple[str, ...]:
    """
    The nodes that heal first: all but a minority of the voters, which is drawn from the seed.

    Nobody, where there is no minority.
    """
    size = minority_size(len(voters))
    rest = Random(f"{seed}/{MAJORITY_ONLY}").sample(list(voters), size)
    return tuple(node for node in nodes if node not in rest) if size else ()


class MajorityOnly:
    """`start-majority-only` cuts the others off from the nodes of its value; `stop-` heals that."""

    def __init__(self, cluster: Cluster, cuts: Cuts) -> None:
        self._cluster = cluster
        self._cuts = cuts

    def probe(self) -> Missing | None:
        return None

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Cut the rest off, or heal.

        Raises:
            ValueError: For another `f`.
        """
        match invocation.f:
            case "start-majority-only":
                inside = tuple(invocation.value["nodes"])
                rest = [node for node in self._cluster.nodes if node not in inside]
                seen = await self._cuts.add(MAJORITY_ONLY, complete([inside, rest]))
                evidence = {"held": seen.is_held, **seen.as_json()}
                value = {"spec": "rest", "targets": rest, "evidence": evidence}
                return invocation.info(None if seen.is_held else "the cut did not hold", value)
            case "stop-majority-only":
                seen = await self._cuts.remove(MAJORITY_ONLY)
                evidence = {"healed": seen.is_healed, **seen.as_json()}
                error = None if seen.is_healed else "the cut did not heal"
                return invocation.info(error, {"evidence": evidence})
        raise ValueError(f"expected start-majority-only or stop-majority-only, got {invocation.f}")

    async def heal(self) -> None:
        """Take the cut out."""
        await self._cuts.clear(MAJORITY_ONLY)
