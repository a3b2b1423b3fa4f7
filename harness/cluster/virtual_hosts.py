"""
What can be done to simulated hosts, where there is no kernel to ask: their links, disks, clocks and
memory.

Faults use these protocols alone, so that a fault works on every kind of simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol, TypeAlias, runtime_checkable

import msgspec

from dissever.harness.trace import Trace

Link: TypeAlias = tuple[str, str]
"""(source, destination)"""


PROBE_BYTES: Final = 1000
"""The size of a datagram that `Impairments.probe` sends."""


class Impairment(msgspec.Struct, frozen=True):
    """
    What the network does to packets of one link, beside its usual delay.

    `loss`, `duplicate`, `reorder`, `corrupt`: shares of packets, 0 to 1. `burst_packets`: the mean
    length of a burst of losses. `delay_ms` is added to each packet, more or less up to `jitter_ms`.
    The share `reorder` waits `reorder_ms` more, and others overtake it. A corrupt packet is dropped
    where it arrives, as a checksum would have it. `rate_kb_s`: thousands of bytes per second, 0: no
    limit; what would wait longer than `queue_ms` is dropped.
    """

    loss: float = 0.0
    burst_packets: float = 1.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_ms: float = 0.0
    corrupt: float = 0.0
    rate_kb_s: float = 0.0
    queue_ms: float = 400.0


class Traffic(msgspec.Struct, frozen=True):
    """
    What went over one link since it was impaired: packets `sent`, and those of them that were
    `lost`, `duplicated`, `reordered`, `corrupted`, `delayed`.
    """

    sent: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    delayed: int = 0


@runtime_checkable
class Impairments(Protocol):
    """A simulated network can lose, delay, duplicate and reorder packets between nodes."""

    async def impair(self, links: Mapping[Link, Impairment]) -> None:
        """
        Replace all impairments by these, and count from 0 on their links.

        Raises:
            ValueError: When a node is unknown, or a link leads from a node to itself.
        """

    async def traffic(self) -> Mapping[Link, Traffic]:
        """What went over each link that is impaired now, and over no other one."""

    async def probe(
        self, links: Sequence[Link], count: int, wait_s: float
    ) -> Mapping[Link, tuple[float, ...]]:
        """
        Send so many datagrams over each link, all at this moment, whatever the processes do.

        Cuts and impairments treat them as messages, and count them. Each counts as `PROBE_BYTES`.

        Returns:
            Link -> the delays in ms of the copies that arrived within `wait_s`, in the order in
            which they did. It returns earlier only when a copy of each has arrived.
        """


class DiskErrorKind(StrEnum):
    """What a simulated disk does wrong."""

    SLOW = "slow"
    """Each call takes `ms` longer."""
    ERROR = "error"
    """A call fails, and nothing of it is stored."""
    TORN = "torn"
    """Only a part of a write is stored, and the call fails."""
    FULL = "full"
    """A call that needs room fails for want of it."""


class DiskCall(StrEnum):
    """Which calls on a simulated disk a rule is about."""

    ANY = "any"
    APPEND = "append"
    """Of entries to the log."""
    METADATA = "metadata"
    """Of the term and the vote."""
    SNAPSHOT = "snapshot"


class DiskRule(msgspec.Struct, frozen=True):
    """
    Which calls on a node's simulated disk go wrong, and how.

    `probability`: of each call, drawn from a stream of the rule's own, which `seed` begins.
    """

    kind: DiskErrorKind
    call: DiskCall = DiskCall.ANY
    probability: float = 1.0
    ms: float = 0.0
    seed: int = 0


@runtime_checkable
class DiskFaults(Protocol):
    """The simulated disks of nodes can go wrong."""

    async def set_disk_rule(self, node: str, name: str, rule: DiskRule | None) -> None:
        """Have a rule of that name on a node's disk, in place of one before; None: none."""

    async def disk_hits(self, node: str) -> Mapping[str, int]:
        """Each rule that is set now -> how many calls of the node's it has hit."""

    async def fail_power(self, node: str) -> Mapping[str, int]:
        """
        End a node at once, and lose what it had written and not synced.

        Returns:
            `lost`: how many writes were lost; `kept`: how many unsynced ones survived.
        """


@runtime_checkable
class NodeTimes(Protocol):
    """The clock of a simulated node can be wrong, all of its timers with it."""

    async def turn_clock(self, node: str, offset_s: float, rate: float) -> None:
        """Have a node's clock go `rate` times as fast as time, now `offset_s` ahead of it."""

    async def clock_offset_s(self, node: str) -> float:
        """How far a node's clock is ahead of time now."""


@runtime_checkable
class ClientLinks(Protocol):
    """Clients of a simulated cluster can be cut off from nodes, and their connections reset."""

    async def cut_clients(self, node: str, *, to_node: bool, from_node: bool) -> None:
        """Drop what clients send to a node, or what it sends to them; neither: heal."""

    async def client_drops(self, node: str) -> int | None:
        """How much was dropped since clients were cut off from a node; None: they are not."""

    async def reset_clients(self, node: str) -> int:
        """Reset every connection of clients with a node; how many there were."""

    async def client_fate(self, node: str, limit_s: float) -> str:
        """What becomes of a connection of ours in that time: `open`, `reset`, or why none is."""


@runtime_checkable
class Traced(Protocol):
    """A simulation, which knows what no real host shows."""

    @property
    def trace(self) -> Trace:
        """What it has seen so far; the run that ends writes it to its directory."""

    async def finish(self) -> None:
        """End the simulation, before its trace is written. Idempotent."""


@runtime_checkable
class Reseeds(Protocol):
    """A simulated cluster that draws random numbers of its own."""

    def reseed(self, seed: int) -> None:
        """Draw everything that is still to come from another seed; what has been drawn stays."""


@runtime_checkable
class Allocations(Protocol):
    """A simulated node can run out of memory."""

    async def fail_allocation(self, node: str, number: int) -> None:
        """Let one allocation of a node fail: the `number`-th from now, counted from 1; 0: none."""

    async def failed_allocations(self, node: str) -> int:
        """How many have failed since the node was started first."""
