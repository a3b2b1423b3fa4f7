"""
Whether a fault of packets acts, as a burst over the link shows. Pure.

Each measure must say no before the fault, yes while it is in force, and no afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dissever.nemesis.packets.bursts import HEADERS_BYTES, Burst, Size
from dissever.nemesis.parameters import Settings

__all__ = ["DAMAGED", "DUPLICATED", "LATE", "LIMITED", "LOST", "REORDERED", "Measure"]

COUNT: Final = 300
SMALL_BYTES: Final = 200
FULL_BYTES: Final = 1400
GAP_US: Final = 200

SHARE_LEAST: Final = 0.4
"""Of `COUNT` datagrams chance may take less than was asked for, or more."""

RATE_MOST: Final = 1.5
PACE_MOST: Final = 3.0
"""A kernel whose timer is late lets two through at a time."""

RATE_TIME_S: Final = 0.4
_TICK_MS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Measure:
    """
    How a burst shows a fault.

    `shown` is the field of `Burst` that it shows in, and `acts` says whether it is as the settings
    ask. `bytes`: of a datagram.
    """

    shown: str
    acts: Callable[[Settings, Burst], bool]
    bytes: int = SMALL_BYTES

    def size(self, settings: Settings) -> Size:
        """The burst: what shows the fault in half a second or so."""
        if "rate_kb_s" in settings:
            bytes_ = round(1000 * RATE_TIME_S * settings["rate_kb_s"])
            count = min(COUNT, 20 + 2 * bytes_ // (FULL_BYTES + HEADERS_BYTES))
            return Size(count, FULL_BYTES, gap_us=0, settle_s=RATE_TIME_S + 0.2)
        delay_s = (settings.get("delay_ms", 0) + settings.get("jitter_ms", 0)) / 1000
        return Size(COUNT, self.bytes, GAP_US, settle_s=0.1 + delay_s)

    def facts(self, burst: Burst) -> Mapping[str, Any]:
        """What the history keeps of a burst: what it was sent for."""
        return {"sent": burst.sent, self.shown: getattr(burst, self.shown)}


def _is_lossy(settings: Settings, burst: Burst) -> bool:
    return _share(settings) <= burst.lost < burst.sent


def _is_late(settings: Settings, burst: Burst) -> bool:
    least_ms = settings["delay_ms"] - settings["jitter_ms"] - _TICK_MS
    return burst.delay_ms is not None and burst.delay_ms[0] >= least_ms


def _is_limited(settings: Settings, burst: Burst) -> bool:
    if burst.kb_s is None or burst.pace_kb_s is None:
        return False
    rate = float(settings["rate_kb_s"])
    return burst.kb_s <= RATE_MOST * rate and burst.pace_kb_s <= PACE_MOST * rate


def _share(settings: Settings) -> float:
    return SHARE_LEAST * COUNT * float(settings["percent"]) / 100


LOST: Final = Measure("lost", _is_lossy)
LIMITED: Final = Measure("kb_s", _is_limited)
LATE: Final = Measure("delay_ms", _is_late)
DUPLICATED: Final = Measure("duplicated", lambda at, burst: burst.duplicated >= _share(at))
DAMAGED: Final = Measure("damaged", lambda at, burst: burst.damaged >= _share(at), FULL_BYTES)
REORDERED: Final = Measure("reordered", lambda at, burst: burst.reordered >= _share(at))
