"""How disks fail: drawn for the plan. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

__all__ = ["DISK_DRAWS"]

SLOW_MS = (5, 500)
"""Of each write, least and most: from a busy disk to one that is about to fail."""

FLIPS = (0.0005, 0.05)
"""Sectors with a wrong bit, of one."""

ERRORS = ("EIO", "ENOSPC")
CALLS = ("write", "fsync", "allocate", "write,fsync,allocate")
CHANCES = (0.05, 0.3, 1.0)
KEEPS = (0.0, 0.5)
"""How many of the sectors that were not synced a power failure spares."""

RESTART_SHARE = 0.2
"""How often a node is started anew on the disk that was filled."""


def _slow(rng: Random) -> Mapping[str, Any]:
    return {"ms": round(math.exp(rng.uniform(*map(math.log, SLOW_MS))))}


def _error(rng: Random) -> Mapping[str, Any]:
    return {"op": rng.choice(CALLS), "errno": rng.choice(ERRORS), **_chance(rng)}


def _torn(rng: Random) -> Mapping[str, Any]:
    return {"errno": "EIO", **_chance(rng)}


def _flip(rng: Random) -> Mapping[str, Any]:
    probability = math.exp(rng.uniform(*map(math.log, FLIPS)))
    return {"probability": round(probability, 5), "rule_seed": rng.getrandbits(32)}


def _chance(rng: Random) -> Mapping[str, Any]:
    return {"probability": rng.choice(CHANCES), "rule_seed": rng.getrandbits(32)}


def _full(rng: Random) -> Mapping[str, Any]:
    return {"restart": rng.random() < RESTART_SHARE}


def _truncate(rng: Random) -> Mapping[str, Any]:
    return {"share": round(rng.uniform(0.01, 0.99), 3), "files": rng.randint(1, 3)}


def _power(rng: Random) -> Mapping[str, Any]:
    return {"keep": rng.choice(KEEPS), "keep_seed": rng.getrandbits(32)}


DISK_DRAWS: Mapping[str, Callable[[Random], Mapping[str, Any]]] = {
    "disk-full": _full,
    "disk-slow": _slow,
    "disk-error": _error,
    "disk-torn": _torn,
    "disk-flip": _flip,
    "disk-truncate": _truncate,
    "power-failure": _power,
}
"""Fault -> what its injection is told beside its targets."""
