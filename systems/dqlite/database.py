"""The database that workloads share: its tables, and what a node holds of it on its disk."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from dissever.harness.system import Damaged, Digest, Replica, Snapshot, Unseen

DATABASE = "dissever"

TABLES = (
    "CREATE TABLE IF NOT EXISTS register (key INTEGER PRIMARY KEY, value INTEGER)",
    "CREATE TABLE IF NOT EXISTS element (value INTEGER)",
    "CREATE TABLE IF NOT EXISTS list (id INTEGER PRIMARY KEY, key INTEGER, value INTEGER)",
    "CREATE INDEX IF NOT EXISTS list_by_key ON list (key, id)",
    "CREATE TABLE IF NOT EXISTS tick (id INTEGER PRIMARY KEY, n INTEGER)",
    "INSERT OR IGNORE INTO tick (id, n) VALUES (0, 0)",
)

TICK = "UPDATE tick SET n = n + 1 WHERE id = 0"
"""A write that nobody reads: it proves that a leader still leads."""

FILES = (DATABASE, f"{DATABASE}-wal")
"""What a node holds of it: the database and its WAL. No other name of a dump becomes a path."""

_VALUE_BYTES_MAX = 16 << 20
_WORK_MAX = 20_000
_WORK_UNIT = 10_000
"""A node chose what is in its files: reading one may take _WORK_MAX * _WORK_UNIT VM steps."""

_SNAPSHOT = re.compile(r"snapshot-\d+-(\d+)-\d+\.meta")
_SEGMENT = re.compile(r"(\d{16})-\d{16}")


def digest_of(files: Mapping[str, bytes], folder: Path) -> Replica:
    """
    A digest of the SQL that would make the database again, unless its pages are damaged.

    `folder`: where it is unpacked. It should be in the run, where a killed harness may leave files.
    """
    with TemporaryDirectory(dir=folder) as directory:
        for name in FILES:
            if content := files.get(name):
                (Path(directory) / name).write_bytes(content)
        try:
            with closing(sqlite3.connect(Path(directory) / DATABASE)) as database:
                _distrust(database)
                checked = database.execute("PRAGMA integrity_check").fetchall()
                if checked != [("ok",)]:
                    return Damaged(repr(str(checked[0][0])[:200]))
                digest = hashlib.sha256()
                for line in database.iterdump():
                    digest.update(line.encode() + b"\n")
        except (sqlite3.OperationalError, sqlite3.DataError) as error:  # Past a limit of ours.
            return Unseen(str(error))
        except sqlite3.Error as error:
            return Damaged(str(error))
    return Digest(digest.hexdigest())


def _distrust(database: sqlite3.Connection) -> None:
    """Let a hostile file take neither much time nor much memory; it ends in a sqlite3.Error."""
    left = iter(range(_WORK_MAX))
    database.set_progress_handler(lambda: next(left, None) is None, _WORK_UNIT)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES_MAX)
    database.execute("PRAGMA trusted_schema = OFF")


def snapshots_of(names: Sequence[str]) -> frozenset[Snapshot]:
    """
    By the names of raft's files: `snapshot-<term>-<index>-<time>.meta`, and `<first>-<last>`.

    A node that takes a snapshot keeps entries before it; one that installs a snapshot keeps none.
    """
    firsts = [int(found[1]) for name in names if (found := _SEGMENT.fullmatch(name))]
    return frozenset(
        Snapshot(name, all(first > int(found[1]) for first in firsts))
        for name in names
        if (found := _SNAPSHOT.fullmatch(name))
    )
