"""
What crosses the proxies of a host, in each direction: seen in the kernel, not told by the server.

Counters of nft say how many packets with data went into each proxy and came out of it. The kernel's
own account of each connection says how many bytes the proxy took in and has not passed on yet. That
is where a delay shows in one direction only: a round trip looks the same whichever way is delayed.

Source: nft(8), ss(8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from dissever.nemesis.partitions.grudges import Link
from dissever.nemesis.toxiproxy import Direction

__all__ = ["SAMPLE", "Crossed", "Traffic", "crossed", "held_up"]

Traffic: TypeAlias = Mapping[Link, Mapping[str, int]]
"""
(host, peer) -> counts of the proxies on that host to that peer: packets `asked` of them, `passed`
on, sent `past` them; and packets with data that came into one, and went out, by direction.
"""

Crossed: TypeAlias = dict[Link, dict[str, int]]
"""
(source, destination) -> packets with data that `came` into a proxy on that link, and `went` out.
"""

SAMPLE: Final = r"""
import json, re, subprocess, sys, time
count, gap_s, ports = int(sys.argv[1]), float(sys.argv[2]), set(json.loads(sys.argv[3]))
number = lambda name, line: int((re.search(r"\b%s:(\d+)" % name, line) or [0, 0])[1])
samples = []
for _ in range(count):
    listed = subprocess.run(["ss", "-HtinO", "state", "established"],
                            capture_output=True, text=True, check=True).stdout
    seen = {}
    for line in listed.splitlines():
        own, peer = line.split()[2:4]
        port = int(own.rpartition(":")[2])
        key = str(port) if port in ports else peer
        sent = number("bytes_sent", line) - number("bytes_retrans", line)
        sums = seen.setdefault(key, [0, 0])
        sums[0] += number("bytes_received", line)
        sums[1] += sent
    samples.append(seen)
    time.sleep(gap_s)
print(json.dumps(samples))
"""
"""
`COUNT GAP_S PORTS`: by local port where that is one of PORTS, otherwise by the other end, the bytes
that connections received and sent, COUNT times.
"""


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


def held_up(
    samples: Mapping[str, list[Mapping[str, Any]]],
    places: Mapping[Link, Iterable[tuple[str, str]]],
    links: Iterable[Link],
) -> float:
    """
    In which share of the samples a proxy on these links holds bytes that it has not passed on.

    That of the proxy and the direction that do so most: on most links one side alone sends.

    Args:
        samples: Host -> what `SAMPLE` printed there.
        places: (host, peer) -> for each proxy where it listens, and what it connects to.
    """
    most = 0.0
    for source, destination in links:
        for host, peer, is_up in ((source, destination, True), (destination, source, False)):
            seen = samples.get(host, ())
            for listens, connects in places[host, peer]:
                held = sum(_held(sample, listens, connects, is_up=is_up) for sample in seen)
                most = max(most, held / len(seen) if seen else 0.0)
    return most


def _held(sample: Mapping[str, Any], listens: str, connects: str, *, is_up: bool) -> bool:
    """Whether a proxy has taken more bytes in than it has sent on."""
    near, far = sample.get(listens, (0, 0)), sample.get(connects, (0, 0))
    came, went = (near[0], far[1]) if is_up else (far[0], near[1])
    return bool(came > went)
