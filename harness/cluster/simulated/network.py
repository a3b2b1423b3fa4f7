"""
What becomes of the packets between simulated nodes: cuts, impairments, and the time they take.

Packets of one link keep their order, as on a connection, unless an impairment reorders them.
Impairments are drawn when a packet leaves. A cut drops it where it arrives, as a firewall does.
Each link draws from a stream of its own, so that a packet less on one changes nothing on others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

import msgspec

from dissever.harness.cluster import PROBE_BYTES, Grudge, Impairment, Link, Traffic

LATENCY_S: Final = (0.000_5, 0.003)
"""One-way delay of a packet: least and most."""

GAP_S: Final = 1e-6
"""The least time between two packets of one link."""

HEADER_BYTES: Final = 60

SOUND: Final = Impairment()


@dataclass(slots=True)
class _Impaired:
    """A link that is impaired: what went over it, and what the next packet depends on."""

    impairment: Impairment
    traffic: Traffic = field(default_factory=Traffic)
    is_losing: bool = False
    free_s: float = 0.0
    """When the last packet that was sent has left, where the rate is limited."""

    def count(self, **more: int) -> None:
        now = msgspec.structs.asdict(self.traffic)
        self.traffic = Traffic(**{name: count + more.get(name, 0) for name, count in now.items()})


@dataclass(slots=True)
class _Link:
    """A link: what is drawn for its packets, and when the last of them arrives."""

    rng: Random
    last_s: float = 0.0

    def in_order(self, time_s: float, delay_s: float) -> float:
        """After how many seconds a packet arrives that does not overtake those before it."""
        self.last_s = max(self.last_s + GAP_S, time_s + delay_s)
        return self.last_s - time_s


class Passage(msgspec.Struct, frozen=True):
    """How a packet goes: after how many seconds each copy arrives, and why it is of no use."""

    delays_s: tuple[float, ...]
    lost: str = ""


class Network:
    """The links between nodes. Those to clients, whose end is None, are always sound."""

    def __init__(self, nodes: tuple[str, ...], stream: Callable[[str], Random]) -> None:
        self._nodes = nodes
        self._stream = stream
        self._links: dict[tuple[str | None, str | None], _Link] = {}
        self._grudge: Grudge = {}
        self._dropped: dict[Link, int] = {}
        self._impaired: dict[Link, _Impaired] = {}

    def cut(self, grudge: Grudge) -> None:
        """Replace all cuts. Raises ValueError as `Links.drop` says."""
        for node, sources in grudge.items():
            for source in (node, *sources):
                self._check(source)
            if node in sources:
                raise ValueError(f"expected others for {node} to drop packets from, got itself")
        self._grudge = {node: frozenset(sources) for node, sources in grudge.items() if sources}
        self._dropped = {
            (source, node): 0
            for node in self._nodes
            for source in sorted(self._grudge.get(node, frozenset()))
        }

    def dropped(self) -> Mapping[Link, int]:
        """As `Links.dropped` says."""
        return dict(self._dropped)

    def drops(self, source: str | None, destination: str | None) -> bool:
        """Whether a packet that arrives now is dropped, which counts it."""
        if source is None or destination is None:
            return False
        if source not in self._grudge.get(destination, ()):
            return False
        self._dropped[source, destination] += 1
        return True

    def is_cut(self, source: str, destination: str) -> bool:
        """Whether packets are dropped; counts nothing."""
        return source in self._grudge.get(destination, ())

    def impair(self, links: Mapping[Link, Impairment]) -> None:
        """Replace all impairments. Raises ValueError as `Impairments.impair` says."""
        for source, destination in links:
            self._check(source)
            self._check(destination)
            if source == destination:
                raise ValueError(f"expected a link between two nodes, got {source} to itself")
        self._impaired = {link: _Impaired(impairment) for link, impairment in links.items()}

    def traffic(self) -> Mapping[Link, Traffic]:
        """As `Impairments.traffic` says."""
        return {link: each.traffic for link, each in self._impaired.items()}

    def probe(self, link: Link, count: int, time_s: float) -> tuple[float, ...]:
        """The delays in ms, sorted, of the copies that arrive of datagrams that leave now."""
        delays_s: list[float] = []
        rng, impaired = self._stream("network/probes"), self._impaired.get(link)
        for _ in range(count):
            passage = self._passage(_Link(rng), impaired, PROBE_BYTES, time_s)
            if not passage.lost:
                delays_s += [each for each in passage.delays_s if not self.drops(*link)]
        return tuple(sorted(round(delay_s * 1000, 6) for delay_s in delays_s))

    def passage(
        self, source: str | None, destination: str | None, size_bytes: int, time_s: float
    ) -> Passage:
        """How a packet goes that leaves now."""
        ends = source, destination
        link = self._links.get(ends)
        if link is None:
            link = self._links[ends] = _Link(self._stream(f"network/{source}-{destination}"))
        impaired = None
        if source is not None and destination is not None and self._impaired:
            impaired = self._impaired.get((source, destination))
        return self._passage(link, impaired, size_bytes, time_s)

    def _passage(
        self, link: _Link, impaired: _Impaired | None, size_bytes: int, time_s: float
    ) -> Passage:
        least_s, most_s = LATENCY_S
        delay_s = least_s + (most_s - least_s) * link.rng.random()
        if impaired is None:
            return Passage((link.in_order(time_s, delay_s),))
        return self._impaired_passage(link, impaired, delay_s, size_bytes, time_s)

    def _impaired_passage(
        self, path: _Link, link: _Impaired, delay_s: float, size_bytes: int, time_s: float
    ) -> Passage:
        how, rng = link.impairment, path.rng
        queued_s = self._queued_s(link, size_bytes, time_s)
        if queued_s is None or _loses(link, rng):
            link.count(sent=1, lost=1)
            return Passage((), "loss")
        is_reordered = rng.random() < how.reorder
        is_duplicate = rng.random() < how.duplicate
        is_corrupt = rng.random() < how.corrupt
        added_s = max(0.0, how.delay_ms + how.jitter_ms * rng.uniform(-1, 1)) / 1000
        added_s += queued_s + (how.reorder_ms / 1000 if is_reordered else 0.0)
        link.count(
            sent=1,
            duplicated=is_duplicate,
            reordered=is_reordered,
            corrupted=is_corrupt,
            delayed=added_s > 0,
        )
        delay_s += added_s
        delays_s = [delay_s if is_reordered else path.in_order(time_s, delay_s)]
        if is_duplicate:
            delays_s.append(delay_s + rng.uniform(*LATENCY_S))
        return Passage(tuple(delays_s), "corrupt" if is_corrupt else "")

    def _queued_s(self, link: _Impaired, size_bytes: int, time_s: float) -> float | None:
        """How long a packet waits for those before it; None: too long, and it is dropped."""
        how = link.impairment
        if not how.rate_kb_s:
            return 0.0
        waits_s = max(0.0, link.free_s - time_s)
        if waits_s * 1000 > how.queue_ms:
            return None
        takes_s = (size_bytes + HEADER_BYTES) / (how.rate_kb_s * 1000)
        link.free_s = time_s + waits_s + takes_s
        return waits_s + takes_s

    def _check(self, node: str) -> None:
        if node not in self._nodes:
            raise ValueError(f"expected a node out of {', '.join(self._nodes)}, got {node!r}")


def _loses(link: _Impaired, rng: Random) -> bool:
    """Whether a packet is lost; losses come in bursts by Gilbert's model of two states."""
    loss, burst = link.impairment.loss, link.impairment.burst_packets
    if loss <= 0 or burst <= 1 or loss >= 1:
        return rng.random() < loss
    ends = link.is_losing and rng.random() < 1 / burst
    begins = not link.is_losing and rng.random() < loss / (burst * (1 - loss))
    link.is_losing = begins or (link.is_losing and not ends)
    return link.is_losing
