"""All cuts of a cluster: one nft transaction in each host's own network namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from dissever.harness.cluster import Command, Grudge, cuts

__all__ = ["Filters"]

Run: TypeAlias = Callable[[str, Sequence[str], str], Awaitable[Command]]
"""Runs a command with a stdin on a node's host."""


class Filters:
    """
    The cuts in force. Counters of `dropped` live as long as the cuts: read them before a `drop`.

    Args:
        addresses: Node -> the address that its packets come from.
        run: How a command is run on a host.
    """

    def __init__(self, addresses: Mapping[str, str], run: Run) -> None:
        self._addresses = addresses
        self._run = run
        self._turn = asyncio.Lock()
        self._cut_nodes: frozenset[str] = frozenset()

    async def drop(self, grudge: Grudge) -> None:
        """
        Replace all cuts by these: one transaction for each node, all nodes at the same time.

        Raises:
            ValueError: When a node is unknown, or named as the one it drops packets from.
            OSError: When nft fails; which nodes are cut is then unknown.
        """
        self._check(grudge)
        wanted = {node: frozenset(sources) for node, sources in grudge.items() if sources}
        await asyncio.shield(self._replace(wanted))

    async def dropped(self) -> Mapping[tuple[str, str], int]:
        """(source, destination) -> packets dropped since the last `drop`, for each pair it cuts."""
        async with self._turn:
            counts = await asyncio.gather(*(self._count(node) for node in self._cut_nodes))
        return {pair: packets for count in counts for pair, packets in count.items()}

    async def _replace(self, wanted: dict[str, frozenset[str]]) -> None:
        """One `drop` at a time, each to its end: a late nft must not undo a later heal."""
        async with self._turn:
            changing = [
                node for node in self._addresses if node in wanted or node in self._cut_nodes
            ]
            # Until nft has answered, a node may have its old rules or its new ones.
            self._cut_nodes = frozenset(changing)
            await asyncio.gather(*(self._cut(node, wanted.get(node)) for node in changing))
            self._cut_nodes = frozenset(wanted)

    async def _cut(self, node: str, sources: frozenset[str] | None) -> None:
        addresses = sorted(self._addresses[source] for source in sources or ())
        await self._nft(node, ["-f", "-"], cuts.ruleset(addresses))

    async def _count(self, node: str) -> dict[tuple[str, str], int]:
        names = {address: name for name, address in self._addresses.items()}
        packets = cuts.packets_by_address(await self._nft(node, cuts.COUNTERS))
        return {(names[address], node): count for address, count in packets.items()}

    async def _nft(self, node: str, arguments: Sequence[str], stdin: str = "") -> str:
        done = await self._run(node, ["nft", *arguments], stdin)
        if done.exit_status:
            raise OSError(0, f"{node}: nft failed: {done.stderr.strip()}")
        return done.stdout

    def _check(self, grudge: Grudge) -> None:
        for node, sources in grudge.items():
            for source in (node, *sources):
                if source not in self._addresses:
                    raise ValueError(f"no node {source!r} among {', '.join(self._addresses)}")
            if node in sources:
                raise ValueError(f"{node} cannot be cut off from itself")
