"""
The disk of a simulated node: values and lists by name, written to the kernel's cache and synced.

A call that writes puts its changes into the cache at once, and reports later. The end of a process
leaves the cache alone. A power failure takes back writes that were not synced, the youngest first:
how many survive is drawn, and never one without those before it. After `WRITEBACK_S` the kernel has
written what nobody synced.

Rules make calls slow, or fail: then nothing of the call is stored, or of a torn one the first items
of a list. A sync can be slow, and does not fail.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeAlias

from dissever.harness.cluster import DiskCall, DiskErrorKind, DiskRule
from dissever.harness.plan import stream

WRITE_S: Final = (0.000_05, 0.000_2)
SYNC_S: Final = (0.000_3, 0.002)
"""How long a call takes: least and most."""

WRITEBACK_S: Final = 5.0
"""After this time the kernel writes by itself what was not synced."""


@dataclass(frozen=True, slots=True)
class Put:
    """Replace a value, as a whole: a file that is renamed."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Append:
    """Write items to a list from a place on, counted from 0; what stood there is gone."""

    name: str
    at: int
    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """Shorten a list to this length."""

    name: str
    length: int


Change: TypeAlias = Put | Append | Cut
Done: TypeAlias = Callable[[OSError | None], None]
Later: TypeAlias = Callable[[float, Callable[[], None]], None]
"""Has something happen after so many seconds, unless the process ends before."""


@dataclass(slots=True)
class _Rule:
    """A rule that is in force."""

    rule: DiskRule
    rng: Random
    hits: int = 0

    def strikes(self, call: DiskCall) -> bool:
        """Whether it strikes this call, which counts it."""
        if self.rule.call not in (DiskCall.ANY, call):
            return False
        if self.rng.random() >= self.rule.probability:
            return False
        self.hits += 1
        return True


@dataclass(frozen=True, slots=True)
class _Write:
    """A write that was not synced: the how manieth, when, and what takes its changes back."""

    number: int
    time_s: float
    undo: list[Callable[[], None]]


class SimulatedDisk:
    """What a node's processes wrote, one after another."""

    def __init__(self, rng: Random, now_s: Callable[[], float]) -> None:
        self._rng = rng
        self._now_s = now_s
        self._content: dict[str, Any] = {}
        self._unsynced: deque[_Write] = deque()
        self._writes = 0
        self._rules: dict[str, _Rule] = {}
        self._later: Later | None = None

    def attach(self, later: Later) -> None:
        """From now on calls are made by another process."""
        self._later = later

    @property
    def content(self) -> Mapping[str, Any]:
        """Name -> the value, or the list, as a process that starts now reads it; not to change."""
        return self._content

    @property
    def unsynced(self) -> int:
        """How many writes a power failure could take back."""
        self._write_back()
        return len(self._unsynced)

    def keep(self, name: str, value: Any) -> None:
        """Make a value durable at once, whatever the rules: for nodes that are not about disks."""
        self._content[name] = value

    def write(self, call: DiskCall, changes: tuple[Change, ...], done: Done) -> None:
        """Write to the cache, in order; `done` hears later whether that succeeded."""
        delay_s, error, is_torn = self._fate(call)
        if error is None:
            self._keep([self._apply(change) for change in changes])
        elif is_torn:
            parts = [self._part(change) for change in changes if isinstance(change, Append)]
            self._keep([self._apply(part) for part in parts])
        assert self._later is not None, "no process has this disk"
        self._later(delay_s + self._rng.uniform(*WRITE_S), lambda: done(error))

    def sync(self, call: DiskCall, done: Callable[[], None]) -> None:
        """Make all that was written before durable; `done` hears when it is."""
        delay_s = self._slowness_s(call)
        writes = self._writes

        def finish() -> None:
            while self._unsynced and self._unsynced[0].number <= writes:
                self._unsynced.popleft()
            done()

        assert self._later is not None, "no process has this disk"
        self._later(delay_s + self._rng.uniform(*SYNC_S), finish)

    def fail_power(self) -> tuple[int, int]:
        """Take back writes that were not synced: how many are lost, and how many survive."""
        self._write_back()
        count = len(self._unsynced)
        kept = self._rng.randint(0, count)
        for _ in range(count - kept):
            for take_back in reversed(self._unsynced.pop().undo):
                take_back()
        self._unsynced.clear()
        return count - kept, kept

    def wipe(self) -> None:
        """Remove everything."""
        self._content.clear()
        self._unsynced.clear()

    def set_rule(self, name: str, rule: DiskRule | None) -> None:
        """Have a rule in place of one of that name; None: none."""
        self._rules.pop(name, None)
        if rule is not None:
            self._rules[name] = _Rule(rule, stream(rule.seed, name))

    def hits(self) -> dict[str, int]:
        """Rule -> how many calls it has struck."""
        return {name: each.hits for name, each in self._rules.items()}

    def _fate(self, call: DiskCall) -> tuple[float, OSError | None, bool]:
        """What rules do to a call that writes: the delay, the error, and whether it is torn."""
        delay_s, error, is_torn = 0.0, None, False
        for each in self._rules.values():
            if not each.strikes(call):
                continue
            if each.rule.kind is DiskErrorKind.SLOW:
                delay_s += each.rule.ms / 1000
            elif error is None:
                is_full = each.rule.kind is DiskErrorKind.FULL
                number = errno.ENOSPC if is_full else errno.EIO
                error = OSError(number, os.strerror(number))
                is_torn = each.rule.kind is DiskErrorKind.TORN
        return delay_s, error, is_torn

    def _slowness_s(self, call: DiskCall) -> float:
        slow = (each for each in self._rules.values() if each.rule.kind is DiskErrorKind.SLOW)
        return sum(each.rule.ms / 1000 for each in slow if each.strikes(call))

    def _part(self, change: Append) -> Append:
        """What is stored of items when the call is torn: an item is there as a whole or not."""
        whole = self._rng.randrange(len(change.items)) if change.items else 0
        return Append(change.name, change.at, change.items[:whole])

    def _keep(self, undo: list[Callable[[], None]]) -> None:
        self._write_back()
        self._writes += 1
        self._unsynced.append(_Write(self._writes, self._now_s(), undo))

    def _write_back(self) -> None:
        until_s = self._now_s() - WRITEBACK_S
        while self._unsynced and self._unsynced[0].time_s < until_s:
            self._unsynced.popleft()

    def _apply(self, change: Change) -> Callable[[], None]:
        """Change the content; gives what takes that back."""
        content, name = self._content, change.name
        if isinstance(change, Put):
            had, before = name in content, content.get(name)
            content[name] = change.value
            return lambda: content.__setitem__(name, before) if had else _forget(content, name)
        items = content.setdefault(name, [])
        start = change.at if isinstance(change, Append) else change.length
        assert start <= len(items), f"{name} would have a hole before {start}"
        replaced = items[start:]
        items[start:] = change.items if isinstance(change, Append) else ()

        def restore() -> None:
            items[start:] = replaced

        return restore


def _forget(content: dict[str, Any], name: str) -> None:
    content.pop(name, None)
