"""Whom a fault met: the leader, followers or both, where the evidence or a simulation knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

from dissever.harness.episodes import Episode, Episodes, evidence
from dissever.reports.insight import Insight

Look: TypeAlias = tuple[int, str, bool | None]
"""A time in ns, a node, and whether it leads from then on; None: not known."""

LEADER = "leader"
FOLLOWERS = "followers"
BOTH = "leader and followers"


def role_of(episode: Episode, leading: Collection[str] = ()) -> str:
    """
    Whom a strike met; empty when nobody knows who led.

    Args:
        leading: Who led, where the evidence does not say.
    """
    told = evidence(episode.injection).get("leading")
    leaders = set(map(str, told)) if isinstance(told, (list, tuple)) else set(leading)
    struck = set(episode.targets)
    if not struck or not leaders:
        return ""
    if struck <= leaders:
        return LEADER
    return BOTH if struck & leaders else FOLLOWERS


def leading_at(found: Episodes, looks: Iterable[Look]) -> dict[int, tuple[str, ...]]:
    """
    The index of an injection -> the nodes that led when it was asked for, as far as was seen.

    Args:
        looks: By time. The last one at a node before the injection counts.
    """
    every: dict[int, tuple[str, ...]] = {}
    leads: dict[str, bool | None] = {}
    coming = iter(looks)
    look = next(coming, None)
    for episode in sorted(found.strikes, key=lambda each: each.injection.invocation.time):
        invocation = episode.injection.invocation
        while look is not None and look[0] <= invocation.time:
            leads[look[1]] = look[2]
            look = next(coming, None)
        every[invocation.index] = tuple(node for node, is_so in leads.items() if is_so)
    return every


def looks_of(insight: Insight) -> Iterator[Look]:
    """Who led from when on: as the trace of a simulation says, or as real hosts were asked."""
    if insight.simulation is not None:
        return ((s.time_ns, s.node, s.role == LEADER) for s in insight.simulation.states)
    return ((s.time_ns, s.node, s.leads) for s in insight.states.states)
