"""
The raft files of a data directory, replaced by others as one step that may be interrupted.

The new files are copied into a folder in the directory. The folder is renamed when they are on
disk, and from then on there is one way, forward: the old files go, the folder is renamed again, the
new ones come in. So the name of the folder tells what is left to do. Everything else in the
directory stays. No node starts on a directory with such a folder.
"""

import os
import shutil
from pathlib import Path

from dqlite.node import files

COPY = "recovery.copy"
"""Is being written; worth nothing."""
NEW, READY = files.INTERRUPTED
"""Whole, while old files go; and when they are gone, while the new ones come in."""


def stage(source: Path, target: Path) -> None:
    """
    Copy the raft files of `source` into a folder of `target`, and make them last.

    They get the owner of `target`, and are for the owner alone, as raft makes them. Nothing else
    in `target` is changed, and a second call begins afresh.
    """
    discard(target)
    copy = target / COPY
    copy.mkdir(mode=0o700)
    owner = target.stat()
    for name in raft_files(source):
        _copy(source / name, copy / name, owner)
    _sync(copy)


def discard(target: Path) -> None:
    """Remove what `stage` copied."""
    if (target / COPY).exists():
        shutil.rmtree(target / COPY)


def install(target: Path) -> None:
    """Put what `stage` copied in place of the raft files."""
    (target / COPY).rename(target / NEW)
    _sync(target)
    finish(target)


def finish(target: Path) -> bool:
    """Do what is left to do in a directory; return whether there was anything."""
    new, ready = target / NEW, target / READY
    if new.exists():
        for name in raft_files(target):
            (target / name).unlink()
        _sync(target)
        new.rename(ready)
        _sync(target)
    elif not ready.exists():
        return False
    for name in sorted(path.name for path in ready.iterdir()):
        (ready / name).rename(target / name)
    _sync(target)
    ready.rmdir()
    _sync(target)
    return True


def back_up(source: Path, target: Path) -> None:
    """
    Copy all of a data directory to a new one, and make it last; links stay links.

    Raises:
        OSError: If something in it cannot be copied.
    """
    shutil.copytree(source, target, symlinks=True)
    for folder, _, names in os.walk(target):
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                _sync(path)
        _sync(Path(folder))


def raft_files(directory: Path) -> list[str]:
    """The names of raft's files in a directory, in order."""
    return sorted(path.name for path in directory.iterdir() if files.is_raft_file(path.name))


def _copy(source: Path, target: Path, owner: os.stat_result) -> None:
    shutil.copyfile(source, target, follow_symlinks=False)
    target.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(target, owner.st_uid, owner.st_gid)
    _sync(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
