"""
All cuts of a cluster: several faults cut at the same time, each knows only its own grudge.

`Cluster.drop` replaces every cut, so one object has to hold the union; who heals takes out its own
part. Each change is measured from outside: datagrams must not arrive where a link is cut, must
arrive where it is not, and every rule must have counted what it dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from dissever.harness.cluster import Grudge
from dissever.harness.values import listed
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.partitions.grudges import Link, arrow, cut_links, merge

__all__ = ["Cuts", "LinkEvidence"]

log = logging.getLogger(__name__)

REACH_TIMEOUT_S = 0.3
CUT_LOOKS = 3
"""How often to look at links that are not as they should be: a busy host may lose a datagram."""

HEAL_LOOKS = 10


@dataclass(frozen=True, slots=True)
class LinkEvidence:
    """
    What was observed of the links of one grudge.

    `leaking` are cut and carry datagrams, `uncounted` are cut by a rule that has dropped nothing,
    `lost` are not cut by anybody and carry nothing. `dropped` counts packets since the cut.
    """

    links: tuple[Link, ...]
    leaking: tuple[Link, ...]
    uncounted: tuple[Link, ...]
    lost: tuple[Link, ...]
    dropped: Mapping[Link, int]

    @property
    def is_held(self) -> bool:
        """Whether every link of the grudge is cut, provably, and no other link is."""
        return bool(self.links) and not (self.leaking or self.uncounted or self.lost)

    @property
    def is_healed(self) -> bool:
        """Whether every link works again that nobody else cuts."""
        return not self.lost

    def as_evidence(
        self,
        targets: tuple[str, ...],
        *,
        notes: Mapping[str, Any] | None = None,
        is_healing: bool = False,
    ) -> FaultEvidence:
        """What an operation that did nothing but cut, or heal a cut, came to."""
        is_so = self.is_healed if is_healing else self.is_held
        error = f"the cut did not {'heal' if is_healing else 'hold'}"
        return FaultEvidence(targets, is_so, self.as_json(), notes or {}, error)

    def as_json(self) -> dict[str, Any]:
        """What the history keeps; lists of links only where something is wrong."""
        shown: dict[str, Any] = {
            "links": len(self.links),
            "dropped": {arrow(link): self.dropped[link] for link in sorted(self.dropped)},
        }
        for name in ("leaking", "uncounted", "lost"):
            wrong = [arrow(link) for link in getattr(self, name)]
            shown.update({name: wrong} if wrong else {})
        return shown


class Cuts:
    """The named grudges in force on a cluster. Have one per cluster, or they undo each other."""

    def __init__(self, cluster: AbleCluster) -> None:
        self._cluster = cluster
        self._grudges: dict[str, Grudge] = {}
        self._counts: dict[str, Counter[Link]] = {}
        self._met: dict[str, Counter[Link]] = {}
        """Name -> what nodes themselves sent into its cuts: no datagrams of ours."""
        self._seen: Mapping[Link, int] = {}
        """What each rule had counted when that was looked at last."""
        self._turn = asyncio.Lock()

    @property
    def in_force(self) -> Mapping[str, Grudge]:
        """Name -> grudge, also of a cut that failed half-way."""
        return dict(self._grudges)

    async def add(self, name: str, grudge: Grudge) -> LinkEvidence:
        """Cut, or replace what the name has cut so far, and look whether it holds."""
        await self.cut(name, grudge)
        return await self.look(name)

    async def cut(self, name: str, grudge: Grudge) -> None:
        """Cut, or replace what the name has cut so far. Not measured: `look` does that."""
        async with self._turn:
            await self._count()
            self._counts[name], self._met[name] = Counter(), Counter()
            # Before the cut, so that `clear` heals one that failed half-way.
            self._grudges[name] = grudge
            await self._drop()

    async def look(self, name: str) -> LinkEvidence:
        """See whether what the name has cut holds."""
        async with self._turn:
            return await self._look(cut_links(self._grudges.get(name, {})), name, CUT_LOOKS)

    async def look_again(self, *names: str) -> FaultEvidence | None:
        """
        Look whether all that the names have cut is cut still, just before it heals.

        Datagrams of ours must not arrive, and the rules must count them. What they counted before
        is what nodes sent: where that is nothing, the cuts were idle. None: nothing is cut.
        """
        async with self._turn:
            grudges = [self._grudges[name] for name in names if name in self._grudges]
            own = sorted(cut_links(merge(grudges)))
            if not own:
                return None
            suspects = own
            before = await self._read()
            met = sum((self._met[name].total() for name in names if name in self._met), 0)
            for _ in range(CUT_LOOKS):
                reached = await self._cluster.reach(suspects, REACH_TIMEOUT_S)
                after = self._seen = await self._cluster.dropped()
                suspects = [
                    link
                    for link in suspects
                    if reached[link] or after.get(link, 0) <= before.get(link, 0)
                ]
                if not suspects:
                    break
                before = after
        arrows = [arrow(link) for link in suspects]
        facts = {"links": len(own), "met": met, "idle": not met}
        error = f"packets passed, or no rule counted them: {listed(arrows)}" if arrows else ""
        return FaultEvidence((), not arrows, facts, error=error)

    async def remove(self, name: str, *, is_last: bool = False) -> LinkEvidence:
        """
        Heal what the name has cut, and look whether it did. Nothing in force: only look.

        Args:
            is_last: All other names should have healed by now: a link that one of them still cuts
                is lost.
        """
        async with self._turn:
            await self._count_if_there()
            links = cut_links(self._grudges.get(name, {}))
            await self._heal(name)
            others = {n: g for n, g in self._grudges.items() if n != name and not is_last}
            seen = await self._look(frozenset(), name, HEAL_LOOKS, meant=others)
            counts = self._counts.pop(name, Counter())
            return LinkEvidence(tuple(sorted(links)), (), (), seen.lost, counts)

    async def clear(self, name: str) -> None:
        """Heal what the name has cut, and look at nothing: a teardown must not depend on it."""
        async with self._turn:
            await self._heal(name)

    async def _heal(self, name: str) -> None:
        if name in self._grudges:
            mine = self._grudges.pop(name)
            try:
                await self._drop()
            except BaseException:
                self._grudges[name] = mine  # It may still be cut.
                raise

    async def _drop(self) -> None:
        """Cut what all names together cut; every rule counts from zero again."""
        self._seen = {}
        await self._cluster.drop(merge(self._grudges.values()))

    async def _read(self) -> Mapping[Link, int]:
        """The counters now; what came since they were read last was sent by nodes."""
        now = await self._cluster.dropped()
        for name, met in self._met.items():
            for link in cut_links(self._grudges.get(name, {})):
                met[link] += max(0, now.get(link, 0) - self._seen.get(link, 0))
        self._seen = now
        return now

    async def _count(self) -> None:
        """Keep the counters, which the next `drop` sets back to zero."""
        if not self._grudges:
            return
        now = await self._read()
        for name, counts in self._counts.items():
            own = cut_links(self._grudges.get(name, {}))
            counts.update({link: count for link, count in now.items() if link in own})

    async def _count_if_there(self) -> None:
        """As `_count`; rules that somebody else has taken away must not keep a cut from healing."""
        try:
            await self._count()
        except OSError as error:
            log.warning("the counters of the cuts cannot be read: %s", error)

    async def _read_if_there(self, *, is_ours: bool = False) -> None:
        """As `_read`; `is_ours`: what came since the last time were datagrams of ours."""
        try:
            if is_ours:
                self._seen = await self._cluster.dropped()
            elif self._grudges:
                await self._read()
        except OSError as error:
            log.warning("the counters of the cuts cannot be read: %s", error)

    async def _look(
        self,
        own: frozenset[Link],
        name: str,
        looks: int,
        meant: Mapping[str, Grudge] | None = None,
    ) -> LinkEvidence:
        """
        Probe every link, and those that are not as they should be again.

        Args:
            meant: What is to be cut, by name; None: all that is in force.
        """
        cut = cut_links(merge((self._grudges if meant is None else meant).values()))
        every = list(permutations(self._cluster.nodes, 2))
        suspects, reached = every, dict.fromkeys(every, False)
        uncounted: list[Link] = []
        dropped: dict[Link, int] = {}
        await (self._read() if own else self._read_if_there())
        for _ in range(looks):
            reached.update(await self._cluster.reach(suspects, REACH_TIMEOUT_S))
            if own:
                dropped = await self._dropped(name, own)
            elif cut:
                await self._read_if_there(is_ours=True)
            uncounted = sorted(link for link in own if not dropped[link])
            wrong = [link for link in every if reached[link] == (link in cut)]
            suspects = [link for link in every if link in wrong or link in uncounted]
            if not suspects:
                break
        leaking = tuple(link for link in every if link in own and reached[link])
        lost = tuple(link for link in every if link not in cut and not reached[link])
        return LinkEvidence(tuple(sorted(own)), leaking, tuple(uncounted), lost, dropped)

    async def _dropped(self, name: str, own: frozenset[Link]) -> dict[Link, int]:
        """Packets dropped on each link since the name has cut it."""
        now, before = await self._cluster.dropped(), self._counts[name]
        self._seen = now
        return {link: before[link] + now.get(link, 0) for link in own}
