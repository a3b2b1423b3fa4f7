"""
Backup of a database into one SQLite file: the DUMP of a node, without stopping anyone.

It is all that the node has committed, at one moment. `dqlite.app.restoration` is the way back.

Source: dqlite#193, dqlite#198; SQLite, "File Format".
"""

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path

from dqlite.client.blocking import BlockingClient
from dqlite.client.dumps import save_dump
from dqlite.errors import BackupError

BYTES_MAX = 2**30
"""Of a database, unless the caller says otherwise."""


def backup(
    client: BlockingClient,
    database: str,
    path: str | os.PathLike[str],
    *,
    replace: bool = False,
    bytes_max: int = BYTES_MAX,
) -> int:
    """
    Write a database, as one node has it, to one clean SQLite file of mode 0600.

    Ask the leader: others may lag behind. The log (WAL) is merged, and the file is checked.

    Args:
        path: Must not exist, unless it is to be replaced; it is whole, or not written at all.
        bytes_max: Of the database and its log. They are held in memory, some three times.

    Returns:
        Its size in bytes.

    Raises:
        BackupError: If what came is damaged, or the file is in the way or cannot be written.
        Refused, StatementError: If the node has no such database: by its version.
        ProtocolError: If it is larger than `bytes_max`.
    """
    target = Path(path)
    if target.exists() and not replace:
        raise BackupError(f"{target} exists already")
    files = client.dump(database, bytes_max=bytes_max)
    try:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as directory:
            copy = save_dump(files, directory)
            _clean(copy)
            size = copy.stat().st_size
            _sync(copy)
            copy.replace(target)
            _sync(target.parent)
    except sqlite3.Error as cause:
        raise BackupError(f"the dump of {database} from {client.address}: {cause}") from cause
    except OSError as cause:
        raise BackupError(f"cannot write {target}: {cause.strerror or cause}") from cause
    return size


def _clean(copy: Path) -> None:
    """Merge the log into a database, leave the WAL mode, and check every page."""
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as opened:
        opened.execute("PRAGMA journal_mode = DELETE")
        (verdict,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"integrity check: {verdict}")


def _sync(path: Path) -> None:
    """Have a file or a directory survive the loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
