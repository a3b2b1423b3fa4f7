"""
Whom a fault strikes: from a target spec to the names of nodes.

Pure: who leads and who is already down come in as arguments. A minority is what may be gone while
the others still are a majority, so of 4 nodes it is 1, not 2.

Source: Jepsen, `nemesis/combined.clj`, `db-nodes`; the minority of an even number is ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

__all__ = ["Choice", "TargetSpec", "choose", "majority_size", "minority_size", "target_count"]


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


@dataclass(frozen=True, slots=True)
class Choice:
    """
    The nodes to strike, in the order of the cluster.

    `fallback` says why others were taken than those that the spec means; None when it was followed.
    """

    targets: tuple[str, ...]
    fallback: str | None = None


def minority_size(count: int) -> int:
    """How many of so many nodes may be gone while the others are a majority of all."""
    return max(0, (count - 1) // 2)


def majority_size(count: int) -> int:
    """How many of so many nodes make the smallest majority."""
    return count // 2 + 1


def target_count(spec: TargetSpec, count: int) -> int:
    """How many of so many nodes a spec strikes at most, when each is there to be struck."""
    return {
        TargetSpec.ONE: min(1, count),
        TargetSpec.MINORITY: minority_size(count),
        TargetSpec.MAJORITY: majority_size(count),
        TargetSpec.ALL: count,
        TargetSpec.LEADER: count,
        TargetSpec.FOLLOWERS: max(0, count - 1),
        TargetSpec.VOTERS: count,
        TargetSpec.STAND_BYS: count,
    }[spec]


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
        excluded: Nodes that must not be struck: already down.
        limit: At most so many; those who are struck are then drawn. None: no limit.
        roles: Node -> `voter`, `stand-by`, …; None when nobody can say: then all vote.

    Raises:
        ValueError: When a name is not one of the nodes.
    """
    up = [node for node in nodes if node not in excluded]
    fallback = None
    if not isinstance(spec, TargetSpec):
        meant = _named(spec, nodes, excluded)
        size = len(meant)
    elif spec is TargetSpec.LEADER:
        meant = [node for node in up if node in primaries]
        size = len(meant)
        if not meant:
            fallback = "every leader is already down" if primaries else "no leader was known"
            meant, size = up, 1
    elif spec is TargetSpec.FOLLOWERS:
        fallback = None if primaries else "no leader was known"
        meant = [node for node in up if node not in primaries]
        size = len(meant) if primaries else min(len(meant), len(nodes) - 1)
    elif spec in (TargetSpec.VOTERS, TargetSpec.STAND_BYS):
        role = spec.value.removesuffix("s")
        known = dict.fromkeys(nodes, "voter") if roles is None else roles
        meant = [node for node in up if known.get(node) == role]
        size = len(meant)
    else:
        meant, size = up, target_count(spec, len(nodes))
    size = min(size, len(meant)) if limit is None else min(size, len(meant), max(0, limit))
    drawn = set(rng.sample(meant, size))
    return Choice(tuple(node for node in nodes if node in drawn), fallback if drawn else None)


def _named(names: Collection[str], nodes: Sequence[str], excluded: Collection[str]) -> list[str]:
    unknown = sorted(set(names) - set(nodes))
    if unknown:
        raise ValueError(f"expected nodes of {', '.join(nodes)}, got {', '.join(unknown)}")
    return [node for node in nodes if node in names and node not in excluded]
