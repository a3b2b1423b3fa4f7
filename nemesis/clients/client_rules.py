"""
What goes between clients and a node, as nft and ss name it; and nft's counters read back. Pure.

Everything that is no node is a client: the harness's own address, or the gateway of a network of
containers. Only the ports that clients are served on are meant.

Source: nft(8), ss(8).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from dissever.nemesis.targets import Way

__all__ = ["COUNTERS", "HEAL", "dropped", "kill", "ruleset"]

_TABLE: Final = "inet dissever_clients"

COUNTERS: Final = ("nft", "-j", "list", "table", *_TABLE.split())
"""The command that prints what `dropped` reads; it fails when nothing is cut."""

HEAL: Final = f"add table {_TABLE}\ndelete table {_TABLE}\n"


def ruleset(way: Way, ports: Sequence[int], nodes: Sequence[str]) -> str:
    """
    The transaction that drops, and counts, packets from clients to a node, or back, or both.

    Args:
        nodes: The addresses of all nodes, which are no clients.
    """
    others, served = _set(nodes), _set(ports)
    rules = {
        "input": f"ip saddr != {others} tcp dport {served} counter drop",
        "output": f"ip daddr != {others} tcp sport {served} counter drop",
    }
    hooks = {Way.BOTH: ("input", "output"), Way.IN: ("input",), Way.OUT: ("output",)}[way]
    chains = "".join(
        f"  chain {hook} {{\n    type filter hook {hook} priority filter - 20; policy accept;\n"
        f"    {rules[hook]}\n  }}\n"
        for hook in hooks
    )
    return f"{HEAL}table {_TABLE} {{\n{chains}}}\n"


def dropped(listing: str) -> int:
    """How many packets our rules dropped, from what `COUNTERS` printed."""
    rules = (each["rule"] for each in json.loads(listing)["nftables"] if "rule" in each)
    return sum(
        part["counter"]["packets"] for rule in rules for part in rule["expr"] if "counter" in part
    )


def kill(ports: Sequence[int], nodes: Sequence[str]) -> list[str]:
    """The command that resets every connection of a client, and prints a line for each."""
    served = " or ".join(f"sport = :{port}" for port in ports)
    others = " or ".join(f"dst {address}" for address in nodes)
    expression = f"( {served} ) and not ( {others} )"
    return ["ss", "-K", "-H", "-t", "-n", "state", "connected", expression]


def _set(elements: Sequence[object]) -> str:
    return f"{{ {', '.join(map(str, elements))} }}"
