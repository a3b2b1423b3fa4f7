"""
A run that goes on, seen from its files: how fast, how well, under which faults, on which nodes.

Nothing here talks to the run. A run on real hosts writes `nodes.jsonl`, which says what each node
is. Without that file a node counts as up unless a fault stopped or paused it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from dissever.harness import store
from dissever.harness.cluster import NodeState
from dissever.harness.episodes import Effect, Episode, episodes_of
from dissever.harness.history import History
from dissever.harness.latency import quantile
from dissever.harness.plan import Plan
from dissever.harness.values import printable, shorten
from dissever.harness.watch.roles import NODE
from dissever.runs import inside
from dissever.runs.following import Follower, LineTooLong, tail
from dissever.runs.index import PLAN_BYTES_MAX, State, Stored, look
from dissever.runs.series import NotEvent, Series

SECOND_NS: Final = 1_000_000_000
SECONDS_SHOWN: Final = 120
RATE_S: Final = 5
"""Rates and latencies are those of this many seconds."""

FAULT_EVENTS_KEPT: Final = 500
"""Of nemeses: past it those of faults that have healed are forgotten."""

UP: Final = frozenset({Effect.STARTED, Effect.RESUMED})

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
    """
    A node, and the last lines of its log.

    `state` is what a fault did to it, or what its process is; empty: it is up. `leads` is None, and
    `starts` 0, where it is not known.
    """

    name: str
    state: str
    leads: bool | None
    starts: int
    lines: tuple[str, ...]


class _Seen(msgspec.Struct, frozen=True):
    """What is read of a line of `nodes.jsonl`."""

    kind: str
    node: str = ""
    state: str | None = None
    incarnation: int | None = None
    leads: bool | None = None


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


_STATES: Final = msgspec.json.Decoder(_Seen)
_BROKEN: Final = (
    NotEvent,
    LineTooLong,
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
)


class Watched:
    """A run that somebody watches. Threads may look at the same time."""

    def __init__(self, root: Path, path: str) -> None:
        self._root = root
        self._path = path
        self._lock = threading.Lock()
        self._series = Series(SECOND_NS, stretches_max=SECONDS_SHOWN)
        self._effects: dict[str, Effect] = {}
        """Node -> the last thing that a fault did to it, as far as its events are forgotten."""

        self._seen: dict[str, _Seen] = {}
        self._followers = {
            store.HISTORY: Follower(self._series.hear),
            store.NODE_STATES: Follower(self._hear_states),
        }
        self._plan: Plan | None = None
        self._troubles: dict[str, str] = {}
        """File -> why it is not read any more."""

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
        for name, follower in self._followers.items():
            if name in self._troubles:
                continue
            try:
                _follow(follower, run, name)
            except _BROKEN as error:
                self._troubles[name] = f"{name}: {error}"

    def _faults(self) -> tuple[tuple[Episode, ...], dict[str, Effect]]:
        """
        The faults in force, and the nodes that do not run because of one.

        Once there are many events, only those of faults in force are kept.
        """
        events = self._series.faults
        found = episodes_of(History(tuple(events)), self._plan.actions if self._plan else None)
        effects = self._effects | {each.node: each.effect for each in found.changes}
        in_force = tuple(each for each in found.episodes if each.healing is None)
        if len(events) > FAULT_EVENTS_KEPT:
            open_ = [operation for operation, _ in found.operations if operation.completion is None]
            lasting = [each for one in in_force for each in (one.injection, *one.continuations)]
            kept = {index for each in (*open_, *lasting) for index in each.indices}
            self._series.faults = [event for event in events if event.index in kept]
            self._effects = effects
        return in_force, {node: each for node, each in effects.items() if each not in UP}

    def _hear_states(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            seen = _STATES.decode(line)
            if seen.kind == NODE and (seen.node in self._seen or len(self._seen) < NODES_MAX):
                self._seen[seen.node] = seen

    def _node(self, name: str, lines: tuple[str, ...], effect: Effect | None) -> Node:
        seen = self._seen.get(name, _Seen(NODE))
        is_up = seen.state in (None, NodeState.RUNNING.value)
        state = effect.value if effect else "" if is_up else str(seen.state)
        leads = seen.leads if is_up and not effect else None
        return Node(printable(name), printable(state), leads, seen.incarnation or 0, lines)

    def _told(self, stored: Stored, nodes: tuple[tuple[str, tuple[str, ...]], ...]) -> Live:
        series, history = self._series, self._followers[store.HISTORY]
        in_force, down = self._faults()
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
            read_bytes=history.read_bytes,
            size_bytes=history.size_bytes,
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
                for each in in_force
                if each.is_strike
            ),
            nodes=tuple(self._node(name, lines, down.get(name)) for name, lines in nodes),
            trouble=printable(
                "; ".join((*self._troubles.values(), *filter(None, (stored.broken,))))
            ),
        )


def _nodes(run: int, plan: Plan | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The nodes of the plan, each with the last lines of the log that was written last."""
    names = plan.options.nodes[:NODES_MAX] if plan else ()
    return tuple((name, _last_lines(run, name)) for name in names)


def _follow(follower: Follower, run: int, name: str) -> None:
    """Read on in a file of a run. Before the first operation there is none."""
    try:
        descriptor = inside.open_file(run, name)
    except OSError:
        return
    try:
        follower.look(descriptor)
    finally:
        os.close(descriptor)


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
