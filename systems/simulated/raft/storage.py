"""
What a node must not forget: its term and vote, its log, its snapshot; and when they are safe.

Calls are done one after another, and each is synced before the next begins: a node may answer once
all that it wrote before is safe. One call appends what was asked for while the disk was busy. A
call that fails is repeated until it succeeds, and everything behind it waits. Snapshots go their
own way, since nobody waits for them; one that fails is given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dissever.harness.cluster import DiskCall
from dissever.harness.cluster.simulated import Append, Cut, Put, SimulatedDisk
from dissever.systems.simulated.raft.log import Entry, Log, Snapshot

RETRY_S: Final = 0.05
"""How long a node waits before it repeats a call that failed."""

Then = Callable[[], None]


@dataclass(slots=True)
class _Call:
    """
    What is to be written: the term and the vote, or entries, in place of all from the first of them
    on. One with neither waits for those before it.
    """

    then: list[Then]
    metadata: tuple[int, str] | None = None
    entries: tuple[Entry, ...] = ()
    log: tuple[Entry, ...] | None = None
    """The whole log, when a snapshot has replaced its beginning."""


class Storage:
    """
    A node's disk, in the words of Raft.

    Args:
        is_loose: It does not wait for the disk to sync, which is a bug.
        is_deaf: It takes a call that failed for one that succeeded, which is a bug.
        is_amnesic: It keeps entries in memory alone, which is a bug.
    """

    def __init__(
        self,
        disk: SimulatedDisk,
        later: Callable[[float, Then], object],
        synced: Callable[[int], None],
        *,
        is_loose: bool = False,
        is_deaf: bool = False,
        is_amnesic: bool = False,
    ) -> None:
        self._disk = disk
        self._later = later
        self._synced = synced
        self._is_loose = is_loose
        self._is_deaf = is_deaf
        self._is_amnesic = is_amnesic
        self._calls: deque[_Call] = deque()
        self._busy: _Call | None = None
        self.stored = self.load()[1].last_index
        """The index up to which the log is safe."""

        if disk.unsynced:  # The process before wrote what may not be safe yet.
            self._busy = _Call([])
            disk.sync(DiskCall.ANY, self._finish)

    def load(self) -> tuple[tuple[int, str], Log]:
        """The term, the vote ("": none) and the log, as the disk holds them."""
        content = self._disk.content
        metadata: tuple[int, str] = content.get("metadata", (0, ""))
        snapshot: Snapshot = content.get("snapshot", Snapshot())
        log = Log(Snapshot(), list(content.get("log", ())))
        if snapshot.index:
            # Entries behind a snapshot follow on it only if its last entry is there as well.
            log.compact(snapshot, trailing=len(log.entries))
        return metadata, log

    @property
    def is_idle(self) -> bool:
        """Whether all that was asked for is safe."""
        return self._busy is None

    def save(self, term: int, vote: str, then: Then) -> None:
        """Write the term and the vote."""
        self._add(_Call([then], metadata=(term, vote)))

    def append(self, entries: tuple[Entry, ...], then: Then) -> None:
        """Write entries, in place of all from the first of them on."""
        self.stored = min(self.stored, entries[0].index - 1)
        last = self._calls[-1] if self._calls else None
        if last is not None and last.entries and last.entries[-1].index + 1 == entries[0].index:
            last.entries += entries
            last.then.append(then)
        else:
            self._add(_Call([then], entries=entries))

    def replace_log(self, entries: tuple[Entry, ...], then: Then) -> None:
        """Write the whole log anew, since a snapshot holds what was before it."""
        self._add(_Call([then], log=entries))

    def after(self, then: Then) -> None:
        """Go on once all that was asked for is safe: at once, if it is."""
        if self._busy is None:
            then()
        elif self._calls:
            self._calls[-1].then.append(then)
        else:
            self._busy.then.append(then)

    def save_snapshot(self, snapshot: Snapshot, then: Callable[[bool], None]) -> None:
        """Write a snapshot in place of the one before; `then` hears whether that succeeded."""

        def written(error: OSError | None) -> None:
            if error is None:
                self._disk.sync(DiskCall.SNAPSHOT, lambda: then(True))
            else:
                then(False)

        self._disk.write(DiskCall.SNAPSHOT, (Put("snapshot", snapshot),), written)

    def _add(self, call: _Call) -> None:
        self._calls.append(call)
        if self._busy is None:
            self._next()

    def _next(self) -> None:
        if self._calls:
            self._busy = self._calls.popleft()
            self._write()

    def _write(self) -> None:
        call = self._busy
        assert call is not None
        kind = DiskCall.METADATA if call.metadata is not None else DiskCall.APPEND
        self._disk.write(kind, self._changes(call), self._written)

    def _changes(self, call: _Call) -> tuple[Put | Append | Cut, ...]:
        if call.metadata is not None:
            return (Put("metadata", call.metadata),)
        if self._is_amnesic:
            return ()
        if call.log is not None:
            return (Put("log", list(call.log)),)
        if not call.entries:
            return ()
        held: list[Entry] = self._disk.content.get("log", [])
        at = call.entries[0].index - held[0].index if held else 0
        if at < 0:
            return (Put("log", list(call.entries)),)
        # Behind a hole, which only a bug leaves, nobody would find them.
        return (Append("log", at, call.entries),) if at <= len(held) else ()

    def _written(self, error: OSError | None) -> None:
        call = self._busy
        if error is not None and not self._is_deaf:
            self._later(RETRY_S, self._write)
        elif self._is_loose:
            self._finish()
        else:
            kind = DiskCall.METADATA if call is not None and call.metadata else DiskCall.APPEND
            self._disk.sync(kind, self._finish)

    def _finish(self) -> None:
        call, self._busy = self._busy, None
        assert call is not None
        if call.entries:
            # Some of them are replaced already, by what waits.
            waiting = (each.entries[0].index - 1 for each in self._calls if each.entries)
            self.stored = min((call.entries[-1].index, *waiting))
            self._synced(self.stored)
        then = call.then
        self._next()
        for each in then:
            each()
