"""
Which links between nodes a fault strikes. Pure.

A link is a direction: (source, destination) of the data, whoever opened the connection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import permutations
from random import Random

from dissever.nemesis.partitions.grudges import Link
from dissever.nemesis.requests import Request
from dissever.nemesis.targets import TargetSpec, choose, minority_size

__all__ = ["LINK_SPECS", "LinkChoice", "LinkSpec", "Way", "choose_links", "draw_way"]


class LinkSpec(StrEnum):
    """Whose links, by the names that users give."""

    LINK = "link"
    """One pair of nodes."""

    ONE = "one"
    LEADER = "leader"
    MINORITY = "minority"
    ALL = "all"


LINK_SPECS: Mapping[str, int] = {spec.value: 2 for spec in LinkSpec} | {LinkSpec.MINORITY.value: 3}
"""Spec -> how many nodes it needs."""


class Way(StrEnum):
    """Which directions of a target's links."""

    BOTH = "both"
    OUT = "out"
    """What the target sends."""

    IN = "in"


@dataclass(frozen=True, slots=True)
class LinkChoice:
    """The links to strike, sorted, and the nodes that they are about."""

    links: tuple[Link, ...]
    targets: tuple[str, ...]
    notes: Mapping[str, str] = field(default_factory=dict)


def draw_way(rng: Random) -> str:
    """Both ways as often as one of the two."""
    return rng.choice((Way.BOTH, Way.BOTH, Way.OUT, Way.IN)).value


def choose_links(
    request: Request, nodes: Sequence[str], *, way: Way, leading: Collection[str]
) -> LinkChoice:
    """
    The links that a request means.

    Args:
        leading: Who claims to lead now; a random node takes the place of nobody.

    Raises:
        ValueError: For a spec or a node that there is not.
    """
    rng = request.rng
    spec = LinkSpec.ONE if request.targets is not None else LinkSpec(request.spec)
    if spec is LinkSpec.LINK:
        source, destination = rng.sample(list(nodes), 2)
        links = {(source, destination)}
        if way is Way.BOTH:
            links.add((destination, source))
        ends = {source, destination}
        return LinkChoice(tuple(sorted(links)), tuple(n for n in nodes if n in ends))
    meant = _TARGETS[spec] if request.targets is None else request.targets
    limit = max(1, minority_size(len(nodes))) if spec is LinkSpec.LEADER else None
    choice = choose(meant, nodes, primaries=leading, excluded=(), rng=rng, limit=limit)
    inside = set(choice.targets)
    links = {
        (source, destination)
        for source, destination in permutations(nodes, 2)
        if (way is not Way.IN and source in inside)
        or (way is not Way.OUT and destination in inside)
    }
    notes = {"fallback": choice.fallback} if choice.fallback else {}
    return LinkChoice(tuple(sorted(links)), choice.targets, notes)


_TARGETS: Mapping[LinkSpec, TargetSpec] = {
    LinkSpec.ONE: TargetSpec.ONE,
    LinkSpec.LEADER: TargetSpec.LEADER,
    LinkSpec.MINORITY: TargetSpec.MINORITY,
    LinkSpec.ALL: TargetSpec.ALL,
}
