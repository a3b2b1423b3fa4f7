"""
What crosses the proxies of a host, in each direction, as the kernel sees it.

Counters of nft say how many packets with data went into each proxy and came out of it. The kernel's
own account of each connection says how many bytes the proxy took in and has not passed on yet. That
is where a delay shows in one direction only: a round trip looks the same whichever way is delayed.

Source: nft(8), ss(8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from dissever.nemesis.partitions.grudges import Link
from dissever.nemesis.toxiproxy import Direction

__all__ = ["SAMPLE", "Crossed", "Samples", "Traffic", "crossed", "not_held_up"]

Traffic: TypeAlias = Mapping[Link, Mapping[str, int]]
"""
(host, peer) -> counts of the proxies on that host to that peer: packets `asked` of them, `passed`
on, sent `past` them; and packets with data that came into one, and went out, by direction.
"""

Crossed: TypeAlias = dict[Link, dict[str, int]]
"""
(source, destination) -> packets with data that `came` into a proxy on that link, and `went` out.
"""

SHARE: Final = 0.7
"""Of a delay: the kernel does not look at all connections at the same moment."""

EARLY_LEAST: Final = 3
"""How often data must be seen to go too early: one look alone may be wrong."""

SAMPLE: Final = r"""
import json, re, subprocess, sys, time
count, gap_s, ports = int(sys.argv[1]), float(sys.argv[2]), set(json.loads(sys.argv[3]))
number = lambda name, line: int((re.search(r"\b%s:(\d+)" % name, line) or [0, 0])[1])
samples, times = [], []
for _ in range(count):
    listed = subprocess.run(["ss", "-HtinO", "state", "established"],
                            capture_output=True, text=True, check=True).stdout
    seen = {}
    for line in listed.splitlines():
        own, peer = line.split()[2:4]
        port = int(own.rpartition(":")[2])
        key = str(port) if port in ports else peer
        sent = number("bytes_sent", line) - number("bytes_retrans", line)
        sums = seen.setdefault(key, [0, 0, 0])
        sums[0] += number("bytes_received", line)
        sums[1] += sent
        sums[2] += 1
    samples.append(seen)
    times.append(time.monotonic())
    time.sleep(gap_s)
print(json.dumps({"at_s": times, "seen": samples}))
"""
"""
`COUNT GAP_S PORTS`: when it looked, COUNT times, and what it saw: by local port where that is one
of PORTS, otherwise by the other end, the bytes that connections received and sent, and
how many connections there are.
"""


class Samples(msgspec.Struct, frozen=True):
    """What `SAMPLE` printed."""

    at_s: tuple[float, ...]
    seen: tuple[dict[str, tuple[int, int, int]], ...]


def crossed(before: Traffic, now: Traffic, links: Iterable[Link]) -> Crossed:
    """What crossed each link between two readings, by way of the proxies at both its ends."""
    found: Crossed = {}
    for source, destination in links:
        counts: Counter[str] = Counter()
        for place, direction in (
            ((source, destination), Direction.UPSTREAM),
            ((destination, source), Direction.DOWNSTREAM),
        ):
            then, since = before.get(place, {}), now.get(place, {})
            for what in ("came", "went"):
                name = f"{direction}-{what}"
                counts[what] += since.get(name, 0) - then.get(name, 0)
        found[source, destination] = {"came": counts["came"], "went": counts["went"]}
    return found


def not_held_up(
    samples: Mapping[str, Samples],
    places: Mapping[Link, Iterable[tuple[str, str]]],
    links: Iterable[Link],
    delay_s: float,
) -> list[Link]:
    """
    The links on which data went out of a proxy sooner after they came than the delay allows.

    Args:
        samples: Host -> what was seen there.
        places: (host, peer) -> for each proxy where it listens, and what it connects to.
    """
    found = []
    for source, destination in links:
        for host, peer, is_up in ((source, destination, True), (destination, source, False)):
            for listens, connects in places[host, peer]:
                flow = [
                    _flow(at_s, each, listens, connects, is_up=is_up)
                    for at_s, each in zip(samples[host].at_s, samples[host].seen, strict=True)
                ]
                if _early(flow, SHARE * delay_s) >= EARLY_LEAST:
                    found.append((source, destination))
    return found


@dataclass(frozen=True, slots=True)
class _Flow:
    """
    How many bytes had come into a proxy by then, and gone out, on the connections that there are.

    `pairs`: how many connections; None while some have no counterpart on the other side: then the
    bytes are not of the same connections.
    """

    at_s: float
    came: int
    went: int
    pairs: int | None


def _flow(
    at_s: float,
    sample: Mapping[str, tuple[int, int, int]],
    listens: str,
    connects: str,
    *,
    is_up: bool,
) -> _Flow:
    near, far = sample.get(listens, (0, 0, 0)), sample.get(connects, (0, 0, 0))
    pairs = near[2] if near[2] == far[2] else None
    return _Flow(at_s, *((near[0], far[1]) if is_up else (far[0], near[1])), pairs)


def _early(flow: Sequence[_Flow], delay_s: float) -> int:
    """How many times data went out that had not come yet such a short time before."""
    early = {
        now.went
        for number, now in enumerate(flow)
        for then in flow[:number]
        if now.at_s - then.at_s <= delay_s
        and now.went > then.came
        and now.pairs == then.pairs is not None
    }
    return len(early)
