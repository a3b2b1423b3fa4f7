"""
What a host does to the packets that it sends to peers: tc's commands, and its counters. Pure.

An htb lets everything by but what goes to these peers, and never the probes by which cuts are
measured. Netem is one queue for all peers: kernels of 2025 and later refuse a second one next
to another that duplicates. A tbf is one for each peer.

Source: tc-htb(8), tc-u32(8), tc-netem(8), tc-tbf(8).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

__all__ = ["COUNTERS", "HEAL", "PROBE_PORT", "Means", "counters", "is_shaped", "shaping"]


class Means(StrEnum):
    """What treats packets, which a kernel has or has not."""

    NETEM = "netem"
    TBF = "tbf"
    NFT = "nft"
    """Not a discipline: see `rules`."""


DEVICE: Final = "eth0"
NETEM_QUEUE: Final = 10_000
"""Packets; netem's own 1000 would be lost packets where nobody asked for them."""

PROBE_PORT: Final = 9
"""Where hosts look for each other, `keeper/network.py`."""

_FASTER_THAN_ANY_LINK: Final = "10gbit"
_QUANTUM: Final = 60_000

COUNTERS: Final = ("tc", "-s", "-j", "qdisc", "show", "dev", DEVICE)
"""The command that prints what `counters` reads."""

HEAL: Final = ("tc", "qdisc", "del", "dev", DEVICE, "root")


def shaping(means: Means, words: Sequence[str], addresses: Sequence[str]) -> str:
    """
    What `tc -batch -` reads so that packets to these addresses pass a queueing discipline.

    Args:
        words: The arguments of the discipline.
    """
    lines = [
        f"qdisc add dev {DEVICE} root handle 1: htb default 0",
        _filter(1, f"match ip protocol 17 0xff match ip dport {PROBE_PORT} 0xffff flowid 1:"),
    ]
    limit = f"limit {NETEM_QUEUE} " if means is Means.NETEM else ""
    for number, address in enumerate(addresses, start=1):
        class_ = 1 if means is Means.NETEM else number
        if class_ == number:
            lines += [
                f"class add dev {DEVICE} parent 1: classid 1:{number:x}"
                f" htb rate {_FASTER_THAN_ANY_LINK} quantum {_QUANTUM}",
                f"qdisc add dev {DEVICE} parent 1:{number:x} handle {0x10 + number:x}:"
                f" {means.value} {limit}{' '.join(words)}",
            ]
        lines.append(_filter(2, f"match ip dst {address}/32 flowid 1:{class_:x}"))
    return "\n".join(lines) + "\n"


def counters(listing: str) -> Mapping[str, int]:
    """
    `packets`, `bytes`, `drops` and `overlimits` of our disciplines together, and `disciplines`, how
    many there are; from what `COUNTERS` printed.
    """
    ours = [each for each in json.loads(listing or "[]") if _is_ours(each)]
    names = ("packets", "bytes", "drops", "overlimits")
    return {
        "disciplines": len(ours),
        **{name: sum(each.get(name, 0) for each in ours) for name in names},
    }


def is_shaped(listing: str) -> bool:
    """Whether the host has our root, from what `COUNTERS` printed."""
    return any(e["kind"] == "htb" and e.get("root") for e in json.loads(listing or "[]"))


def _is_ours(discipline: Mapping[str, Any]) -> bool:
    return discipline["kind"] in (Means.NETEM, Means.TBF) and "parent" in discipline


def _filter(priority: int, match: str) -> str:
    return f"filter add dev {DEVICE} parent 1: protocol ip prio {priority} u32 {match}"
