"""
A run that goes on, seen from its files: how fast, how well, under which faults, on which nodes.

Nothing here talks to the run. An end of a node that nobody asked for is in no file before the run
ends, so a node counts as up unless a fault stopped or paused it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Final

import msgspec

from dissever.harness import store
from dissever.harness.episodes import episodes_of
from dissever.harness.history import History
from dissever.harness.latency import quantile
from dissever.harness.plan import Plan
from dissever.harness.values import printable, shorten
from dissever.runs import inside
from dissever.runs.following import Follower, LineTooLong, tail
from dissever.runs.index import PLAN_BYTES_MAX, State, Stored, look
from dissever.runs.series import NotEvent, Series

SECOND_NS: Final = 1_000_000_000
SECONDS_SHOWN: Final = 120
RATE_S: Final = 5
"""Rates and latencies are those of so many seconds."""

LOG_BYTES: Final = 4096
LOG_LINES_MAX: Final = 3
LOG_CHARACTERS_MAX: Final = 300
NODES_MAX: Final = 20


class Second(msgspec.Struct, frozen=True):
    """One second of the run: how operations ended in it, and their latencies in ns."""

    at_s: int
    ok: int
    fail: int
    info: int
    p50_ns: int | None
    p99_ns: int | None


class Node(msgspec.Struct, frozen=True):
    """A node, what a fault did to it (empty: it is up), and the last lines of its log."""

    name: str
    state: str
    lines: tuple[str, ...]


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known of a run at this moment.

    `read_bytes` of `size_bytes` of the history were read so far: until they are equal, figures are
    those of an earlier time. `rate` counts operations that ended, per second. `trouble` says what
    cannot be read.
    """

    state: State
    verdict: str
    why: str
    has_report: bool
    elapsed_s: float
    limit_s: float
    read_bytes: int
    size_bytes: int
    ok: int
    fail: int
    info: int
    open: int
    rate: float
    p50_ns: int | None
    p99_ns: int | None
    seconds: tuple[Second, ...]
    faults: tuple[str, ...]
    nodes: tuple[Node, ...]
    trouble: str = ""


class Watched:
    """A run that somebody watches. Threads may look at the same time."""

    def __init__(self, root: Path, path: str) -> None:
        self._root = root
        self._path = path
        self._lock = threading.Lock()
        self._series = Series(SECOND_NS, stretches_max=SECONDS_SHOWN)
        self._follower = Follower(self._series.hear)
        self._plan: Plan | None = None
        self._trouble = ""

    def look(self) -> Live:
        """
        Read what is new, and say how things stand.

        Raises:
            OSError: When the run is gone.
        """
        with self._lock:
            stored = look(self._root, self._path)
            with inside.opened(self._root) as root, inside.folder(root, self._path) as run:
                self._read(run)
                nodes = _nodes(run, self._plan)
            return self._told(stored, nodes)

    def _read(self, run: int) -> None:
        if self._plan is None:
            with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                content = inside.read(run, store.PLAN, PLAN_BYTES_MAX)
                self._plan = msgspec.json.decode(content, type=Plan)
        if self._trouble:
            return
        try:
            descriptor = inside.open_file(run, store.HISTORY)
        except OSError:  # Before the first operation there is none.
            return
        try:
            self._follower.look(descriptor)
        except (NotEvent, LineTooLong) as error:
            self._trouble = f"{store.HISTORY}: {error}"
        finally:
            os.close(descriptor)

    def _told(self, stored: Stored, nodes: tuple[tuple[str, tuple[str, ...]], ...]) -> Live:
        series = self._series
        found = episodes_of(
            History(tuple(series.faults)), self._plan.actions if self._plan else None
        )
        newest = series.end_ns // SECOND_NS
        recent = [series.stretches.get(newest - ago) for ago in range(1, RATE_S + 1)]
        kept = [each for each in recent if each is not None]
        latencies = sorted(each for stretch in kept for each in stretch.latencies_ns)
        whole_s = max(1, min(RATE_S, newest))
        return Live(
            state=stored.state,
            verdict="" if stored.verdict is None else stored.verdict.word,
            why=printable(shorten(stored.why, 600)),
            has_report=stored.state is State.JUDGED,
            elapsed_s=series.end_ns / SECOND_NS,
            limit_s=self._plan.options.time_limit_s if self._plan else 0.0,
            read_bytes=self._follower.read_bytes,
            size_bytes=self._follower.size_bytes,
            ok=series.counts.ok,
            fail=series.counts.fail,
            info=series.counts.info,
            open=series.open,
            rate=sum(each.counts.total for each in kept) / whole_s,
            p50_ns=quantile(latencies, 50),
            p99_ns=quantile(latencies, 99),
            seconds=tuple(
                Second(
                    number,
                    stretch.counts.ok,
                    stretch.counts.fail,
                    stretch.counts.info,
                    stretch.latency_ns(50),
                    stretch.latency_ns(99),
                )
                for number, stretch in sorted(series.stretches.items())
            ),
            faults=tuple(
                printable(shorten(" ".join((each.fault, *each.targets)), 200))
                for each in found.episodes
                if each.healing is None
            ),
            nodes=tuple(Node(name, str(found.down.get(name, "")), lines) for name, lines in nodes),
            trouble=printable(self._trouble or stored.broken),
        )


def _nodes(run: int, plan: Plan | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The nodes of the plan, each with the last lines of the log that was written last."""
    names = plan.options.nodes[:NODES_MAX] if plan else ()
    return tuple((printable(name), _last_lines(run, name)) for name in names)


def _last_lines(run: int, node: str) -> tuple[str, ...]:
    with contextlib.suppress(OSError), inside.folder(run, f"{store.NODES}/{node}") as directory:
        with os.scandir(directory) as entries:
            logs = [
                (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                for entry in entries
                if entry.name.endswith(".log") and entry.is_file(follow_symlinks=False)
            ]
        for _, name in sorted(logs, reverse=True):
            descriptor = inside.open_file(directory, name)
            try:
                lines = tail(descriptor, LOG_BYTES).decode(errors="replace").splitlines()
            finally:
                os.close(descriptor)
            if shown := [line for line in lines if line.strip()][-LOG_LINES_MAX:]:
                return tuple(printable(shorten(line, LOG_CHARACTERS_MAX)) for line in shown)
    return ()
