"""All of a run that a page of it needs, read from its folder with the care of `inside.py`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from dissever.harness import store
from dissever.harness.episodes import Episodes, episodes_of
from dissever.harness.history import History, MalformedHistory
from dissever.harness.plan import Plan
from dissever.harness.results import Results
from dissever.runs import inside
from dissever.runs.following import Follower, LineTooLong
from dissever.runs.index import PLAN_BYTES_MAX, RESULTS_BYTES_MAX, Stored, look
from dissever.runs.series import NotEvent, Series
from dissever.runs.sizes import DATA

FILES_MAX: Final = 2_000
HISTORY_BYTES_MAX: Final = 4 << 30
STRETCHES: Final = 100
"""Of a history: this is how many points its curves have."""

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a run, by its path in the folder of the run."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Whole:
    """
    A run with what was planned and found, and how it went.

    `plan` and `results` are None where they cannot be read; `troubles` says why, a line each.
    """

    stored: Stored
    plan: Plan | None
    results: Results | None
    series: Series
    episodes: Episodes
    troubles: tuple[str, ...]


def files_of(root: Path, path: str) -> tuple[tuple[File, ...], bool]:
    """
    The files of a run, without the data directories of nodes, and whether there are more.

    Raises:
        OSError: When the run is gone.
    """
    found: list[File] = []
    with inside.opened(root) as descriptor, inside.folder(descriptor, path) as run:
        waiting = [""]
        while waiting:
            above = waiting.pop()
            try:
                with inside.folder(run, above) as directory, os.scandir(directory) as entries:
                    for entry in entries:
                        inner = f"{above}/{entry.name}" if above else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if entry.name != DATA and inner.count("/") < 3:
                                waiting.append(inner)
                        elif entry.is_file(follow_symlinks=False):
                            size = entry.stat(follow_symlinks=False).st_size
                            found.append(File(inner, size))
                        if len(found) > FILES_MAX:
                            return tuple(sorted(found, key=_order)), True
            except OSError:
                if not above:
                    raise
    return tuple(sorted(found, key=_order)), False


def _order(file: File) -> tuple[bool, str]:
    return "/" in file.path, file.path


def read_whole(root: Path, path: str) -> Whole:
    """
    Read a run, its history as a stream.

    Raises:
        OSError: When the run is gone.
    """
    stored = look(root, path)
    troubles: list[str] = []
    with inside.opened(root) as descriptor, inside.folder(descriptor, path) as run:
        plan = _decoded(run, store.PLAN, Plan, PLAN_BYTES_MAX, troubles)
        results = _decoded(run, store.RESULTS, Results, RESULTS_BYTES_MAX, troubles)
        series = _series(run, stored, troubles)
    try:
        found = episodes_of(History(tuple(series.faults)), plan.actions if plan else None)
    except MalformedHistory as error:
        troubles.append(f"{store.HISTORY}: {error}")
        found = episodes_of(History())
    return Whole(stored, plan, results, series, found, tuple(troubles))


def _decoded(
    run: int, name: str, kind: type[_Read], bytes_max: int, troubles: list[str]
) -> _Read | None:
    try:
        return msgspec.json.decode(inside.read(run, name, bytes_max), type=kind)
    except FileNotFoundError:
        troubles.append(f"there is no {name}")
    except OSError as error:
        troubles.append(f"{name}: {error.strerror or error}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        troubles.append(f"{name}: {error}")
    return None


def _series(run: int, stored: Stored, troubles: list[str]) -> Series:
    """The history in stretches of a hundredth of its duration, of 1 s where it is not known."""
    duration_ns = int((stored.duration_s or STRETCHES) * 1e9)
    series = Series(max(1_000_000, duration_ns // STRETCHES))
    follower = Follower(series.hear)
    try:
        descriptor = inside.open_file(run, store.HISTORY)
    except OSError as error:
        troubles.append(f"{store.HISTORY}: {error.strerror or error}")
        return series
    try:
        follower.look(descriptor, HISTORY_BYTES_MAX)
    except (NotEvent, LineTooLong, OSError) as error:
        troubles.append(f"{store.HISTORY}: {error}; figures are those of what comes before")
    finally:
        os.close(descriptor)
    if left := series.faults_left_out:
        what = f"faults are those of the first {len(series.faults):,} events of nemeses"
        troubles.append(f"{store.HISTORY}: {what}, {left:,} more are left out")
    return series
