"""
One user of a data directory at a time.

1.11.1 has no lock, so nodes and tools of this package lock the directory itself. Newer libraries,
and so nodes of other programs, lock the file `dqlite-lock` in it.

Source: `acquire_dir` in `dqlite/src/server.c`.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dqlite.errors import NodeError

LOCK_FILE = "dqlite-lock"


def lock(path: Path) -> int:
    """
    Return the descriptor that holds a directory until it is closed.

    Raises:
        NodeError: If it cannot be written to, or somebody else holds it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as cause:
        raise NodeError(f"cannot use the data directory {path}: {cause.strerror}") from cause
    try:
        _lock(descriptor, path)
        if not os.access(path, os.W_OK | os.X_OK):
            raise NodeError(f"cannot write to the data directory {path}")
        _look_at_lock_file(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a directory for a while. Raises like `lock`."""
    descriptor = lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def _look_at_lock_file(path: Path) -> None:
    """Raise NodeError if a node of another program runs; the library will lock it for itself."""
    try:
        descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    except OSError as cause:
        raise NodeError(f"cannot use {path / LOCK_FILE}: {cause.strerror}") from cause
    try:
        _lock(descriptor, path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        if cause.errno == errno.EWOULDBLOCK:
            raise NodeError(f"another node holds the data directory {path}") from cause
        raise NodeError(f"cannot lock the data directory {path}: {cause.strerror}") from cause
