"""
What hosts do to the packets between them, by our hand: one fault at a time, in the kernel.

Loss is a table of nft's where packets arrive, all else a queueing discipline of tc's where they
leave; each on the node's own host, and gone with it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.host_commands import run
from dissever.nemesis.packets import loss, shaping
from dissever.nemesis.packets.shaping import Means
from dissever.nemesis.partitions.grudges import Link

__all__ = ["Packets"]

FREED_LIMIT_S: Final = 15.0
"""A healing may be late on a busy machine; no longer than this."""


class Packets:
    """Puts a fault of packets on links, reads its counters, takes it off again."""

    def __init__(self, cluster: AbleCluster) -> None:
        self._cluster = cluster
        self._holder = ""
        self._freed = asyncio.Condition()

    async def take(self, fault: str) -> None:
        """
        Have the links for a fault, once another that has them heals.

        Raises:
            TimeoutError: When that does not heal in time: two would undo each other.
        """
        async with self._freed:
            try:
                async with asyncio.timeout(FREED_LIMIT_S):
                    await self._freed.wait_for(lambda: self._holder in ("", fault))
            except TimeoutError as late:
                message = f"{fault} cannot strike while {self._holder} is in force"
                raise TimeoutError(message) from late
            self._holder = fault

    async def give_back(self, fault: str) -> None:
        """Let others have the links."""
        async with self._freed:
            if self._holder == fault:
                self._holder = ""
                self._freed.notify_all()

    async def put(
        self, means: Means, words: Sequence[str], percent: float, links: Sequence[Link]
    ) -> None:
        """
        Have the kernels do it to what goes over these links.

        Raises:
            OSError: When a kernel refuses.
        """
        ends = _ends(means, links)
        await asyncio.gather(
            *(self._put(node, means, words, percent, peers) for node, peers in ends.items())
        )

    async def counters(self, means: Means, links: Sequence[Link]) -> Mapping[str, int]:
        """
        What the kernels counted, of all these links together.

        That is `rules`, how many links have one; and for nft the packets that `came` and were
        `lost`, for tc `packets`, `bytes`, `drops` and `overlimits`.
        """
        ends = _ends(means, links)
        read = [self._counted(node, means, peers) for node, peers in ends.items()]
        totals: Counter[str] = Counter({"rules": 0})
        for counted in await asyncio.gather(*read):
            totals.update(counted)
        return totals

    async def remove(self, means: Means, links: Sequence[Link]) -> None:
        """Take it off, where it is; on every host, also when one of them fails."""
        ends = await asyncio.gather(
            *(self._remove(node, means) for node in _ends(means, links)), return_exceptions=True
        )
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _put(
        self, node: str, means: Means, words: Sequence[str], percent: float, peers: Sequence[str]
    ) -> None:
        addresses = [self._cluster.address(peer) for peer in peers]
        if means is Means.NFT:
            await run(self._cluster, node, ["nft", "-f", "-"], loss.ruleset(percent, addresses))
        else:
            await self._remove(node, means)
            await run(
                self._cluster, node, ["tc", "-batch", "-"], shaping.shaping(means, words, addresses)
            )

    async def _counted(self, node: str, means: Means, peers: Sequence[str]) -> Mapping[str, int]:
        if means is Means.NFT:
            listed = await self._cluster.command(node, ["nft", *loss.COUNTERS])
            counts = loss.counters(listed.stdout) if listed.exit_status == 0 else {}
            known = [counts[a] for a in map(self._cluster.address, peers) if a in counts]
            return {
                "rules": len(known),
                "came": sum(each["came"] for each in known),
                "lost": sum(each["lost"] for each in known),
            }
        read = dict(shaping.counters(await run(self._cluster, node, shaping.COUNTERS)))
        disciplines = read.pop("disciplines")
        # One of netem's serves all peers.
        is_whole = disciplines == (1 if means is Means.NETEM else len(peers))
        return {"rules": len(peers) if is_whole else disciplines, **read}

    async def _remove(self, node: str, means: Means) -> None:
        if means is Means.NFT:
            await run(self._cluster, node, ["nft", "-f", "-"], loss.HEAL)
            return
        if shaping.is_shaped(await run(self._cluster, node, shaping.COUNTERS)):
            await run(self._cluster, node, shaping.HEAL)


def _ends(means: Means, links: Sequence[Link]) -> dict[str, list[str]]:
    """Host -> the peers whose packets it treats: where they arrive for nft, leave for tc."""
    ends: dict[str, list[str]] = {}
    for source, destination in links:
        if means is Means.NFT:
            ends.setdefault(destination, []).append(source)
        else:
            ends.setdefault(source, []).append(destination)
    return ends
