"""
All cuts of a cluster: several faults cut at the same time, each knows only its own grudge.

`Cluster.drop` replaces every cut, so one object has to hold the union; who heals takes out its own
part. Each change is measured from outside: datagrams must not arrive where a link is cut, must
arrive where it is not, and every rule must have counted what it dropped.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from dissever.harness.cluster import Grudge
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.partitions.grudges import Link, cut_links, merge

__all__ = ["Cuts", "LinkEvidence"]

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
            "dropped": {_arrow(link): self.dropped[link] for link in sorted(self.dropped)},
        }
        for name in ("leaking", "uncounted", "lost"):
            wrong = [_arrow(link) for link in getattr(self, name)]
            shown.update({name: wrong} if wrong else {})
        return shown


class Cuts:
    """The named grudges in force on a cluster. Have one per cluster, or they undo each other."""

    def __init__(self, cluster: AbleCluster) -> None:
        self._cluster = cluster
        self._grudges: dict[str, Grudge] = {}
        self._counts: dict[str, Counter[Link]] = {}
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
        """Cut, or replace what the name has cut so far; for who is in a hurry, and looks later."""
        async with self._turn:
            await self._count()
            self._counts[name] = Counter()
            # Before the cut, so that `clear` heals one that failed half-way.
            self._grudges[name] = grudge
            await self._cluster.drop(merge(self._grudges.values()))

    async def look(self, name: str) -> LinkEvidence:
        """See whether what the name has cut holds."""
        async with self._turn:
            return await self._look(cut_links(self._grudges.get(name, {})), name, CUT_LOOKS)

    async def remove(self, name: str) -> LinkEvidence:
        """Heal what the name has cut, and look whether it did. Nothing in force: only look."""
        async with self._turn:
            await self._count()
            links = cut_links(self._grudges.get(name, {}))
            await self._heal(name)
            seen = await self._look(frozenset(), name, HEAL_LOOKS)
            counts = self._counts.pop(name, Counter())
            return LinkEvidence(tuple(sorted(links)), (), (), seen.lost, counts)

    async def clear(self, name: str) -> None:
        """Heal what the name has cut, and look at nothing: a teardown must not depend on it."""
        async with self._turn:
            await self._heal(name)

    async def _heal(self, name: str) -> None:
        if name in self._grudges:
            others = {n: grudge for n, grudge in self._grudges.items() if n != name}
            await self._cluster.drop(merge(others.values()))
            self._grudges = others

    async def _count(self) -> None:
        """Keep the counters, which the next `drop` sets back to zero."""
        if not self._grudges:
            return
        now = await self._cluster.dropped()
        for name, counts in self._counts.items():
            own = cut_links(self._grudges.get(name, {}))
            counts.update({link: count for link, count in now.items() if link in own})

    async def _look(self, own: frozenset[Link], name: str, looks: int) -> LinkEvidence:
        """Probe every link, and those that are not as they should be again."""
        cut = cut_links(merge(self._grudges.values()))
        every = list(permutations(self._cluster.nodes, 2))
        suspects, reached = every, dict.fromkeys(every, False)
        uncounted: list[Link] = []
        dropped: dict[Link, int] = {}
        for _ in range(looks):
            reached.update(await self._cluster.reach(suspects, REACH_TIMEOUT_S))
            dropped = await self._dropped(name, own)
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
        if not own:
            return {}
        now, before = await self._cluster.dropped(), self._counts[name]
        return {link: before[link] + now.get(link, 0) for link in own}


def _arrow(link: Link) -> str:
    return f"{link[0]}->{link[1]}"
