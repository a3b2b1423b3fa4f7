"""Whom a fault met: the leader, followers or both, where the evidence or a simulation knows."""

from __future__ import annotations

from collections.abc import Collection

from dissever.harness.episodes import Episode, Episodes, evidence
from dissever.reports.simulation import Simulation

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


def leading_at(found: Episodes, simulation: Simulation) -> dict[int, tuple[str, ...]]:
    """The index of an injection -> the servers that led when it was asked for."""
    every: dict[int, tuple[str, ...]] = {}
    roles: dict[str, str] = {}
    states = iter(simulation.states)
    coming = next(states, None)
    for episode in found.strikes:
        invocation = episode.injection.invocation
        while coming is not None and coming.time_ns <= invocation.time:
            roles[coming.node] = coming.role
            coming = next(states, None)
        every[invocation.index] = tuple(node for node, role in roles.items() if role == LEADER)
    return every
