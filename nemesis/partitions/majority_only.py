"""
Heal a majority only: whatever else heals, the other nodes stay cut off from it.

Users do not ask for this fault. It is the first half of the end of a run: a system that needs more
than a majority to go on is not available, and a run that heals everything at once never shows it.

Source: TigerBeetle's simulator, which heals a core and requires progress of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from dissever.harness.cluster import Links
from dissever.harness.vocabulary import MAJORITY_ONLY
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.parameters import Parameter, Request
from dissever.nemesis.partitions.grudges import complete
from dissever.nemesis.targets import minority_size

__all__ = ["MAJORITY_ONLY", "MAJORITY_ONLY_FAULT", "core"]


def core(nodes: Sequence[str], voters: Sequence[str], seed: int) -> tuple[str, ...]:
    """
    The nodes that heal first: all but a minority of the voters, which is drawn from the seed.

    Nobody, where there is no minority.
    """
    size = minority_size(len(voters))
    rest = Random(f"{seed}/{MAJORITY_ONLY}").sample(list(voters), size)
    return tuple(node for node in nodes if node not in rest) if size else ()


class MajorityOnly:
    """Implements `Injector`: cuts the other nodes off from those that the request names."""

    def __init__(self, fault: Fault, site: Environment) -> None:
        self._nodes = site.cluster.nodes
        self._cuts = site.cuts
        self._rest: tuple[str, ...] = ()

    async def inject(self, request: Request) -> FaultEvidence:
        inside = tuple(request.settings["nodes"])
        self._rest = rest = tuple(node for node in self._nodes if node not in inside)
        seen = await self._cuts.add(MAJORITY_ONLY, complete([inside, rest]))
        return seen.as_evidence(rest)

    async def look_again(self) -> FaultEvidence | None:
        """Whether nodes sent anything into this cut does not matter: it tests the others."""
        seen = await self._cuts.look_again(MAJORITY_ONLY)
        return seen and replace(seen, facts={**seen.facts, "idle": False})

    async def heal(self) -> FaultEvidence:
        rest, self._rest = self._rest, ()
        return (await self._cuts.remove(MAJORITY_ONLY, is_last=True)).as_evidence(
            rest, is_healing=True
        )

    async def release(self) -> None:
        await self._cuts.clear(MAJORITY_ONLY)


def _are_nodes(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(node, str) for node in value)


MAJORITY_ONLY_FAULT = Fault(
    name=MAJORITY_ONLY,
    description="heal a majority only",
    targets={},
    default_target="rest",
    parameters=(Parameter("nodes", "those that heal", "as a list of nodes", _are_nodes),),
    heals=Heals.LINKS,
    needs=(Links,),
    make=MajorityOnly,
    held="no datagram passes between the majority and the rest",
    healed="every link carries datagrams",
)
"""It is in no registry: every run that has faults has it as well."""
