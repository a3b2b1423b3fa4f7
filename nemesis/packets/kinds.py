"""
The faults of packets between nodes: what the seed draws for each, and what makes the kernel do it.

`netem-*` need the kernel's sch_netem; `packet-loss` is nft's and `packet-rate` is tbf's, which are
everywhere. Pure. Values are those of the history: `percent`, `*_ms`, `rate_kb_s` (thousands of
bytes per second).

Source: tc-netem(8), tc-tbf(8), nft(8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, Final, TypeAlias

from dissever.nemesis.links import Way, draw_way

__all__ = ["PACKET_KINDS", "Means", "PacketKind"]

PERCENT_MAX: Final = 90
"""Nothing passes at all is a partition's."""

NETEM_QUEUE: Final = 10_000
"""Packets; netem's own 1000 would be lost packets where nobody asked for them."""

TBF_LATENCY_MS: Final = 400
"""A packet that would wait for longer is dropped."""

BURST_BYTES_LEAST: Final = 5_000
TICKS_PER_S: Final = 50
"""What is let through at once is a 50th of the rate, so that a kernel's timer can keep it up."""

Told: TypeAlias = Mapping[str, Any]


class Means(StrEnum):
    """What does it."""

    NETEM = "netem"
    TBF = "tbf"
    NFT = "nft"


@dataclass(frozen=True, slots=True)
class PacketKind:
    """
    One of these faults. `settings`: what it may be told, each with the values that are drawn.

    `words` gives those of the queueing discipline for tc, or none; it raises ValueError when the
    settings do not fit.
    """

    description: str
    means: Means
    settings: Mapping[str, tuple[float, ...]]
    words: Callable[[Told], Sequence[str]]

    def draw(self, rng: Random) -> Told:
        """Which directions, and how badly."""
        return {"way": draw_way(rng), **{n: rng.choice(v) for n, v in self.settings.items()}}

    def filled(self, told: Told) -> Told:
        """
        Every setting: what was told, and the middling value of what was not.

        Raises:
            ValueError: When one is no number, or out of its range.
        """
        filled = {name: told.get(name, v[len(v) // 2]) for name, v in self.settings.items()}
        for name, value in filled.items():
            least, most = _RANGES[name]
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"expected a number as {name}, got {value!r}")
            if not least <= value <= most:
                raise ValueError(f"expected a {name} from {least} to {most}, got {value}")
        return filled

    def fits(self, told: Told) -> None:
        """Raises ValueError when what it is told makes no sense."""
        Way(told.get("way", Way.BOTH))
        self.words(self.filled(told))


_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "percent": (1, PERCENT_MAX),
    "delay_ms": (1, 10_000),
    "jitter_ms": (0, 10_000),
    "burst_packets": (1, 100),
    "rate_kb_s": (1, 1_000_000),
}


def _delay(told: Told) -> Sequence[str]:
    delay_ms, jitter_ms = told["delay_ms"], told["jitter_ms"]
    if jitter_ms >= delay_ms:
        raise ValueError(f"expected a jitter_ms below delay_ms {delay_ms}, got {jitter_ms}")
    return ("delay", f"{delay_ms}ms", *([f"{jitter_ms}ms"] if jitter_ms else []))


def _bursts_of_loss(told: Told) -> Sequence[str]:
    """Gilbert's model: in its bad state all is lost, and bursts are so long on average."""
    share = told["percent"] / 100
    leave = 1 / told["burst_packets"]
    enter = min(1.0, leave * share / (1 - share))
    return ("loss", "gemodel", f"{100 * enter:.4f}%", f"{100 * leave:.4f}%")


def _reorder(told: Told) -> Sequence[str]:
    """That share overtakes the others, which wait."""
    return ("delay", f"{told['delay_ms']}ms", "reorder", f"{told['percent']}%")


def _netem_rate(told: Told) -> Sequence[str]:
    return ("rate", f"{round(8000 * told['rate_kb_s'])}bit")


def _tbf(told: Told) -> Sequence[str]:
    rate = round(1000 * told["rate_kb_s"])
    burst = max(BURST_BYTES_LEAST, rate // TICKS_PER_S)
    return ("rate", f"{8 * rate}bit", "burst", str(burst), "latency", f"{TBF_LATENCY_MS}ms")


PACKET_KINDS: Mapping[str, PacketKind] = {
    "packet-loss": PacketKind(
        "lose a share of what nodes send each other",
        Means.NFT,
        {"percent": (5, 10, 20, 40)},
        lambda _: (),
    ),
    "packet-rate": PacketKind(
        "let a node send each peer only so much per second, and drop what waits for too long",
        Means.TBF,
        {"rate_kb_s": (20, 50, 200, 500)},
        _tbf,
    ),
    "netem-delay": PacketKind(
        "delay packets, more or less a jitter that may reorder them",
        Means.NETEM,
        {"delay_ms": (25, 50, 100, 200), "jitter_ms": (0, 5, 20)},
        _delay,
    ),
    "netem-loss": PacketKind(
        "lose packets in bursts",
        Means.NETEM,
        {"percent": (5, 10, 20), "burst_packets": (2, 5, 10)},
        _bursts_of_loss,
    ),
    "netem-duplicate": PacketKind(
        "let a share of packets arrive twice",
        Means.NETEM,
        {"percent": (5, 20, 50)},
        lambda told: ("duplicate", f"{told['percent']}%"),
    ),
    "netem-corrupt": PacketKind(
        "flip a bit in a share of packets",
        Means.NETEM,
        {"percent": (2, 5, 20)},
        lambda told: ("corrupt", f"{told['percent']}%"),
    ),
    "netem-reorder": PacketKind(
        "let a share of packets overtake those before them, which wait",
        Means.NETEM,
        {"percent": (10, 25, 50), "delay_ms": (10, 20, 50)},
        _reorder,
    ),
    "netem-rate": PacketKind(
        "let a node send its peers only so much per second, and queue the rest",
        Means.NETEM,
        {"rate_kb_s": (20, 50, 200, 500)},
        _netem_rate,
    ),
}
"""The faults by name."""
