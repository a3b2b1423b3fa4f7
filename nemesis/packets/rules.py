"""
What hosts do to the packets between them, by our hand: one fault at a time, in the kernel.

Loss is a table of nft's where packets arrive, so that no sender learns of it; all else is a
queueing discipline of tc's where they leave; each on the node's own host, and gone with it.

Source: nft(8), tc(8).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.host_commands import counted, run
from dissever.nemesis.packets import shaping
from dissever.nemesis.packets.shaping import PROBE_PORT, Means
from dissever.nemesis.partitions.grudges import Link

__all__ = ["Packets", "loss_counters", "loss_ruleset"]

LOSS_TABLE: Final = "inet dissever_loss"
COUNT_LOSS: Final = ("nft", "-j", "list", "table", *LOSS_TABLE.split())
HEAL_LOSS: Final = f"add table {LOSS_TABLE}\ndelete table {LOSS_TABLE}\n"

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
        for counts in await asyncio.gather(*read):
            totals.update(counts)
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
            await run(self._cluster, node, ["nft", "-f", "-"], loss_ruleset(percent, addresses))
        else:
            await self._remove(node, means)
            await run(
                self._cluster, node, ["tc", "-batch", "-"], shaping.shaping(means, words, addresses)
            )

    async def _counted(self, node: str, means: Means, peers: Sequence[str]) -> Mapping[str, int]:
        if means is Means.NFT:
            listed = await self._cluster.command(node, COUNT_LOSS)
            counts = loss_counters(listed.stdout) if listed.exit_status == 0 else {}
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
            await run(self._cluster, node, ["nft", "-f", "-"], HEAL_LOSS)
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


def loss_ruleset(percent: float, addresses: Sequence[str]) -> str:
    """
    The transaction that loses so much of what comes from these addresses, counted.

    The chain stands before that of the cuts: it counts also what a cut drops afterwards. The probes
    that measure cuts always pass.
    """
    rules = [f"udp dport {PROBE_PORT} accept"]
    for address in addresses:
        share = f"numgen random mod 10000 < {round(100 * percent)}"
        rules += [
            f'ip saddr {address} counter comment "came {address}"',
            f'ip saddr {address} {share} counter drop comment "lost {address}"',
        ]
    body = "".join(f"    {rule}\n" for rule in rules)
    return (
        f"{HEAL_LOSS}table {LOSS_TABLE} {{\n  chain input {{\n"
        f"    type filter hook input priority filter - 10; policy accept;\n{body}  }}\n}}\n"
    )


def loss_counters(listing: str) -> dict[str, dict[str, int]]:
    """Address -> packets that `came` and those `lost` of them, from what nft printed."""
    counts: dict[str, dict[str, int]] = {}
    for comment, packets in counted(listing):
        what, _, address = comment.partition(" ")
        counts.setdefault(address, {})[what] = packets
    return counts
