"""
The index of the runs in a folder: one value for each, read from its small files.

A run is a folder with `plan.json`. Of each run only the fields that are listed are decoded, of the
history only its end is read, and sizes come from the file system. So thousands of runs take
seconds. Nothing is kept between two looks, because what is not kept cannot be outdated.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from dissever.harness import store
from dissever.harness.results import Verdict
from dissever.runs import inside
from dissever.runs.sizes import Sizes, sizes_of
from dissever.runs.units import parse_time

LATEST: Final = store.LATEST

DEPTH_MAX: Final = 8
"""Below the folder of runs. Runs stand at depth 3, and those of campaigns a little deeper."""

PLAN_BYTES_MAX: Final = 8 << 20
RESULTS_BYTES_MAX: Final = 256 << 20
TAIL_BYTES: Final = 64 << 10
"""Of a history: the last line is in it."""

HIDDEN: Final = "."
"""Folders whose names begin so are no runs: one that is being removed gets such a name."""

STATS: Final = "stats"

_Read = TypeVar("_Read")


class State(StrEnum):
    """How far a run has come."""

    RUNNING = "running"
    """A process makes it, or judges it."""

    JUDGED = "judged"
    NOT_JUDGED = "not judged"
    """It ended, and has no results."""

    INTERRUPTED = "interrupted"
    """The harness was killed before the run ended."""

    BROKEN = "broken"
    """A file of it cannot be read; `broken` says why."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """
    One run as it is kept.

    `path` is relative to the folder of runs. `started` is a time in ISO 8601; of a broken plan it
    is that of the folder. `duration_s` is the time of the last event. `verdict` is None where no
    results can be read. `signatures` are `checker/anomaly/…`, that of the verdict first.
    `operations` counts those of clients, None where nobody counted. `size_bytes` is what the files
    take on the disk, and `data_bytes` the part of it that are data directories of nodes.
    `interruption` says why the run ended early. `broken` says in one line what cannot be read.
    """

    path: str
    state: State
    system: str
    workload: str
    faults: tuple[str, ...] = ()
    seed: int | None = None
    started: str
    duration_s: float | None = None
    verdict: Verdict | None = None
    why: str = ""
    signatures: tuple[str, ...] = ()
    operations: int | None = None
    size_bytes: int = 0
    data_bytes: int = 0
    interruption: str = ""
    broken: str = ""

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.path.rpartition("/")[2]

    @property
    def started_at(self) -> datetime:
        """When it started."""
        return datetime.fromisoformat(self.started)


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """
    The runs of a folder, newest first.

    `latest` is the path of the run that `latest` leads to, empty when it leads to none of them.
    `troubles` are folders that cannot be read, a line each.
    """

    runs: tuple[Stored, ...]
    latest: str = ""
    troubles: tuple[str, ...] = ()

    def find(self, path: str) -> Stored | None:
        """The run of this path; `latest` is one."""
        wanted = self.latest if path == LATEST else path
        return next((run for run in self.runs if run.path == wanted), None)


def index(root: Path) -> Index:
    """
    Look at all runs of a folder.

    Raises:
        OSError: When the folder itself cannot be read.
    """
    runs: list[Stored] = []
    troubles: list[str] = []
    next(root.iterdir(), None)  # What cannot be read below it is no reason to raise.
    with inside.opened(root) as descriptor:
        identities: dict[tuple[int, int], str] = {}
        for path in _walk(descriptor, troubles):
            try:
                with inside.folder(descriptor, path) as run:
                    runs.append(_look(run, path))
                    found = os.fstat(run)
                    identities[found.st_dev, found.st_ino] = path
            except OSError as error:  # It was removed meanwhile, or may not be entered.
                troubles.append(f"{path}: {error.strerror or error}")
        latest = ""
        with contextlib.suppress(OSError):  # Nothing of it is read: it is compared with what is.
            target = os.stat(LATEST, dir_fd=descriptor)
            latest = identities.get((target.st_dev, target.st_ino), "")
    runs.sort(key=lambda run: (run.started_at, run.path), reverse=True)
    return Index(runs=tuple(runs), latest=latest, troubles=tuple(troubles))


def look(root: Path, path: str) -> Stored:
    """
    Look at one run.

    Raises:
        OSError: When there is no run at this path.
    """
    with inside.opened(root) as descriptor, inside.folder(descriptor, path) as run:
        os.stat(store.PLAN, dir_fd=run, follow_symlinks=False)
        return _look(run, path)


def paths_in(root: Path) -> list[str]:
    """
    The paths of all runs in a folder, relative to it; nothing of them is read.

    Raises:
        OSError: When the folder cannot be opened.
    """
    with inside.opened(root) as descriptor:
        return list(_walk(descriptor, []))


def _walk(root: int, troubles: list[str]) -> Iterator[str]:
    """The paths of folders with a plan. What a node keeps inside of a run is none."""
    waiting = [("", 0)]
    while waiting:
        path, depth = waiting.pop()
        try:
            with inside.folder(root, path) as descriptor, os.scandir(descriptor) as entries:
                below = []
                for entry in entries:
                    if entry.name == store.PLAN and path:
                        yield path
                        break
                    if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(HIDDEN):
                        below.append(f"{path}/{entry.name}" if path else entry.name)
                else:
                    if depth < DEPTH_MAX:
                        waiting += [(each, depth + 1) for each in below]
        except OSError as error:
            troubles.append(f"{path}: {error.strerror or error}")


class _Options(msgspec.Struct, frozen=True):
    """What is read of `Options`."""

    system: str
    workload: str
    faults: tuple[str, ...] = ()
    seed: int | None = None


class _Plan(msgspec.Struct, frozen=True):
    """What is read of `Plan`."""

    options: _Options
    started: str


class _Outcome(msgspec.Struct, frozen=True):
    """What is read of `Outcome`."""

    interruption: str = ""


class _Anomaly(msgspec.Struct, frozen=True):
    """What is read of `Anomaly`."""

    name: str
    signature: str = ""


class _Result(msgspec.Struct, frozen=True):
    """What is read of `Result`."""

    checker: str
    verdict: Verdict
    anomalies: tuple[_Anomaly, ...] = ()
    details: msgspec.Raw = msgspec.Raw(b"{}")


class _Results(msgspec.Struct, frozen=True):
    """What is read of `Results`."""

    verdict: Verdict
    why: str
    results: tuple[_Result, ...]
    signature: str = ""


class _Counts(msgspec.Struct, frozen=True):
    """What is read of the numbers of the checker `stats`."""

    count: int | None = None


class _Time(msgspec.Struct, frozen=True):
    """What is read of an event."""

    time: int


_PLANS: Final = msgspec.json.Decoder(_Plan)
_OUTCOMES: Final = msgspec.json.Decoder(_Outcome)
_RESULTS: Final = msgspec.json.Decoder(_Results)
_COUNTS: Final = msgspec.json.Decoder(_Counts)
_TIMES: Final = msgspec.json.Decoder(_Time)


class _Unreadable(ValueError):
    """A file of a run that cannot be read: its name, and why."""


def _look(run: int, path: str) -> Stored:
    """The run whose open folder this is."""
    above = path.split("/")
    plan = _Plan(_Options(above[-3] if len(above) > 2 else "", above[-2] if above[1:] else ""), "")
    outcome: _Outcome | None = None
    results: _Results | None = None
    broken: list[str] = []
    try:
        plan = _read(run, store.PLAN, _PLANS, PLAN_BYTES_MAX) or plan
    except _Unreadable as error:
        broken.append(str(error))
    started = parse_time(plan.started)
    if started is None and not broken:
        broken.append(f"{store.PLAN}: expected a time in ISO 8601 as started")
    try:
        outcome = _read(run, store.OUTCOME, _OUTCOMES, PLAN_BYTES_MAX)
        results = _read(run, store.RESULTS, _RESULTS, RESULTS_BYTES_MAX)
    except _Unreadable as error:
        broken.append(str(error))
    made = store.is_being_made(run)
    is_running = made is True or (made is None and outcome is None and results is None)
    sizes = sizes_of(run)
    return Stored(
        path=path,
        state=_state(is_running=is_running, broken=broken, outcome=outcome, results=results),
        system=plan.options.system,
        workload=plan.options.workload,
        faults=plan.options.faults,
        seed=plan.options.seed,
        started=(started or _changed_at(run)).isoformat(),
        duration_s=_duration_s(run),
        verdict=None if results is None else results.verdict,
        why="" if results is None else results.why,
        signatures=() if results is None else _signatures(results),
        operations=None if results is None else _operations(results),
        size_bytes=sizes.all_bytes,
        data_bytes=sizes.data_bytes,
        interruption=outcome.interruption if outcome else "",
        broken="; ".join(broken) or _unseen(sizes),
    )


def _unseen(sizes: Sizes) -> str:
    what = sizes.unreadable
    return f"{what} cannot be read, so the size leaves it out" if what else ""


def _state(
    *, is_running: bool, broken: list[str], outcome: _Outcome | None, results: _Results | None
) -> State:
    if is_running:
        return State.RUNNING
    if broken:
        return State.BROKEN
    if results is not None:
        return State.JUDGED
    return State.INTERRUPTED if outcome is None else State.NOT_JUDGED


def _read(
    run: int, name: str, decoder: msgspec.json.Decoder[_Read], bytes_max: int
) -> _Read | None:
    """A file decoded; None when there is none."""
    try:
        return decoder.decode(inside.read(run, name, bytes_max))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _Unreadable(f"{name}: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Unreadable(f"{name}: {error}") from error


def _changed_at(run: int) -> datetime:
    """When the folder was last changed; the beginning of time where its file system lies."""
    try:
        return datetime.fromtimestamp(os.fstat(run).st_mtime, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _duration_s(run: int) -> float | None:
    """The time of the last whole line of the history; None where there is none."""
    try:
        with open(inside.open_file(run, store.HISTORY), "rb") as file:  # noqa: PTH123 - it is open.
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).split(b"\n")[:-1]
    except OSError:
        return None
    if not lines:
        return None
    try:
        return _TIMES.decode(lines[-1]).time / 1e9
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _signatures(results: _Results) -> tuple[str, ...]:
    """Each once, that of the verdict first."""
    own = (
        anomaly.signature or f"{result.checker}/{anomaly.name}"
        for result in results.results
        for anomaly in result.anomalies
    )
    return tuple(dict.fromkeys(filter(None, (results.signature, *own))))


def _operations(results: _Results) -> int | None:
    """As the checker `stats` counted them."""
    for result in results.results:
        if result.checker == STATS:
            with contextlib.suppress(msgspec.DecodeError):
                return _COUNTS.decode(result.details).count
    return None
