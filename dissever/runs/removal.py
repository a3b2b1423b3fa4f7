"""
Removes runs, or the data directories of their nodes, and nothing else.

A run is first renamed, so that nobody takes what is left for a run when the removal is cut short;
the next one goes on with it. Links are removed and never followed. What is mounted inside of a run
is not entered, and the run stays.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dissever.harness import store
from dissever.runs import inside
from dissever.runs.index import DEPTH_MAX
from dissever.runs.sizes import DATA

GONE: Final = ".gone-"
"""How the name of a run that is being removed begins."""

NESTED_MAX: Final = 100
"""Folders inside of each other; each is open while what is in it is removed."""


class InUse(OSError):
    """A process makes this run, or something is mounted in it."""


def remove(root: Path, path: str) -> None:
    """
    Remove a run, and the folders above it that are empty then.

    Raises:
        InUse: When a process makes it, or something is mounted in it.
        OSError: When it cannot be removed, or is no run of this folder.
    """
    above, _, name = path.rpartition("/")
    with inside.opened(root) as descriptor:
        with inside.folder(descriptor, above) as parent:
            with _claimed(parent, name):
                gone = GONE + name
                os.rename(name, gone, src_dir_fd=parent, dst_dir_fd=parent)
            _remove_folder(parent, gone)
        _remove_empty(descriptor, above)


def remove_data(root: Path, path: str) -> None:
    """
    Remove the data directories of a run's nodes; logs, and how the nodes ended, stay.

    Raises:
        InUse, OSError: As `remove`.
    """
    above, _, name = path.rpartition("/")
    with (
        inside.opened(root) as descriptor,
        inside.folder(descriptor, above) as parent,
        _claimed(parent, name) as run,
        inside.folder(run, store.NODES) as nodes,
    ):
        for node in _folders(nodes):
            with inside.folder(nodes, node) as directory:
                if DATA in _folders(directory):
                    _remove_folder(directory, DATA)


def sweep(root: Path) -> int:
    """Go on with removals that were cut short. Returns: how many runs that were."""
    count = 0
    with inside.opened(root) as descriptor:
        waiting = [""]
        while waiting:
            path = waiting.pop()
            with contextlib.suppress(OSError), inside.folder(descriptor, path) as directory:
                if _is_run(directory):
                    continue
                for name in _folders(directory):
                    if name.startswith(GONE):
                        with contextlib.suppress(OSError):
                            _remove_folder(directory, name)
                            count += 1
                    elif path.count("/") < DEPTH_MAX and not name.startswith("."):
                        waiting.append(f"{path}/{name}" if path else name)
    return count


@contextlib.contextmanager
def _claimed(parent: int, name: str) -> Iterator[int]:
    """
    A run that nobody makes and in which nothing is mounted, open as long as the block lasts.

    Raises:
        InUse, OSError: As `remove`.
    """
    with inside.folder(parent, name) as run:
        if not _is_run(run):
            raise FileNotFoundError(errno.ENOENT, "it is no run any more")
        made = store.is_being_made(run)
        if made or (made is None and not _has(run, store.OUTCOME)):
            raise InUse(errno.EBUSY, "it goes on")
        _refuse_mounts(run, _mount_of(run))
        yield run


def _is_run(directory: int) -> bool:
    return _has(directory, store.PLAN)


def _has(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return True


def _folders(directory: int) -> list[str]:
    """The names of real folders in an open one."""
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _refuse_mounts(directory: int, mount: int, depth: int = 0) -> None:
    """Raises InUse when something below is mounted, OSError when it is too deep."""
    if depth > NESTED_MAX:
        raise OSError(errno.ELOOP, f"it has more than {NESTED_MAX} folders inside of each other")
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            if _mount_of(descriptor) != mount:
                raise InUse(errno.EBUSY, f"something is mounted at {name}")
        finally:
            os.close(descriptor)
        if is_folder:
            with contextlib.suppress(PermissionError), inside.folder(directory, name) as inner:
                _refuse_mounts(inner, mount, depth + 1)


def _mount_of(descriptor: int) -> int:
    """
    The number of the mount that an open file is on.

    A folder that is mounted a second time is on the same device as before, but on another mount.

    Source: proc_pid_fdinfo(5).
    """
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["mnt_id"])


def _remove_folder(parent: int, name: str) -> None:
    """Remove a folder with all that is in it, also folders that nobody may enter."""
    _let_enter(parent, name)
    with inside.folder(parent, name) as directory:
        with os.scandir(directory) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for inner, is_folder in found:
            if is_folder:
                _remove_folder(directory, inner)
            else:
                os.unlink(inner, dir_fd=directory)
    os.rmdir(name, dir_fd=parent)


def _let_enter(parent: int, name: str) -> None:
    """Give its owner all rights to a folder; the way by its descriptor follows no link."""
    descriptor = os.open(name, os.O_PATH | inside.FOLDER, dir_fd=parent)
    try:
        with contextlib.suppress(PermissionError):
            Path(f"/proc/self/fd/{descriptor}").chmod(stat.S_IRWXU)
    finally:
        os.close(descriptor)


def _remove_empty(root: int, path: str) -> None:
    """Remove a folder below the root, and those above it, as long as they are empty."""
    while path:
        above, _, name = path.rpartition("/")
        try:
            with inside.folder(root, above) as parent:
                os.rmdir(name, dir_fd=parent)
        except OSError:
            return
        path = above
