"""
Whom a fault strikes: from a target to the names of nodes, or to the links between them.

Pure: who leads and who is already struck come in as arguments. A minority is what may be gone while
the others still are a majority, so of 4 nodes it is 1, not 2. A link is a direction: (source,
destination) of the data, no matter which of the two opened the connection.

Source: Jepsen, `nemesis/combined.clj`, `db-nodes`; the minority of an even number is ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import permutations
from random import Random
from typing import Any, Final

from dissever.harness.names import strangers
from dissever.nemesis.parameters import Draw, Parameter, Request, choice
from dissever.nemesis.partitions.grudges import Link

__all__ = [
    "BY_LEADERSHIP",
    "LINK_TARGETS",
    "NODE_TARGETS",
    "WAY",
    "Choice",
    "TargetSpec",
    "Way",
    "choose",
    "choose_links",
    "majority_size",
    "minority_size",
    "target_count",
]


class TargetSpec(StrEnum):
    """Whom to strike, by the names that users give."""

    ONE = "one"
    MINORITY = "minority"
    MAJORITY = "majority"
    ALL = "all"
    LEADER = "leader"
    FOLLOWERS = "followers"
    VOTERS = "voters"
    STAND_BYS = "stand-bys"


NODE_TARGETS: Final[Mapping[str, int]] = {spec.value: 1 for spec in TargetSpec} | {
    TargetSpec.MINORITY.value: 3,
    TargetSpec.FOLLOWERS.value: 2,
}
"""Target -> how many nodes it needs, of a fault that strikes nodes."""

BY_LEADERSHIP: Final = (TargetSpec.LEADER, TargetSpec.FOLLOWERS)
"""The targets that depend on who leads."""

LINK: Final = "link"
"""One pair of nodes: a target of faults that strike links."""

LINK_TARGETS: Final[Mapping[str, int]] = {LINK: 2, "one": 2, "leader": 2, "minority": 3, "all": 2}
"""Target -> how many nodes it needs, of a fault that strikes links."""


class Way(StrEnum):
    """Which directions of a target's links."""

    BOTH = "both"
    OUT = "out"
    """What the target sends."""

    IN = "in"


WAY: Final[Parameter] = choice(
    "way",
    "what the target sends (out), what it receives (in), or both",
    tuple(way.value for way in Way),
    Draw(
        "both as often as one of the two",
        lambda rng: rng.choice((Way.BOTH, Way.BOTH, Way.OUT, Way.IN)).value,
    ),
    default=Way.BOTH.value,
)


@dataclass(frozen=True, slots=True)
class Choice:
    """
    The nodes to strike, in the order of the cluster, or those that the `links` to strike are about.

    `notes` says, for the history, where the request was not followed to the letter. `facts` are
    evidence: of a request that depends on who leads, who led, and whether that was met `as_asked`.
    """

    targets: tuple[str, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def minority_size(count: int) -> int:
    """How many of `count` nodes may be gone while the others are a majority of all."""
    return max(0, (count - 1) // 2)


def majority_size(count: int) -> int:
    """How many of `count` nodes make the smallest majority."""
    return count // 2 + 1


def target_count(spec: TargetSpec, count: int) -> int:
    """How many of `count` nodes a spec strikes at most, when each can be struck."""
    return {
        TargetSpec.ONE: min(1, count),
        TargetSpec.MINORITY: minority_size(count),
        TargetSpec.MAJORITY: majority_size(count),
        TargetSpec.FOLLOWERS: max(0, count - 1),
    }.get(spec, count)


def choose(
    spec: TargetSpec | Collection[str],
    nodes: Sequence[str],
    *,
    primaries: Collection[str],
    excluded: Collection[str],
    rng: Random,
    limit: int | None = None,
    roles: Mapping[str, str] | None = None,
) -> Choice:
    """
    The nodes that a spec means now.

    `leader` means every node that claims to lead. When none is known, or all are excluded, a random
    other node is taken instead, and the choice says so.

    Args:
        spec: Or the very nodes that are meant, by name.
        excluded: Nodes that must not be struck, such as those that are down.
        limit: At most this many, which are then drawn; None: no limit.
        roles: Node -> `voter`, `stand-by`, …; None when nobody can say: then all vote.

    Raises:
        ValueError: When a name is not one of the nodes.
    """
    up = [node for node in nodes if node not in excluded]
    fallback, size = None, len(nodes)
    if not isinstance(spec, TargetSpec):
        meant = _named(spec, nodes, excluded)
    elif spec is TargetSpec.LEADER:
        meant = [node for node in up if node in primaries]
        if not meant:
            fallback = "every leader is already down" if primaries else "no leader was known"
            meant, size = up, 1
    elif spec is TargetSpec.FOLLOWERS:
        meant = [node for node in up if node not in primaries]
        if not primaries:
            fallback, size = "no leader was known", len(nodes) - 1
    elif spec in (TargetSpec.VOTERS, TargetSpec.STAND_BYS):
        role = spec.value.removesuffix("s")
        known = dict.fromkeys(nodes, "voter") if roles is None else roles
        meant = [node for node in up if known.get(node) == role]
    else:
        meant, size = up, target_count(spec, len(nodes))
    size = min(size, len(meant)) if limit is None else min(size, len(meant), max(0, limit))
    drawn = set(rng.sample(meant, size))
    notes = {"fallback": fallback} if fallback and drawn else {}
    targets = tuple(node for node in nodes if node in drawn)
    return Choice(targets, notes, facts=_led(spec, targets, primaries))


def _led(
    spec: TargetSpec | Collection[str], targets: Sequence[str], primaries: Collection[str]
) -> dict[str, Any]:
    """Who led when nodes were chosen by that, and whether those that are struck are as asked."""
    if not targets or spec not in BY_LEADERSHIP:
        return {}
    leads = spec is TargetSpec.LEADER
    is_met = bool(primaries) and all((node in primaries) is leads for node in targets)
    return {"leading": sorted(primaries), "as_asked": is_met}


def choose_links(request: Request, nodes: Sequence[str], *, leading: Collection[str]) -> Choice:
    """
    The links that a request means.

    Args:
        leading: Who claims to lead now; where nobody does, a random node is taken.

    Raises:
        ValueError: For a node that there is not.
    """
    rng, way = request.rng, Way(request.settings[WAY.name])
    if request.targets is None and request.spec == LINK:
        source, destination = rng.sample(list(nodes), 2)
        links = {(source, destination)}
        if way is Way.BOTH:
            links.add((destination, source))
        ends = {source, destination}
        return Choice(tuple(n for n in nodes if n in ends), links=tuple(sorted(links)))
    meant = TargetSpec(request.spec) if request.targets is None else request.targets
    limit = max(1, minority_size(len(nodes))) if meant is TargetSpec.LEADER else None
    chosen = choose(meant, nodes, primaries=leading, excluded=(), rng=rng, limit=limit)
    inside = set(chosen.targets)
    links = {
        (source, destination)
        for source, destination in permutations(nodes, 2)
        if (way is not Way.IN and source in inside)
        or (way is not Way.OUT and destination in inside)
    }
    return replace(chosen, links=tuple(sorted(links)))


def _named(names: Collection[str], nodes: Sequence[str], excluded: Collection[str]) -> list[str]:
    if lack := strangers(names, nodes):
        raise ValueError(lack)
    return [node for node in nodes if node in names and node not in excluded]
