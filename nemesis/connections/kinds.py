"""
The faults that Toxiproxy injects: what the seed draws for each, and which toxic that is. Pure.

Values are those of the history: `*_ms`, `*_bytes`, `rate_kb_s` (thousands of bytes per second).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from dissever.nemesis.links import Way, draw_way
from dissever.nemesis.toxiproxy import Effect, toxics

__all__ = ["TOXIC_KINDS", "ToxicKind"]


@dataclass(frozen=True, slots=True)
class ToxicKind:
    """
    One of these faults. `settings`: what it may be told, each with the values that are drawn.

    `effect` raises ValueError when they do not fit.
    """

    description: str
    settings: Mapping[str, tuple[int, ...]]
    effect: Callable[[Mapping[str, Any]], Effect]

    def draw(self, rng: Random) -> Mapping[str, Any]:
        """Which directions, and how badly."""
        return {"way": draw_way(rng), **{n: rng.choice(v) for n, v in self.settings.items()}}

    def filled(self, told: Mapping[str, Any]) -> Mapping[str, Any]:
        """Every setting: what was told, and the middling value of what was not."""
        return {name: told.get(name, v[len(v) // 2]) for name, v in self.settings.items()}

    def fits(self, told: Mapping[str, Any]) -> None:
        """Raises ValueError when what it is told makes no sense."""
        Way(told.get("way", Way.BOTH))
        self.effect(self.filled(told))


def _latency(told: Mapping[str, Any]) -> Effect:
    delay_ms, jitter_ms = told["delay_ms"], told["jitter_ms"]
    if not 0 <= jitter_ms < delay_ms:
        raise ValueError(f"expected a jitter_ms below delay_ms {delay_ms}, got {jitter_ms}")
    return toxics.latency(delay_ms / 1000, jitter_ms / 1000)


def _bandwidth(told: Mapping[str, Any]) -> Effect:
    if told["rate_kb_s"] < 1:
        raise ValueError(f"expected a rate_kb_s of at least 1, got {told['rate_kb_s']}")
    return toxics.bandwidth(told["rate_kb_s"] * 1000)


def _slicer(told: Mapping[str, Any]) -> Effect:
    if told["delay_ms"] < 1:
        raise ValueError(f"expected a delay_ms of at least 1, got {told['delay_ms']}")
    size = told["slice_bytes"]
    return toxics.slicer(size, size // 4, told["delay_ms"] / 1000)


def _slow_close(told: Mapping[str, Any]) -> Effect:
    if told["delay_ms"] < 50:
        raise ValueError(f"expected a delay_ms of at least 50, got {told['delay_ms']}")
    return toxics.slow_close(told["delay_ms"] / 1000)


def _timeout(told: Mapping[str, Any]) -> Effect:
    if told["after_ms"] < 1:
        raise ValueError(f"expected an after_ms of at least 1, got {told['after_ms']}")
    return toxics.timeout(told["after_ms"] / 1000)


TOXIC_KINDS: Mapping[str, ToxicKind] = {
    "latency": ToxicKind(
        "delay what nodes send each other, more or less a jitter",
        {"delay_ms": (50, 100, 200, 400), "jitter_ms": (0, 0, 5, 10, 20)},
        _latency,
    ),
    "bandwidth": ToxicKind(
        "let nodes send each other only so much per second",
        {"rate_kb_s": (10, 50, 200, 1000)},
        _bandwidth,
    ),
    "slicer": ToxicKind(
        "cut what nodes send each other into small pieces, with pauses between them",
        {"slice_bytes": (16, 64, 256), "delay_ms": (1, 2, 5)},
        _slicer,
    ),
    "slow-close": ToxicKind(
        "tell nodes late that a connection has ended",
        {"delay_ms": (100, 300, 1000)},
        _slow_close,
    ),
    "reset": ToxicKind(
        "reset connections between nodes as soon as they carry something",
        {"after_ms": (0, 20, 100)},
        lambda told: toxics.reset_peer(told["after_ms"] / 1000),
    ),
    "limit": ToxicKind(
        "end connections between nodes after so many bytes",
        {"limit_bytes": (1_000, 10_000, 100_000)},
        lambda told: toxics.limit_data(told["limit_bytes"]),
    ),
    "timeout": ToxicKind(
        "lose what nodes send each other, and end connections that are silent for a while",
        {"after_ms": (50, 200, 600)},
        _timeout,
    ),
    "black-hole": ToxicKind(
        "lose what nodes send each other on connections that stay open",
        {},
        lambda _: toxics.timeout(0),
    ),
}
"""By the name of the fault."""
