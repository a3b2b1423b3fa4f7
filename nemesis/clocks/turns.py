"""
The ways in which a clock goes wrong, and how wrong: drawn for the plan. Pure.

Source: Jepsen, `nemesis/time.clj`; the sizes of its skews go from 11 ms to 288 s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from random import Random
from typing import Any

__all__ = ["CLOCK_DRAWS", "MONOTONIC", "WALL", "Turn", "turn_of"]

JUMP_S = (0.05, 288.0)
"""Least and most of a jump or a strobe; drawn so that each power of ten is as likely as another."""

STROBE_S = (0.05, 0.5)
DRIFT = (0.02, 0.5)
"""How many seconds a drifting clock gains or loses in one, least and most."""


class Turn(StrEnum):
    """How a clock goes wrong."""

    JUMP = "jump"
    STROBE = "strobe"
    DRIFT = "drift"


def _draw_jump(rng: Random, *, is_signed: bool = True) -> Mapping[str, Any]:
    """How far the clock jumps."""
    offset_s = math.exp(rng.uniform(*map(math.log, JUMP_S)))
    sign = rng.choice((-1, 1)) if is_signed else 1
    return {"offset_s": round(sign * offset_s, 3)}


def _draw_strobe(rng: Random) -> Mapping[str, Any]:
    """How far the clock jumps to and fro, and how long it stays."""
    return {**_draw_jump(rng), "period_s": round(rng.uniform(*STROBE_S), 3)}


def _draw_drift(rng: Random, *, is_signed: bool = True) -> Mapping[str, Any]:
    """How many seconds the clock gains in one."""
    rate = rng.uniform(*DRIFT)
    return {"rate": round((rng.choice((-1, 1)) if is_signed else 1) * rate, 3)}


CLOCK_DRAWS: Mapping[str, Callable[[Random], Mapping[str, Any]]] = {
    "clock-jump": _draw_jump,
    "clock-strobe": _draw_strobe,
    "clock-drift": _draw_drift,
    "monotonic-jump": partial(_draw_jump, is_signed=False),
    "monotonic-drift": partial(_draw_drift, is_signed=False),
}
"""Fault -> what its injection is told beside its targets."""


MONOTONIC = frozenset(name for name in CLOCK_DRAWS if name.startswith("monotonic-"))
WALL = frozenset(CLOCK_DRAWS) - MONOTONIC


def turn_of(fault: str) -> Turn:
    """How a fault turns clocks: the last word of its name."""
    return Turn(fault.rpartition("-")[2])
