"""
The rate that a run reaches, and why it is not the one that was asked for. Pure.

Only a client that is free can begin an operation. If clients are busy most of the time, more of
them are needed: by Little's law as many as the rate times the mean latency.
"""

from __future__ import annotations

import math
from typing import Final

from dissever.harness.history import Event, Type
from dissever.harness.plan import Options

__all__ = ["Pace"]

SHARE_LEAST: Final = 0.9
"""A rate that reaches this share of what was asked for is as asked."""

BUSY_SHARE: Final = 0.7
"""Clients that are busy for this share of the time are the reason for a low rate."""

SPARE: Final = 1.25
"""How many more clients are advised than are needed on average."""

LEAST_NS: Final = 3_000_000_000
"""Before this time a rate says nothing."""


class Pace:
    """Hears the events of a run in order, and counts until the time limit."""

    def __init__(self, options: Options) -> None:
        self._asked = options.rate
        self._concurrency = options.concurrency
        self._nodes = len(options.nodes)
        self._limit_ns = round(options.time_limit_s * 1e9)
        self._invoked = 0
        self._open = 0
        self._now_ns = 0
        self._busy_ns = 0

    def hear(self, event: Event) -> None:
        """Take in an event."""
        now_ns = min(event.time, self._limit_ns)
        self._busy_ns += self._open * (now_ns - self._now_ns)
        self._now_ns = now_ns
        if not isinstance(event.process, int) or event.time > self._limit_ns:
            return
        is_invocation = event.type is Type.INVOKE
        self._invoked += is_invocation
        self._open += 1 if is_invocation else -1

    @property
    def lack(self) -> str:
        """The rate, and what would help, when it is not the rate asked for; otherwise empty."""
        if self._now_ns < min(LEAST_NS, self._limit_ns) or not self._now_ns:
            return ""
        reached = self._invoked / (self._now_ns / 1e9)
        if reached >= self._asked * SHARE_LEAST:
            return ""
        rate = f"rate {reached:,.0f}/s of {self._asked:,g} asked"
        if self._busy_ns < BUSY_SHARE * self._concurrency * self._now_ns:
            return rate
        return f"{rate}: clients are busy; use --concurrency {self._needed}"

    @property
    def _needed(self) -> int:
        """How many clients would reach the rate: the same number for each node."""
        latency_s = self._busy_ns / max(1, self._invoked) / 1e9
        count = max(self._asked * latency_s * SPARE, self._concurrency + 1)
        return math.ceil(count / self._nodes) * self._nodes
