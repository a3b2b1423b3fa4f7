"""
Lose, delay, duplicate, damage, reorder or hold up packets between nodes: a nemesis for each kind.

Evidence. The kernels list a rule on every link, and count the packets that passed it. A burst over
each link shows the effect: not before the fault, in force it does, and not afterwards. A link that
a partition cuts at that moment carries no burst; its rule still counts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import Cluster
from dissever.harness.missing import Missing
from dissever.harness.system import Primaries
from dissever.nemesis.links import LinkSpec, Way, choose_links
from dissever.nemesis.nodes.down import known_primaries
from dissever.nemesis.packets.bursts import Burst, Bursts
from dissever.nemesis.packets.kinds import PACKET_KINDS, Means
from dissever.nemesis.packets.measures import acts, facts, size
from dissever.nemesis.packets.rules import Packets
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.grudges import Link, cut_links, merge
from dissever.nemesis.requests import read_request

__all__ = ["PacketFault"]

log = logging.getLogger(__name__)

LOOKS: Final = 5
"""Chance, or a busy host, may show the wrong thing; so many looks before that counts."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What was asked for. Entered before the kernels are asked."""

    targets: tuple[str, ...]
    links: tuple[Link, ...]
    told: Mapping[str, Any]


class PacketFault:
    """`start-<name>` strikes links, `stop-<name>` heals them. A second start replaces the first."""

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        packets: Packets,
        bursts: Bursts,
        cuts: Cuts,
        *,
        primaries: Primaries | None,
        seed: int,
    ) -> None:
        """`name`: one of `PACKET_KINDS`. `seed`: for invocations that bring none of their own."""
        self._name = name
        self._kind = PACKET_KINDS[name]
        self._cluster = cluster
        self._packets = packets
        self._bursts = bursts
        self._cuts = cuts
        self._primaries = primaries
        self._seed = seed
        self._count = 0
        self._now: InForce | None = None

    def probe(self) -> Missing | None:
        """A link needs two ends."""
        if len(self._cluster.nodes) < 2:
            return Missing("there is no link between nodes", "run with at least 2 nodes")
        return None

    async def prepare(self) -> bool:
        """Have helpers beside the nodes by which links are measured."""
        await self._bursts.lay()
        return False

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Strike or heal.

        Raises:
            ValueError: For another `f`, a spec or a setting that there is not.
            OSError: When a kernel refuses.
        """
        if invocation.f == f"start-{self._name}":
            return await self._start(invocation)
        if invocation.f == f"stop-{self._name}":
            return await self._stop(invocation)
        raise ValueError(f"expected start-{self._name} or stop-{self._name}, got {invocation.f!r}")

    async def heal(self) -> None:
        """Take this fault's rules off every host, and look at nothing."""
        if self._now is not None:
            await self._packets.remove(self._kind.means, self._now.links)
            self._now = None
        await self._packets.give_back(self._name)

    async def _start(self, invocation: Invocation) -> Completion:
        self._count += 1
        stream = f"{self._seed}/{self._name}/{self._count}"
        settings = ("way", *self._kind.settings)
        request = read_request(invocation.value, spec=LinkSpec.ONE, stream=stream, extra=settings)
        told = self._kind.filled(request.told)
        words = self._kind.words(told)
        way = Way(request.told.get("way", Way.BOTH))
        asks = request.spec == LinkSpec.LEADER
        leading = await known_primaries(self._primaries) if asks else ()
        choice = choose_links(request, self._cluster.nodes, way=way, leading=leading)
        await self._bursts.lay()
        await self.heal()
        await self._packets.take(self._name)
        before = await self._look(choice.links, told, is_so=False)
        self._now = InForce(choice.targets, choice.links, told)
        percent = told.get("percent", 0.0)
        await self._packets.put(self._kind.means, words, percent, choice.links)
        during = await self._look(choice.links, told, is_so=True)
        counted = await self._packets.counters(self._kind.means, choice.links)
        wrong = self._wrong(before, told, is_so=False) + self._wrong(during, told, is_so=True)
        is_held = (
            bool(choice.links)
            and counted["rules"] == len(choice.links)
            and _is_counted(self._kind.means, counted)
            and not wrong
        )
        log.info("%s: %s %s, held: %s", self._name, choice.targets, told, is_held)
        evidence = {
            "held": is_held,
            "links": len(choice.links),
            "counted": dict(counted),
            "before": self._facts(before),
            "during": self._facts(during),
        }
        value = {
            "spec": request.spec,
            "targets": list(choice.targets),
            "way": way.value,
            **told,
            **choice.notes,
            "evidence": evidence,
        }
        return invocation.info(None if is_held else f"{self._name} did not take hold", value)

    async def _stop(self, invocation: Invocation) -> Completion:
        now = self._now
        if now is None:
            return invocation.info(None, {"targets": [], "evidence": {"healed": True}})
        means = self._kind.means
        counted = await self._packets.counters(means, now.links)
        await self._packets.remove(means, now.links)
        left = (await self._packets.counters(means, now.links))["rules"]
        after = await self._look(now.links, now.told, is_so=False)
        self._now = None
        await self._packets.give_back(self._name)
        is_healed = not left and not self._wrong(after, now.told, is_so=False)
        log.info("%s: healed %s: %s", self._name, now.targets, is_healed)
        evidence = {
            "healed": is_healed,
            "rules": left,
            "counted": dict(counted),
            "after": self._facts(after),
        }
        value = {"targets": list(now.targets), "evidence": evidence}
        return invocation.info(None if is_healed else f"{self._name} did not heal", value)

    async def _look(
        self, links: Sequence[Link], told: Mapping[str, Any], *, is_so: bool
    ) -> dict[Link, Burst]:
        """
        What bursts show of the links that nobody cuts, again over those that show the wrong thing.

        The first goes over all of them, so that what a cut hides is counted.
        """
        seen: dict[Link, Burst] = {}
        suspects = list(links)
        for _ in range(LOOKS):
            cut = self._cut()
            seen.update(await self._bursts.send(suspects, size(self._name, told)))
            cut |= self._cut()  # By then, too.
            seen = {link: burst for link, burst in seen.items() if link not in cut}
            suspects = [link for link in self._wrong(seen, told, is_so=is_so) if link in suspects]
            if not suspects:
                break
        return seen

    def _wrong(
        self, seen: Mapping[Link, Burst], told: Mapping[str, Any], *, is_so: bool
    ) -> list[Link]:
        return [link for link in seen if acts(self._name, told, seen[link]) != is_so]

    def _facts(self, seen: Mapping[Link, Burst]) -> dict[str, Any]:
        return {f"{a}->{b}": facts(self._name, seen[a, b]) for a, b in sorted(seen)}

    def _cut(self) -> frozenset[Link]:
        return cut_links(merge(self._cuts.in_force.values()))


def _is_counted(means: Means, counted: Mapping[str, int]) -> bool:
    """Whether packets went by the rules, and those that lose some lost some."""
    if means is Means.NFT:
        return counted["lost"] > 0
    return counted["packets"] > 0 and (means is not Means.TBF or counted["overlimits"] > 0)
