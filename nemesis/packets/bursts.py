"""
Bursts of numbered datagrams from host to host, to see what the network does to packets.

The sender stamps each with the machine's clock, and the kernel of the receiver does as it comes
in: both are one kernel. Datagrams carry no checksum of UDP's but one of ours, so that damage is
seen rather than lost. Helpers on the hosts send and receive; no process of a node takes part.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from statistics import median
from typing import Any, Final

from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.host_commands import Helper, run_script
from dissever.nemesis.partitions.grudges import Link

__all__ = ["Burst", "Bursts", "Size", "summary"]

SINK_PORT: Final = 20_008
HEADERS_BYTES: Final = 42
"""Of Ethernet, IP and UDP."""

_FORMAT: Final = """
import json, socket, struct, sys, time, zlib
HEAD = struct.Struct("!IQIQ")  # checksum, token, number, sent at (ns)
"""

SINK: Final = (
    _FORMAT
    + """
STAMP = 35  # SO_TIMESTAMPNS
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
sink.setsockopt(socket.SOL_SOCKET, STAMP, 1)
sink.bind(("0.0.0.0", int(sys.argv[1])))
arrivals, damaged = {}, {}
while True:
    data, extra, _, (source, port) = sink.recvmsg(1 << 16, 64)
    if source == "127.0.0.1":
        address, token = json.loads(data)
        answer = arrivals.pop((address, token), []), damaged.pop(address, 0)
        sink.sendto(json.dumps(answer).encode(), (source, port))
    elif len(data) < HEAD.size or HEAD.unpack_from(data)[0] != zlib.crc32(data[4:]):
        damaged[source] = damaged.get(source, 0) + 1
    else:
        _, token, number, sent = HEAD.unpack_from(data)
        seconds, ns = struct.unpack("@ll", extra[0][2])
        at = seconds * 10**9 + ns
        arrivals.setdefault((source, token), []).append((number, at // 1000, (at - sent) // 1000))
"""
)

SEND: Final = (
    _FORMAT
    + """
asked = json.loads(sys.argv[1])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
filling = bytes(i % 251 for i in range(asked["bytes"] - HEAD.size))
due = time.monotonic()
for number in range(asked["count"]):
    for address in asked["addresses"]:
        head = HEAD.pack(0, asked["token"], number, time.time_ns())[4:]
        data = head + filling
        try:
            out.sendto(zlib.crc32(data).to_bytes(4, "big") + data, (address, asked["port"]))
        except OSError:
            pass  # What cannot be sent does not arrive.
    due += asked["gap_us"] / 1e6
    if (left := due - time.monotonic()) > 0:
        time.sleep(left)
"""
)

ASK: Final = """
import json, socket, sys
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(float(sys.argv[3]))
answers = []
for asked in json.loads(sys.argv[2]):
    asking.sendto(json.dumps(asked).encode(), ("127.0.0.1", int(sys.argv[1])))
    answers.append(json.loads(asking.recv(1 << 16)))
print(json.dumps(answers))
"""

ASK_LIMIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Size:
    """A burst: how many datagrams of how many bytes, and the time from each to the next."""

    count: int
    bytes: int
    gap_us: int
    settle_s: float = 0.1
    """How long the last ones may take."""


@dataclass(frozen=True, slots=True)
class Burst:
    """
    What became of one. `reordered`: arrived after a later one. `delay_ms`: least and middling, None
    when nothing arrived. `kb_s`: of the later half of what arrived, None of fewer than four, and
    `pace_kb_s` by the middling time from one to the next, which no pause of a busy sender spoils.
    """

    sent: int
    arrived: int
    duplicated: int
    reordered: int
    damaged: int
    delay_ms: tuple[float, float] | None
    kb_s: float | None
    pace_kb_s: float | None

    @property
    def lost(self) -> int:
        """How many did not arrive whole."""
        return self.sent - self.arrived


def summary(size: Size, arrivals: Sequence[Sequence[int]], damaged: int) -> Burst:
    """
    What became of a burst.

    Args:
        arrivals: (number, when in µs, delay in µs) of each in the order in which they came.
    """
    first: dict[int, Sequence[int]] = {}
    for each in arrivals:
        first.setdefault(each[0], each)
    latest = -1
    reordered = 0
    for number in first:
        reordered += number < latest
        latest = max(latest, number)
    kb_s = _kb_s(size, sorted(each[1] for each in first.values()))
    delays = sorted(each[2] / 1000 for each in first.values())
    delay_ms = (round(delays[0], 2), round(median(delays), 2)) if delays else None
    return Burst(
        sent=size.count,
        arrived=len(first),
        duplicated=len(arrivals) - len(first),
        reordered=reordered,
        damaged=damaged,
        delay_ms=delay_ms,
        kb_s=kb_s and kb_s[0],
        pace_kb_s=kb_s and kb_s[1],
    )


def _kb_s(size: Size, times_us: Sequence[int]) -> tuple[float, float] | None:
    """A queue lets its first ones through at once, so the later half counts."""
    later = times_us[len(times_us) // 2 :]
    gaps_us = [after - before for before, after in pairwise(later)]
    if not gaps_us:
        return None
    bytes_ = size.bytes + HEADERS_BYTES
    mean_us, middling_us = sum(gaps_us) / len(gaps_us), median(gaps_us)
    return round(1000 * bytes_ / max(1, mean_us), 1), round(1000 * bytes_ / max(1, middling_us), 1)


class Bursts:
    """The sinks of one cluster; `lay` starts them."""

    def __init__(self, cluster: AbleCluster) -> None:
        self._cluster = cluster
        self._helper = Helper(cluster, "sink", SINK, SINK_PORT, self._knock)
        self._tokens = count(1)

    async def lay(self) -> None:
        """Start a sink on every host. Idempotent. Raises OSError when one does not come up."""
        await self._helper.lay()

    async def send(self, links: Sequence[Link], size: Size) -> dict[Link, Burst]:
        """
        Send a burst over each link, all at the same time, and see what became of it.

        Raises:
            OSError: When a host cannot send, or does not say what came.
        """
        token = next(self._tokens)
        sources: dict[str, list[str]] = {}
        sinks: dict[str, list[str]] = {}
        for source, destination in links:
            sources.setdefault(source, []).append(destination)
            sinks.setdefault(destination, []).append(source)
        await asyncio.gather(*(self._send(s, to, token, size) for s, to in sources.items()))
        await asyncio.sleep(size.settle_s)
        seen = await asyncio.gather(*(self._ask(d, of, token) for d, of in sinks.items()))
        return {
            (source, destination): summary(size, arrivals, damaged)
            for destination, answers in zip(sinks, seen, strict=True)
            for source, (arrivals, damaged) in answers.items()
        }

    async def _knock(self, node: str) -> None:
        await self._ask(node, [node], 0)

    async def _send(self, node: str, peers: Sequence[str], token: int, size: Size) -> None:
        asked: Mapping[str, Any] = {
            "addresses": [self._cluster.address(peer) for peer in peers],
            "port": SINK_PORT,
            "token": token,
            "count": size.count,
            "bytes": size.bytes,
            "gap_us": size.gap_us,
        }
        await run_script(self._cluster, node, SEND, json.dumps(asked))

    async def _ask(self, node: str, sources: Sequence[str], token: int) -> dict[str, Any]:
        """Source -> (arrivals, how many were damaged); the sink then forgets them."""
        asked = json.dumps([(self._cluster.address(source), token) for source in sources])
        answers = await run_script(self._cluster, node, ASK, SINK_PORT, asked, ASK_LIMIT_S)
        return dict(zip(sources, answers, strict=True))
