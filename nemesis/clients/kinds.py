"""
The faults of links between clients and nodes: what the seed draws for each. Pure.

Source: what a client meets in practice: a firewall, a router that forgets, a balancer that ends
connections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from dissever.nemesis.links import Way, draw_way

__all__ = ["CLIENT_KINDS", "ClientKind", "every_s"]

EVERY_MS: Final = (100, 300, 1000)
EVERY_MS_LEAST: Final = 50


@dataclass(frozen=True, slots=True)
class ClientKind:
    """What the planner knows of one of these faults; `fits` raises ValueError."""

    draw: Callable[[Random], Mapping[str, Any]]
    fits: Callable[[Mapping[str, Any]], object]


def every_s(told: Mapping[str, Any]) -> float:
    """How often connections are reset, in s. Raises ValueError."""
    every_ms = told.get("every_ms", EVERY_MS[1])
    if isinstance(every_ms, bool) or not isinstance(every_ms, int | float):
        raise ValueError(f"expected a number as every_ms, got {every_ms!r}")
    if every_ms < EVERY_MS_LEAST:
        raise ValueError(f"expected an every_ms of at least {EVERY_MS_LEAST}, got {every_ms}")
    return every_ms / 1000


CLIENT_KINDS: Final[Mapping[str, ClientKind]] = {
    "client-cut": ClientKind(
        lambda rng: {"way": draw_way(rng)}, lambda told: Way(told.get("way", Way.BOTH))
    ),
    "client-reset": ClientKind(lambda rng: {"every_ms": rng.choice(EVERY_MS)}, every_s),
}
"""The faults by name."""
