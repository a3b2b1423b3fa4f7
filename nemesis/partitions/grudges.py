"""
Which node drops packets from which: pure functions from nodes and a `Random` to a grudge.

A grudge maps a node to those whose packets it drops, so one entry cuts one direction only. What is
cut both ways names both ends; nodes that drop nothing have no entry. Nodes stand in the order that
they were given in, and chance comes from `rng` alone.

Source: Jepsen, `nemesis.clj` and `nemesis/combined.clj`, behaviour only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import TypeAlias

from dissever.harness.cluster import Grudge

__all__ = [
    "Link",
    "PartitionSpec",
    "arrow",
    "bisect",
    "bridge",
    "complete",
    "cut_links",
    "halves",
    "invert",
    "isolate",
    "majorities_ring",
    "majority",
    "merge",
    "most_cut",
    "one",
    "one_way",
]

Link: TypeAlias = tuple[str, str]
"""(source, destination) of packets."""

RING_EXACT_MAX = 5
"""Up to this size a ring gives every node a majority of its own; above, a greedy draw."""


class PartitionSpec(StrEnum):
    """The shapes of a partition, by the names that users give them."""

    ONE = "one"
    HALVES = "halves"
    MAJORITY = "majority"
    MAJORITIES_RING = "majorities-ring"
    BRIDGE = "bridge"
    LEADER = "leader"
    ONE_WAY = "one-way"


def arrow(link: Link) -> str:
    """A link as histories write it: `n1->n2`."""
    return f"{link[0]}->{link[1]}"


def bisect(nodes: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The first half and the rest, which has one more when the count is odd."""
    middle = len(nodes) // 2
    return tuple(nodes[:middle]), tuple(nodes[middle:])


def complete(components: Iterable[Collection[str]]) -> Grudge:
    """Nobody hears anybody of another component. Components must not share a node."""
    parts = [frozenset(component) for component in components]
    everyone = frozenset().union(*parts)
    return {node: everyone - part for part in parts for node in sorted(part) if everyone - part}


def invert(nodes: Sequence[str], hears: Mapping[str, Collection[str]]) -> Grudge:
    """Each node drops packets from all that it does not hear; it always hears itself."""
    everyone = frozenset(nodes)
    grudge = {node: everyone - frozenset(hears.get(node, ())) - {node} for node in nodes}
    return {node: dropped for node, dropped in grudge.items() if dropped}


def merge(grudges: Iterable[Grudge]) -> Grudge:
    """The union: a link is cut when any of the grudges cuts it."""
    merged: dict[str, frozenset[str]] = {}
    for grudge in grudges:
        for node, dropped in grudge.items():
            merged[node] = merged.get(node, frozenset()) | dropped
    return merged


def cut_links(grudge: Grudge) -> frozenset[Link]:
    """The links that carry nothing any more, in the direction of the packets."""
    return frozenset((source, node) for node, dropped in grudge.items() for source in dropped)


def most_cut(nodes: Sequence[str], grudge: Grudge) -> tuple[str, ...]:
    """
    The nodes that lost the most peers, in either direction: whom the partition is about.

    The loner, the smaller side, both sides of equal halves, all but the bridge, the whole ring.
    """
    links = cut_links(grudge)
    lost = {a: sum((a, b) in links or (b, a) in links for b in nodes) for a in nodes}
    most = max(lost.values(), default=0)
    return tuple(node for node in nodes if most and lost[node] == most)


def isolate(nodes: Sequence[str], targets: Collection[str]) -> Grudge:
    """Cut each target off from everyone, the other targets too, both ways."""
    alone = [node for node in nodes if node in targets]
    return complete([*([node] for node in alone), [n for n in nodes if n not in targets]])


def one(nodes: Sequence[str], rng: Random) -> Grudge:
    """Cut a random node off, both ways."""
    return isolate(nodes, [rng.choice(list(nodes))])


def halves(nodes: Sequence[str], rng: Random) -> Grudge:
    """Cut random halves apart, both ways. Of an even number of nodes neither half is a majority."""
    return complete(bisect(rng.sample(list(nodes), len(nodes))))


def majority(nodes: Sequence[str], rng: Random) -> Grudge:
    """
    Cut the largest minority off from the others, both ways: (n - 1) // 2 random nodes.

    The others are a majority, also of an even number of nodes.

    Raises:
        ValueError: With fewer than 3 nodes: no node is a minority.
    """
    _need(3, nodes, "a majority")
    shuffled = rng.sample(list(nodes), len(nodes))
    size = (len(nodes) - 1) // 2
    return complete([shuffled[:size], shuffled[size:]])


def majorities_ring(nodes: Sequence[str], rng: Random) -> Grudge:
    """
    Every node hears a majority, and no majority knows of what the others hear.

    Up to 5 nodes each hears the smallest majority around it on a random ring, no two the same one;
    cuts are symmetric for 4 and 5 nodes, while of 3 every link works in one direction only. Above,
    links are added between the least connected until everyone hears a majority: symmetric, and
    majorities differ, except by chance.

    Raises:
        ValueError: With fewer than 3 nodes: everyone would hear everyone.
    """
    _need(3, nodes, "a ring")
    size = len(nodes) // 2 + 1
    ring = rng.sample(list(nodes), len(nodes))
    if len(nodes) > RING_EXACT_MAX:
        return invert(nodes, _least_connected(ring, size, rng))
    hears = {}
    for i, node in enumerate(ring):
        first = i - size // 2
        hears[node] = [ring[(first + j) % len(ring)] for j in range(size)]
    return invert(nodes, hears)


def bridge(nodes: Sequence[str], rng: Random) -> Grudge:
    """
    Cut the nodes in two halves that share one node, which hears everyone.

    Args:
        nodes: At least 3; the order does not matter.

    Returns:
        Every node but the bridge, mapped to the nodes it drops packets from. Cuts are symmetric.

    Raises:
        ValueError: With fewer than 3 nodes: there is nothing left to bridge.
    """
    _need(3, nodes, "a bridge")
    _, *others = rng.sample(list(nodes), len(nodes))
    return complete(bisect(others))


def one_way(nodes: Sequence[str], targets: Collection[str], *, is_deaf: bool) -> Grudge:
    """Deaf targets drop what the others send; otherwise the others drop what the targets send."""
    inside = frozenset(node for node in nodes if node in targets)
    outside = frozenset(nodes) - inside
    listeners, silenced = (inside, outside) if is_deaf else (outside, inside)
    return {node: silenced for node in nodes if node in listeners and silenced}


def _least_connected(nodes: Sequence[str], size: int, rng: Random) -> dict[str, set[str]]:
    """Add links between the least connected until everyone hears `size` nodes, itself included."""
    hears = {node: {node} for node in nodes}
    while True:
        node = min(nodes, key=lambda n: (len(hears[n]), rng.random()))
        if len(hears[node]) >= size:
            return hears
        peers = [peer for peer in nodes if peer not in hears[node]]
        peer = min(peers, key=lambda n: (len(hears[n]), rng.random()))
        hears[node].add(peer)
        hears[peer].add(node)


def _need(count: int, nodes: Sequence[str], what: str) -> None:
    if len(nodes) < count:
        raise ValueError(f"{what} needs at least {count} nodes, got {len(nodes)}")
