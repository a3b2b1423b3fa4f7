"""
The faults of packets between nodes, a record for each: what makes the kernel do it, and how a burst
shows it.

`netem-*` need the kernel's sch_netem; `packet-loss` is nft's and `packet-rate` is tbf's, which most
kernels have. Values are those of the history: `percent`, `*_ms`, `rate_kb_s` (thousands of bytes
per second).

Source: tc-netem(8), tc-tbf(8), nft(8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from dissever.harness.cluster import HostCommands
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.needs import Need
from dissever.nemesis.packets import measures
from dissever.nemesis.packets.fault import PacketFault, Words
from dissever.nemesis.packets.means import Means
from dissever.nemesis.packets.measures import Measure
from dissever.nemesis.parameters import Parameter, Settings, number, one_of
from dissever.nemesis.targets import LINK_TARGETS, WAY

__all__ = ["PACKETS"]

PERCENT_MAX: Final = 90.0
"""A fault that lets nothing pass at all is a partition."""

TBF_LATENCY_MS: Final = 400
"""A packet that would wait for longer is dropped."""

BURST_BYTES_LEAST: Final = 5_000
TICKS_PER_S: Final = 50
"""A 50th of the rate is let through at once, so that a kernel's timer can keep the rate up."""

_NEEDS: Final[Mapping[Means, Need]] = {
    Means.NFT: Need.LOSS,
    Means.TBF: Need.TBF,
    Means.NETEM: Need.NETEM,
}


_RATE: Final = number("rate_kb_s", "what a link passes", 1.0, 1_000_000.0, one_of(20, 50, 200, 500))


def _percent(*drawn: int) -> Parameter:
    return number("percent", "share of packets", 1.0, PERCENT_MAX, one_of(*drawn))


def _ms(name: str, description: str, least: float, *drawn: int) -> Parameter:
    return number(name, description, least, 10_000.0, one_of(*drawn))


def _delay(settings: Settings) -> Sequence[str]:
    delay_ms, jitter_ms = settings["delay_ms"], settings["jitter_ms"]
    if jitter_ms >= delay_ms:
        raise ValueError(f"expected a jitter_ms below delay_ms {delay_ms}, got {jitter_ms}")
    return ("delay", f"{delay_ms}ms", *([f"{jitter_ms}ms"] if jitter_ms else []))


def _bursts_of_loss(settings: Settings) -> Sequence[str]:
    """Gilbert's model: in its bad state all is lost; `burst_packets` is its mean length."""
    share = settings["percent"] / 100
    leave = 1 / settings["burst_packets"]
    enter = min(1.0, leave * share / (1 - share))
    return ("loss", "gemodel", f"{100 * enter:.4f}%", f"{100 * leave:.4f}%")


def _reorder(settings: Settings) -> Sequence[str]:
    """That share overtakes the others, which wait."""
    return ("delay", f"{settings['delay_ms']}ms", "reorder", f"{settings['percent']}%")


def _netem_rate(settings: Settings) -> Sequence[str]:
    return ("rate", f"{round(8000 * settings['rate_kb_s'])}bit")


def _tbf(settings: Settings) -> Sequence[str]:
    rate = round(1000 * settings["rate_kb_s"])
    burst = max(BURST_BYTES_LEAST, rate // TICKS_PER_S)
    return ("rate", f"{8 * rate}bit", "burst", str(burst), "latency", f"{TBF_LATENCY_MS}ms")


def _packet(
    name: str,
    description: str,
    means: Means,
    words: Words,
    measure: Measure,
    held: str,
    *parameters: Parameter,
) -> Fault:
    return Fault(
        name=name,
        description=description,
        targets=LINK_TARGETS,
        parameters=(WAY, *parameters),
        heals=Heals.LINKS,
        group="packets",
        needs=(HostCommands, _NEEDS[means]),
        check=words,
        prepares=True,
        make=partial(PacketFault, means=means, words=words, measure=measure),
        held=held,
        healed="a burst says no, and no rule is left",
    )


PACKETS: Final[tuple[Fault, ...]] = (
    _packet(
        "packet-loss",
        "lose a share of what nodes send each other",
        Means.NFT,
        lambda _: (),
        measures.LOST,
        "about that share of datagrams is lost; the rule counts what came and what was lost",
        _percent(5, 10, 20, 40),
    ),
    _packet(
        "packet-rate",
        "let a node send each peer only that much per second, and drop what would wait over 0.4 s",
        Means.TBF,
        _tbf,
        measures.LIMITED,
        "throughput is at most 1.5 times the rate; the queue counts what it held back",
        _RATE,
    ),
    _packet(
        "netem-delay",
        "delay packets, more or less a jitter that may reorder them",
        Means.NETEM,
        _delay,
        measures.LATE,
        "none is faster than the delay",
        _ms("delay_ms", "delay of a packet", 1.0, 25, 50, 100, 200),
        _ms("jitter_ms", "the delay varies by this much; must be below it", 0.0, 0, 5, 20),
    ),
    _packet(
        "netem-loss",
        "lose packets in bursts, by Gilbert's model",
        Means.NETEM,
        _bursts_of_loss,
        measures.LOST,
        "about that share of datagrams is lost",
        _percent(5, 10, 20),
        number("burst_packets", "mean length of a burst", 1.0, 100.0, one_of(2, 5, 10)),
    ),
    _packet(
        "netem-duplicate",
        "let a share of packets arrive twice",
        Means.NETEM,
        lambda settings: ("duplicate", f"{settings['percent']}%"),
        measures.DUPLICATED,
        "about that share comes twice",
        _percent(5, 20, 50),
    ),
    _packet(
        "netem-corrupt",
        "flip a bit in a share of packets",
        Means.NETEM,
        lambda settings: ("corrupt", f"{settings['percent']}%"),
        measures.DAMAGED,
        "about that share arrives damaged",
        _percent(2, 5, 20),
    ),
    _packet(
        "netem-reorder",
        "let a share of packets overtake those before them, which wait",
        Means.NETEM,
        _reorder,
        measures.REORDERED,
        "about that share arrives after a later one",
        _percent(10, 25, 50),
        _ms("delay_ms", "delay of those that wait", 1.0, 10, 20, 50),
    ),
    _packet(
        "netem-rate",
        "let a node send its peers only that much per second, and queue the rest",
        Means.NETEM,
        _netem_rate,
        measures.LIMITED,
        "throughput is at most 1.5 times the rate",
        _RATE,
    ),
)
