"""
A grudge as nftables rules, and their counters read back. Pure text.

Each node drops packets in its own network namespace, by a table of our own: one transaction
replaces it whole, deleting it heals, and other tables of the namespace are untouched. ARP passes,
because an `inet` table does not see it, so addresses are still known when a cut heals.

Source: nft(8).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

__all__ = ["COUNTERS", "packets_by_address", "ruleset"]

_TABLE = "inet dissever"

COUNTERS = ("-j", "list", "table", *_TABLE.split())
"""Arguments of nft that print what `packets_by_address` reads."""


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
    parts: Iterator[tuple[str, Any]] = (item for each in expressions for item in each.items())
    by_name = dict(parts)
    return by_name["match"]["right"], by_name["counter"]["packets"]
