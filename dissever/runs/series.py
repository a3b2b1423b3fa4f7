"""
A history as it goes by: counts, latencies and rates in stretches of time, and what nemeses did.

It hears lines one after the other and keeps no operation, so it serves a run that goes on as well
as a history of any length. Latencies are those of ok operations, in the stretch of their
completion, as in the report. Pure.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from dissever.harness.history import Event, Process, Type
from dissever.harness.latency import quantile

__all__ = ["Counts", "NotEvent", "Series", "Stretch"]

FAULT_EVENTS_MAX: Final = 20_000
"""Of nemeses, in one history; later ones are only counted."""


class NotEvent(ValueError):
    """A line that is no event."""


class _Line(msgspec.Struct, frozen=True, gc=False):
    """What of an event of a client is needed."""

    time: int
    process: Process
    type: Type


@dataclass(slots=True)
class Counts:
    """How operations ended."""

    ok: int = 0
    fail: int = 0
    info: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.ok + self.fail + self.info

    def add(self, kind: Type) -> None:
        """Count one."""
        if kind is Type.OK:
            self.ok += 1
        elif kind is Type.FAIL:
            self.fail += 1
        else:
            self.info += 1


@dataclass(slots=True)
class Stretch:
    """A stretch of time: how operations ended in it, and the latencies of those that were ok."""

    counts: Counts = field(default_factory=Counts)
    latencies_ns: array[int] = field(default_factory=lambda: array("q"))
    _known: dict[int, tuple[int, int | None]] = field(default_factory=dict)
    """Percent -> of how many latencies it is known, and what it is."""

    def latency_ns(self, percent: int) -> int | None:
        """A percentile; None when none was ok. Asked again, it costs only where more came."""
        count, known = self._known.get(percent, (-1, None))
        if count != len(self.latencies_ns):
            known = quantile(sorted(self.latencies_ns), percent)
            self._known[percent] = len(self.latencies_ns), known
        return known


class Series:
    """The stretches of a history. `stretches_max`: older ones are forgotten; None: none is."""

    def __init__(self, width_ns: int, *, stretches_max: int | None = None) -> None:
        self.width_ns = width_ns
        self.counts = Counts()
        self.stretches: dict[int, Stretch] = {}
        """Number -> stretch; those in which nothing ended are left out."""

        self.faults: list[Event] = []
        self.faults_left_out = 0
        self.end_ns = 0
        self._asked_ns: dict[Process, int] = {}
        self._stretches_max = stretches_max
        self._decode = msgspec.json.Decoder(_Line).decode
        self._decode_event = msgspec.json.Decoder(Event).decode

    @property
    def open(self) -> int:
        """How many operations wait for their answer."""
        return len(self._asked_ns)

    def hear(self, lines: Iterable[bytes]) -> None:
        """
        Take in the next lines.

        Raises:
            NotEvent: When one is no event.
        """
        try:
            for line in lines:
                self._hear(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotEvent(str(error)) from error

    def _hear(self, line: bytes) -> None:
        event = self._decode(line)
        self.end_ns = max(self.end_ns, event.time)
        if isinstance(event.process, str):
            if len(self.faults) < FAULT_EVENTS_MAX:
                self.faults.append(self._decode_event(line))
            else:
                self.faults_left_out += 1
        elif event.type is Type.INVOKE:
            self._asked_ns[event.process] = event.time
        else:
            self._end(event, self._asked_ns.pop(event.process, None))

    def _end(self, event: _Line, asked_ns: int | None) -> None:
        number = event.time // self.width_ns
        stretch = self.stretches.get(number)
        if stretch is None:
            stretch = self.stretches[number] = Stretch()
            self._forget(number)
        self.counts.add(event.type)
        stretch.counts.add(event.type)
        if event.type is Type.OK and asked_ns is not None:
            stretch.latencies_ns.append(min(max(0, event.time - asked_ns), (1 << 63) - 1))

    def _forget(self, newest: int) -> None:
        if self._stretches_max is not None:
            for number in [each for each in self.stretches if each <= newest - self._stretches_max]:
                del self.stretches[number]

    def latencies_ns(self) -> list[int]:
        """All that are kept, from the smallest."""
        return sorted(each for stretch in self.stretches.values() for each in stretch.latencies_ns)
