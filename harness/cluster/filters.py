"""
All cuts of a cluster: a grudge as nftables rules, and their counters read back.

Each node drops packets in its own network namespace, by a table of our own: one transaction
replaces it whole, deleting it heals, and other tables of the namespace are untouched. ARP passes,
because an `inet` table does not see it, so addresses are still known when a cut heals.

Source: nft(8).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

from dissever.harness.cluster import Command, Grudge

_TABLE: Final = "inet dissever"

COUNTERS: Final = ("-j", "list", "table", *_TABLE.split())
"""Arguments of nft that print what `packets_by_address` reads."""


Run: TypeAlias = Callable[[str, Sequence[str], str], Awaitable[Command]]


class Filters:
    """
    The cuts in force. Counters of `dropped` live as long as the cuts: read them before a `drop`.

    Args:
        addresses: Node -> the address that its packets come from.
        run: As `HostCommands.command`.
    """

    def __init__(
        self, addresses: Mapping[str, str], run: Callable[..., Awaitable[Command]]
    ) -> None:
        self._addresses = dict(addresses)
        self._run = run
        self._turn = asyncio.Lock()
        self._wanted: dict[str, frozenset[str]] = {}
        self._cut_nodes: frozenset[str] = frozenset()

    async def drop(self, grudge: Grudge) -> None:
        """As `Links.drop`: one transaction for each node, all nodes at the same time."""
        self._check(grudge)
        wanted = {node: frozenset(sources) for node, sources in grudge.items() if sources}
        await asyncio.shield(self._replace(wanted))

    async def dropped(self) -> Mapping[tuple[str, str], int]:
        async with self._turn:
            counts = await asyncio.gather(*(self._count(node) for node in self._cut_nodes))
        return {pair: packets for count in counts for pair, packets in count.items()}

    async def renew(self, node: str, address: str) -> None:
        """A node has a new host, without rules, and maybe at another address: cut it again."""
        async with self._turn:
            is_moved = self._addresses[node] != address
            self._addresses[node] = address
            again = {
                each: sources
                for each, sources in self._wanted.items()
                if each == node or (is_moved and node in sources)
            }
            await asyncio.gather(*(self._cut(each, again[each]) for each in again))

    async def _replace(self, wanted: dict[str, frozenset[str]]) -> None:
        """One `drop` at a time, each to its end: a late nft must not undo a later heal."""
        async with self._turn:
            changing = [
                node for node in self._addresses if node in wanted or node in self._cut_nodes
            ]
            # Until nft has answered, a node may have its old rules or its new ones.
            self._cut_nodes = frozenset(changing)
            self._wanted = wanted
            await asyncio.gather(*(self._cut(node, wanted.get(node)) for node in changing))
            self._cut_nodes = frozenset(wanted)

    async def _cut(self, node: str, sources: frozenset[str] | None) -> None:
        addresses = sorted(self._addresses[source] for source in sources or ())
        await self._nft(node, ["-f", "-"], ruleset(addresses))

    async def _count(self, node: str) -> dict[tuple[str, str], int]:
        names = {address: name for name, address in self._addresses.items()}
        packets = packets_by_address(await self._nft(node, COUNTERS))
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


def ruleset(addresses: Collection[str]) -> str:
    """The transaction that drops all that comes from these addresses, counted, and nothing else."""
    # A table can only be deleted if it is there, so it is added first.
    heal = f"add table {_TABLE}\ndelete table {_TABLE}\n"
    if not addresses:
        return heal
    rules = "".join(f"    ip saddr {address} counter drop\n" for address in addresses)
    return (
        f"{heal}table {_TABLE} {{\n  chain input {{\n"
        f"    type filter hook input priority filter; policy accept;\n{rules}  }}\n}}\n"
    )


def packets_by_address(listing: str) -> dict[str, int]:
    """Address -> packets dropped, from what nft printed for `COUNTERS`."""
    objects = json.loads(listing)["nftables"]
    return dict(_counted(each["rule"]["expr"]) for each in objects if "rule" in each)


def _counted(expressions: list[dict[str, Any]]) -> tuple[str, int]:
    """The address and the packets of one of our rules: its match, its counter, its drop."""
    by_name = dict(item for each in expressions for item in each.items())
    return by_name["match"]["right"], by_name["counter"]["packets"]
