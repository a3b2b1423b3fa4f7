"""
The loss of a share of packets as nftables rules, and their counters read back. Pure text.

Packets are lost where they arrive, so that no sender learns of it. The chain stands before that of
the cuts: it counts also what a cut drops afterwards. The probes that measure cuts always pass.

Source: nft(8).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from dissever.nemesis.packets.shaping import PROBE_PORT

__all__ = ["COUNTERS", "HEAL", "counters", "ruleset"]

_TABLE: Final = "inet dissever_loss"

COUNTERS: Final = ("-j", "list", "table", *_TABLE.split())
"""Arguments of nft that print what `counters` reads."""

HEAL: Final = f"add table {_TABLE}\ndelete table {_TABLE}\n"


def ruleset(percent: float, addresses: Sequence[str]) -> str:
    """The transaction that loses so much of what comes from these addresses, counted."""
    rules = [f"udp dport {PROBE_PORT} accept"]
    for address in addresses:
        share = f"numgen random mod 10000 < {round(100 * percent)}"
        rules += [
            f'ip saddr {address} counter comment "came {address}"',
            f'ip saddr {address} {share} counter drop comment "lost {address}"',
        ]
    body = "".join(f"    {rule}\n" for rule in rules)
    return (
        f"{HEAL}table {_TABLE} {{\n  chain input {{\n"
        f"    type filter hook input priority filter - 10; policy accept;\n{body}  }}\n}}\n"
    )


def counters(listing: str) -> dict[str, dict[str, int]]:
    """Address -> packets that `came` and those `lost` of them, from what nft printed."""
    counts: dict[str, dict[str, int]] = {}
    for each in json.loads(listing)["nftables"]:
        rule = each.get("rule", {})
        what, _, address = rule.get("comment", "").partition(" ")
        if address:
            packets = next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)
            counts.setdefault(address, {})[what] = packets
    return counts
