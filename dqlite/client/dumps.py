"""
A dump on disk: the database and its WAL side by side, as sqlite3 opens them.

Source: go-dqlite `cmd/dqlite`, `.dump`; SQLite, `walformat.html`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from dqlite import statements
from dqlite.client.stores import replace_file
from dqlite.errors import Refused, StoreError


def save_dump(files: Mapping[str, bytes], directory: str | os.PathLike[str]) -> Path:
    """
    Write what `dump` gave into a directory, each file of mode 0600 and whole; return the database.

    The WAL of an earlier dump goes first: SQLite would apply it to the new database.

    Raises:
        Refused: If the files are not those of one database, or it is empty: old servers give that
            for a database that they do not have.
        StoreError: If a file cannot be written; the other one may have been.
    """
    names = sorted(files, key=len)
    if len(names) != 2 or names[1] != f"{names[0]}-wal":
        raise Refused(f"expected the files of a dump, NAME and NAME-wal, got {names}")
    name = statements.check_database_name(names[0])
    if not files[name]:
        raise Refused(f"the server has no database {name}")
    path = Path(directory) / name
    wal = path.with_name(f"{name}-wal")
    try:
        wal.unlink(missing_ok=True)
    except OSError as cause:
        raise StoreError(f"cannot replace {wal}: {cause.strerror or cause}") from cause
    replace_file(path, files[name])
    replace_file(wal, files[wal.name])
    return path
