"""Datagrams of ours between the hosts of a simulation: whether they arrive, and how late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from dissever.harness.cluster.simulator.answers import Arrived

Datagram: TypeAlias = Callable[[int, int], bytes]
"""(source, destination) -> the frame that sends one."""


class Probe:
    """
    Datagrams of one moment: the delays of those that have arrived, in ms.

    Args:
        count: How many must arrive until it is whole; None: it never is, because copies of one
            datagram look like those of another.
    """

    def __init__(
        self, sent_ns: int, delays_ms: dict[tuple[int, int], list[float]], count: int | None
    ):
        self.delays_ms = delays_ms
        self.is_whole = asyncio.Event()
        self._sent_ns = sent_ns
        self._count = count
        self._arrived = 0

    async def wait(self, limit_s: float) -> None:
        """Until it is whole, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.is_whole.wait()

    def hear(self, arrived: Arrived) -> None:
        delays = self.delays_ms.get((arrived.source, arrived.destination))
        if delays is not None and arrived.sent_ns == self._sent_ns:
            delays.append((arrived.time_ns - arrived.sent_ns) / 1e6)
            self._arrived += 1
            if self._arrived == self._count:
                self.is_whole.set()
