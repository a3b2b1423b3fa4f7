"""
The faults that Toxiproxy injects, a record for each: which toxic that is, and how it is measured.

Values are those of the history: `*_ms`, `*_bytes`, `rate_kb_s` (thousands of bytes per second).
"""

from __future__ import annotations

from functools import partial
from typing import Final

from dissever.harness.cluster import HostCommands, Hosts, Sockets
from dissever.nemesis.connections import measures
from dissever.nemesis.connections.measures import Measure
from dissever.nemesis.connections.toxic import ToxicFault, ToxicOf
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.needs import Need, Offer
from dissever.nemesis.parameters import Parameter, Settings, number, one_of
from dissever.nemesis.targets import LINK_TARGETS, WAY
from dissever.nemesis.toxiproxy import Effect, toxics

__all__ = ["TOXICS"]

BYTES_MAX: Final = 1 << 40

_TOXICITY: Final = number("toxicity", "the share of connections that suffer", 0.0, 1.0, default=1.0)


def _ms(name: str, description: str, least: int, *drawn: int) -> Parameter:
    return number(name, description, least, 60_000, one_of(*drawn))


def _latency(settings: Settings) -> Effect:
    delay_ms, jitter_ms = settings["delay_ms"], settings["jitter_ms"]
    if jitter_ms >= delay_ms:
        raise ValueError(f"expected a jitter_ms below delay_ms {delay_ms}, got {jitter_ms}")
    return toxics.latency(delay_ms / 1000, jitter_ms / 1000)


def _slicer(settings: Settings) -> Effect:
    size = settings["slice_bytes"]
    return toxics.slicer(size, size // 4, settings["delay_ms"] / 1000)


def _toxic(
    name: str,
    description: str,
    effect: ToxicOf,
    measure: Measure,
    held: str,
    *parameters: Parameter,
) -> Fault:
    return Fault(
        name=name,
        description=description,
        targets=LINK_TARGETS,
        parameters=(WAY, *parameters, _TOXICITY),
        heals=Heals.LINKS,
        needs=(HostCommands, Sockets, Need.TOXIPROXY, Offer.PEER_PORTS),
        hosts=Hosts(proxies=True),
        check=effect,
        prepares=True,
        make=partial(ToxicFault, effect=effect, measure=measure),
        held=held,
        healed="the measure says no, and the server lists no toxic",
    )


TOXICS: Final[tuple[Fault, ...]] = (
    _toxic(
        "latency",
        "delay what nodes send each other, more or less a jitter; order is kept",
        _latency,
        measures.latency,
        "no round trip is faster than the delay",
        _ms("delay_ms", "delay of what is sent", 1, 50, 100, 200, 400),
        _ms("jitter_ms", "the delay varies by this much; must be below it", 0, 0, 0, 5, 10, 20),
    ),
    _toxic(
        "bandwidth",
        "let nodes send each other only that much per second, and queue the rest",
        lambda settings: toxics.bandwidth(settings["rate_kb_s"] * 1000),
        measures.bandwidth,
        "throughput is at most 1.5 times the rate",
        number("rate_kb_s", "what a connection passes", 1, 1_000_000, one_of(10, 50, 200, 1000)),
    ),
    _toxic(
        "slicer",
        "cut what nodes send each other into small pieces, with pauses between them",
        _slicer,
        measures.slicer,
        "twenty pieces take twenty pauses",
        number(
            "slice_bytes",
            "about the size of a piece",
            1,
            BYTES_MAX,
            one_of(16, 64, 256),
        ),
        number("delay_ms", "pause between two pieces", 1.0, 60_000.0, one_of(1, 2, 5)),
    ),
    _toxic(
        "slow-close",
        "pass the end of connections between nodes on later",
        lambda settings: toxics.slow_close(settings["delay_ms"] / 1000),
        measures.slow_close,
        "the end of a connection comes back that much later",
        _ms("delay_ms", "delay of the end", 50, 100, 300, 1000),
    ),
    _toxic(
        "reset",
        "reset connections between nodes as soon as they carry something",
        lambda settings: toxics.reset_peer(settings["after_ms"] / 1000),
        measures.reset,
        "a reset, or an end, instead of an echo",
        _ms("after_ms", "time from the byte to the reset", 0, 0, 20, 100),
    ),
    _toxic(
        "limit",
        "end connections between nodes after a number of bytes",
        lambda settings: toxics.limit_data(settings["limit_bytes"]),
        measures.limit,
        "no more bytes come back, then the end",
        number(
            "limit_bytes",
            "what a connection carries",
            0,
            BYTES_MAX,
            one_of(1_000, 10_000, 100_000),
        ),
    ),
    _toxic(
        "timeout",
        "lose what nodes send each other, and end connections that are silent for a while",
        lambda settings: toxics.timeout(settings["after_ms"] / 1000),
        measures.timeout,
        "nothing comes back but the end",
        _ms("after_ms", "silence after which it ends", 1, 50, 200, 600),
    ),
    _toxic(
        "black-hole",
        "lose what nodes send each other on connections that stay open",
        lambda _: toxics.timeout(0),
        measures.black_hole,
        "nothing comes back, and no end",
    ),
)
