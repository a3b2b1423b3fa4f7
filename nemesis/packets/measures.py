"""
Whether a fault of packets acts, as a burst over the link shows. Pure.

Each measure must say no before the fault, yes while it is in force, and no afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from dissever.nemesis.packets.bursts import HEADERS_BYTES, Burst, Size

__all__ = ["acts", "facts", "size"]

COUNT: Final = 300
SMALL_BYTES: Final = 200
FULL_BYTES: Final = 1400
GAP_US: Final = 200

SHARE_LEAST: Final = 0.4
"""Of so many datagrams chance may take less than was asked for, or more."""

RATE_MOST: Final = 1.5
PACE_MOST: Final = 3.0
"""A kernel whose timer is late lets two through at a time."""

RATE_TIME_S: Final = 0.4
_TICK_MS: Final = 1.0

Told: TypeAlias = Mapping[str, Any]


def size(fault: str, told: Told) -> Size:
    """The burst by which a fault is measured: what shows it in half a second or so."""
    if "rate_kb_s" in told:
        bytes_ = round(1000 * RATE_TIME_S * told["rate_kb_s"])
        count = min(COUNT, 20 + 2 * bytes_ // (FULL_BYTES + HEADERS_BYTES))
        return Size(count, FULL_BYTES, gap_us=0, settle_s=RATE_TIME_S + 0.2)
    delay_s = (told.get("delay_ms", 0) + told.get("jitter_ms", 0)) / 1000
    bytes_ = FULL_BYTES if fault == "netem-corrupt" else SMALL_BYTES
    return Size(COUNT, bytes_, GAP_US, settle_s=0.1 + delay_s)


def acts(fault: str, told: Told, burst: Burst) -> bool:
    """Whether the burst shows what the fault is told to do."""
    return _ACTS[fault](told, burst)


def facts(fault: str, burst: Burst) -> Mapping[str, Any]:
    """What the history keeps of a burst: what it was sent for."""
    return {"sent": burst.sent, _SHOWN[fault]: getattr(burst, _SHOWN[fault])}


def _is_lossy(told: Told, burst: Burst) -> bool:
    return _share(told) <= burst.lost < burst.sent


def _is_late(told: Told, burst: Burst) -> bool:
    least_ms = told["delay_ms"] - told["jitter_ms"] - _TICK_MS
    return burst.delay_ms is not None and burst.delay_ms[0] >= least_ms


def _is_limited(told: Told, burst: Burst) -> bool:
    if burst.kb_s is None or burst.pace_kb_s is None:
        return False
    rate = float(told["rate_kb_s"])
    return burst.kb_s <= RATE_MOST * rate and burst.pace_kb_s <= PACE_MOST * rate


def _share(told: Told) -> float:
    return SHARE_LEAST * COUNT * float(told["percent"]) / 100


_ACTS: Mapping[str, Callable[[Told, Burst], bool]] = {
    "packet-loss": _is_lossy,
    "packet-rate": _is_limited,
    "netem-delay": _is_late,
    "netem-loss": _is_lossy,
    "netem-duplicate": lambda told, burst: burst.duplicated >= _share(told),
    "netem-corrupt": lambda told, burst: burst.damaged >= _share(told),
    "netem-reorder": lambda told, burst: burst.reordered >= _share(told),
    "netem-rate": _is_limited,
}
"""By the name of the fault."""

_SHOWN: Mapping[str, str] = {
    "packet-loss": "lost",
    "packet-rate": "kb_s",
    "netem-delay": "delay_ms",
    "netem-loss": "lost",
    "netem-duplicate": "duplicated",
    "netem-corrupt": "damaged",
    "netem-reorder": "reordered",
    "netem-rate": "kb_s",
}
