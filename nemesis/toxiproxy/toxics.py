"""
Toxics as values that the server would understand: the server itself checks almost nothing.

To it a misspelt attribute is none and counts as 0, a toxicity of 7 is fine, and a slicer of average
size 0 ends the process. Durations are in seconds here, and in whatever unit the toxic takes there.

Source: Shopify/toxiproxy v2.12.0, `toxics/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final

__all__ = [
    "Direction",
    "Effect",
    "Toxic",
    "bandwidth",
    "latency",
    "limit_data",
    "reset_peer",
    "slicer",
    "slow_close",
    "timeout",
]

_DURATION_MAX_S: Final = 86_400
_MS: Final = 1000
_US: Final = 1_000_000
_BYTES_MAX: Final = 1 << 40

_DURATION_MS: Final = (0, _DURATION_MAX_S * _MS)

ATTRIBUTES: Final[Mapping[str, Mapping[str, tuple[int, int]]]] = {
    "latency": {"latency": _DURATION_MS, "jitter": _DURATION_MS},
    "bandwidth": {"rate": (0, _BYTES_MAX)},
    "slow_close": {"delay": _DURATION_MS},
    "timeout": {"timeout": _DURATION_MS},
    "reset_peer": {"timeout": _DURATION_MS},
    "slicer": {
        "average_size": (1, _BYTES_MAX),
        "size_variation": (0, _BYTES_MAX),
        "delay": (0, _DURATION_MAX_S * _US),
    },
    "limit_data": {"bytes": (0, _BYTES_MAX)},
    "noop": {},
}
"""Type -> attribute -> least and most, both allowed, in the server's unit."""


class Direction(StrEnum):
    """Which way data flow that a toxic acts on."""

    UPSTREAM = "upstream"
    """From who connects to who is connected to."""

    DOWNSTREAM = "downstream"


@dataclass(frozen=True, slots=True)
class Effect:
    """
    What a toxic does: its type, and all of its attributes in the server's units.

    Raises:
        ValueError: For a type or an attribute that there is not, or a value out of range.
    """

    type: str
    attributes: Mapping[str, int]

    def __post_init__(self) -> None:
        _known("type of toxic", self.type, ATTRIBUTES)
        ranges = ATTRIBUTES[self.type]
        for name in self.attributes:
            _known(f"attribute of {self.type}", name, ranges)
        whole = {name: self.attributes.get(name, 0) for name in ranges}
        for name, (least, most) in ranges.items():
            value = whole[name]
            if type(value) is not int or not least <= value <= most:
                raise ValueError(
                    f"{self.type}: expected {name} from {least} to {most}, got {value!r}"
                )
        if self.type == "slicer" and whole["size_variation"] >= whole["average_size"]:
            raise ValueError(
                f"slicer: expected a size_variation below the average_size"
                f" {whole['average_size']}, got {whole['size_variation']}"
            )
        object.__setattr__(self, "attributes", whole)


@dataclass(frozen=True, slots=True)
class Toxic:
    """
    An effect on one direction of a proxy.

    `toxicity`, 0 to 1, is the share of connections that it takes; it is drawn for a connection when
    that opens, and again at every change. `name` is unique on its proxy, in both directions.
    """

    effect: Effect
    direction: Direction = Direction.DOWNSTREAM
    toxicity: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.toxicity <= 1.0:
            raise ValueError(f"expected a toxicity from 0 to 1, got {self.toxicity!r}")
        if not self.name:
            object.__setattr__(self, "name", f"{self.effect.type}_{self.direction}")

    def as_json(self) -> dict[str, Any]:
        """What the server takes, and gives."""
        return {
            "name": self.name,
            "type": self.effect.type,
            "stream": self.direction.value,
            "toxicity": self.toxicity,
            "attributes": dict(self.effect.attributes),
        }


def latency(delay_s: float, jitter_s: float = 0.0) -> Effect:
    """Hold back each chunk for the delay, more or less the jitter (uniform); order is kept."""
    return Effect("latency", {"latency": _whole(delay_s, _MS), "jitter": _whole(jitter_s, _MS)})


def bandwidth(rate_bytes_s: int) -> Effect:
    """Pass so many bytes per second, in whole thousands; 0 passes nothing, and loses nothing."""
    return Effect("bandwidth", {"rate": _whole(rate_bytes_s, 0.001)})


def slow_close(delay_s: float) -> Effect:
    """Pass the end of the connection on so much later."""
    return Effect("slow_close", {"delay": _whole(delay_s, _MS)})


def timeout(after_s: float) -> Effect:
    """
    Lose all data, and close the connection once none came for so long; 0: never.

    The time counts from the last chunk, so a connection in use is not closed. Removing it closes
    all connections.
    """
    return Effect("timeout", {"timeout": _whole(after_s, _MS)})


def reset_peer(after_s: float) -> Effect:
    """
    Reset the connection so long after its next byte.

    One that is older than the toxic is closed instead; one that is silent is left alone.
    """
    return Effect("reset_peer", {"timeout": _whole(after_s, _MS)})


def slicer(average_bytes: int, variation_bytes: int = 0, delay_s: float = 0.0) -> Effect:
    """Pass data in slices of more or less so many bytes, with a delay between them."""
    attributes = {
        "average_size": average_bytes,
        "size_variation": variation_bytes,
        "delay": _whole(delay_s, _US),
    }
    return Effect("slicer", attributes)


def limit_data(bytes_max: int) -> Effect:
    """Close each connection once so many bytes have passed on it."""
    return Effect("limit_data", {"bytes": bytes_max})


def _whole(value: float, per_unit: float) -> int:
    """
    A value in the server's unit.

    Raises:
        ValueError: When that is not a whole number, which the server would refuse.
    """
    exact = value * per_unit
    if abs(exact - round(exact)) > 1e-6:
        raise ValueError(f"expected a multiple of {1 / per_unit:g}, got {value!r}")
    return round(exact)


def _known(what: str, name: str, names: Mapping[str, object]) -> None:
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        allowed = ", ".join(names) or "none"
        raise ValueError(f"{what}: expected {allowed}, got {name!r}{hint}")
