"""
Lose, delay, duplicate, damage, reorder or hold up packets between nodes: a nemesis for each kind.

Evidence. The kernels list a rule on every link, and count the packets that passed it. A burst over
each link shows the effect: not before the fault, in force it does, and not afterwards. A link that
a partition cuts at that moment carries no burst; its rule still counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dissever.nemesis.environment import Site
from dissever.nemesis.fault import Fault, FaultEvidence
from dissever.nemesis.packets.bursts import Burst, Bursts
from dissever.nemesis.packets.means import Means
from dissever.nemesis.packets.measures import Measure
from dissever.nemesis.packets.rules import Packets
from dissever.nemesis.parameters import Settings
from dissever.nemesis.partitions.cuts import Cuts
from dissever.nemesis.partitions.grudges import Link, cut_links, merge
from dissever.nemesis.requests import Request

__all__ = ["PacketFault", "Words"]

Words: TypeAlias = Callable[[Settings], Sequence[str]]
"""Settings -> the arguments of the queueing discipline for tc, if any; may raise ValueError."""

LOOKS: Final = 5
"""How often to look before a wrong thing counts, which chance or a busy host may show."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What was asked for. Entered before the kernels are asked."""

    targets: tuple[str, ...]
    links: tuple[Link, ...]
    settings: Settings


class PacketFault:
    """Implements `Injector` for one fault of packets. A second injection replaces the first."""

    def __init__(
        self, fault: Fault, site: Site, *, means: Means, words: Words, measure: Measure
    ) -> None:
        self._name = fault.name
        self._means = means
        self._words = words
        self._measure = measure
        self._aiming = site.aiming
        self._packets: Packets = site.packets
        self._bursts: Bursts = site.bursts
        self._cuts: Cuts = site.cuts
        self._now: InForce | None = None

    async def prepare(self) -> bool:
        """Have the helpers on the hosts that measure links."""
        await self._bursts.lay()
        return False

    async def inject(self, request: Request) -> FaultEvidence:
        settings, means = request.settings, self._means
        choice = await self._aiming.links(request)
        await self._bursts.lay()
        await self.release()
        await self._packets.take(self._name)
        before = await self._look(choice.links, settings, is_so=False)
        self._now = InForce(choice.targets, choice.links, settings)
        percent = settings.get("percent", 0.0)
        await self._packets.put(means, self._words(settings), percent, choice.links)
        during = await self._look(choice.links, settings, is_so=True)
        counted = await self._packets.counters(means, choice.links)
        wrong = self._wrong(before, settings, is_so=False) + self._wrong(
            during, settings, is_so=True
        )
        is_held = (
            bool(choice.links)
            and counted["rules"] == len(choice.links)
            and _is_counted(means, counted)
            and not wrong
        )
        evidence = {
            "links": len(choice.links),
            "counted": dict(counted),
            "before": self._facts(before),
            "during": self._facts(during),
        }
        return FaultEvidence(choice.targets, is_held, evidence, choice.notes)

    async def heal(self) -> FaultEvidence:
        now = self._now
        if now is None:
            return FaultEvidence((), True, {})
        counted = await self._packets.counters(self._means, now.links)
        await self._packets.remove(self._means, now.links)
        left = (await self._packets.counters(self._means, now.links))["rules"]
        after = await self._look(now.links, now.settings, is_so=False)
        self._now = None
        await self._packets.give_back(self._name)
        evidence = {"rules": left, "counted": dict(counted), "after": self._facts(after)}
        is_healed = not left and not self._wrong(after, now.settings, is_so=False)
        return FaultEvidence(now.targets, is_healed, evidence)

    async def release(self) -> None:
        """Take this fault's rules off every host."""
        if self._now is not None:
            await self._packets.remove(self._means, self._now.links)
            self._now = None
        await self._packets.give_back(self._name)

    async def _look(
        self, links: Sequence[Link], settings: Settings, *, is_so: bool
    ) -> dict[Link, Burst]:
        """
        What bursts show of the links that nobody cuts, again over those that show the wrong thing.

        The first goes over all of them, so that what a cut hides is counted.
        """
        seen: dict[Link, Burst] = {}
        suspects = list(links)
        for _ in range(LOOKS):
            cut = self._cut()
            seen.update(await self._bursts.send(suspects, self._measure.size(settings)))
            cut |= self._cut()  # By then, too.
            seen = {link: burst for link, burst in seen.items() if link not in cut}
            suspects = [
                link for link in self._wrong(seen, settings, is_so=is_so) if link in suspects
            ]
            if not suspects:
                break
        return seen

    def _wrong(self, seen: Mapping[Link, Burst], settings: Settings, *, is_so: bool) -> list[Link]:
        return [link for link in seen if self._measure.acts(settings, seen[link]) != is_so]

    def _facts(self, seen: Mapping[Link, Burst]) -> dict[str, Any]:
        return {f"{a}->{b}": self._measure.facts(seen[a, b]) for a, b in sorted(seen)}

    def _cut(self) -> frozenset[Link]:
        return cut_links(merge(self._cuts.in_force.values()))


def _is_counted(means: Means, counted: Mapping[str, int]) -> bool:
    """Whether packets went by the rules, and those that lose some lost some."""
    if means is Means.NFT:
        return counted["lost"] > 0
    return counted["packets"] > 0 and (means is not Means.TBF or counted["overlimits"] > 0)
