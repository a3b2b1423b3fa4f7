"""
Backup of a database into one SQLite file, and its restoration from such a file or from SQL.

A backup is the DUMP of a node: all that it has committed, at one moment, without stopping anyone.
A restoration goes through the database like any client, so every member gets it, and the logs and
snapshots of the cluster stay as they are. It is one transaction: all is committed, or nothing. Only
a large file is restored in parts. A transaction is one entry of the log, and a leader that writes
and sends an entry for longer than an election takes is deposed. Until the last part is committed,
the database has the table `__dqlite_restore`; the next restoration then begins again.

Source: dqlite#193, dqlite#198; SQLite, "File Format", "The Command Line Shell" (`.dump`).
"""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self, TypeAlias

from dqlite import statements
from dqlite.client.blocking import BlockingClient
from dqlite.client.dumps import save_dump
from dqlite.errors import (
    Abandoned,
    BackupError,
    DqliteError,
    Indeterminate,
    ProtocolError,
)
from dqlite.values import Parameter

PARAMETERS_MAX = 255
"""Of one INSERT: what every server takes."""

BYTES_MAX = 2**30
"""Of a database, unless the caller says otherwise."""

BATCH_BYTES_MAX = 256 * 1024
"""Of the values of one INSERT."""

PART_BYTES = 2 * 1024 * 1024
"""Of the values of one transaction; a file that is not larger is restored in one."""

_UNFINISHED = "__dqlite_restore"
_OURS = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
"""In `sqlite_master`: all but SQLite's own tables and indexes."""

_HEADER = b"SQLite format 3\0"
_TRANSACTIONS = ("BEGIN", "COMMIT", "END")
_Row: TypeAlias = Sequence[Parameter]


class _Text(bytes):
    """Text of SQLite's that need not be UTF-8, nor free of NULs."""


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


def restore(client: BlockingClient, database: str, path: str | os.PathLike[str]) -> None:
    """
    Fill an empty database from an SQLite file, or from a script of SQL such as `.dump` writes.

    A file gives tables, rows (with their rowids), indexes, views, triggers and the counters of
    AUTOINCREMENT, `user_version` and `application_id`; statistics of ANALYZE are left out. One
    above `PART_BYTES` is restored in several transactions; where the last restoration of the
    database was not finished, what it left is removed first. A script is run as it is, in one
    transaction; its own BEGIN and COMMIT are left out.

    Args:
        client: Of the leader, without an open database.

    Raises:
        BackupError: If the file cannot be read, is damaged or has virtual tables, or the database
            is not empty; or if a restoration in parts was not finished: repeat it.
        NotApplied: If the database refuses something; nothing is applied, the client is closed.
        Indeterminate: If the answer to the COMMIT was lost: it is restored, or still empty.
    """
    source = Path(path)
    try:
        with source.open("rb") as file:
            is_database = file.read(len(_HEADER)) == _HEADER
        script = None if is_database else source.read_text("utf-8")
        is_large = script is None and source.stat().st_size > PART_BYTES
    except OSError as cause:
        raise BackupError(f"cannot read {source}: {cause.strerror or cause}") from cause
    except UnicodeDecodeError as cause:
        raise BackupError(f"{source} is neither an SQLite file nor SQL in UTF-8") from cause

    client.open(database)
    # 1.11.1 cannot read pages that SQLite moved from its cache to the log before the COMMIT.
    client.exec_sql("PRAGMA cache_spill = 0")
    _remove_unfinished(client)
    with _Filling(client, database, PART_BYTES if is_large else None) as filling:
        if script is None:
            with _opened(source) as reader:
                _copy(reader, filling)
        else:
            _run(script, client)


class _Filling:
    """
    The transactions that fill a database, as a context: the last one is committed at its end.

    Without `part_bytes` it is a single one. With them, foreign keys are checked at the end, since
    rows may come before those that they name.
    """

    def __init__(self, client: BlockingClient, database: str, part_bytes: int | None) -> None:
        self.client = client
        self._database = database
        self._part_bytes = part_bytes
        self._bytes = 0
        self._parts = 0

    def __enter__(self) -> Self:
        if self._part_bytes is not None:
            self.client.exec_sql("PRAGMA foreign_keys = 0")
        self.client.exec_sql("BEGIN IMMEDIATE")
        try:
            if self.client.query_sql(f"SELECT 1 FROM sqlite_master WHERE {_OURS} LIMIT 1").rows:
                raise BackupError(
                    f"the database {self._database} is not empty: restore into a new one"
                )
            if self._part_bytes is None:
                self.client.exec_sql("PRAGMA defer_foreign_keys = 1")
            else:
                self.client.exec_sql(f"CREATE TABLE {_UNFINISHED} (n)")
        except BaseException as error:
            self._give_up(error)
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self._give_up(error)
            return
        try:
            self._finish()
        except BaseException as late:
            self._give_up(late)
            raise
        self._commit_last()

    def wrote(self, size: int) -> None:
        """Count the bytes of an INSERT; commit a part that is large enough."""
        self._bytes += size
        if self._part_bytes is not None and self._bytes >= self._part_bytes:
            self.end_part()

    def end_part(self) -> None:
        """Commit what there is, and go on in the next transaction; if there are parts."""
        if self._part_bytes is not None:
            self._bytes = 0
            self._parts += 1
            self.client.exec_sql("COMMIT")
            self.client.exec_sql("BEGIN IMMEDIATE")

    def _finish(self) -> None:
        if self._part_bytes is None:
            return
        if self.client.query_sql("PRAGMA foreign_key_check").rows:
            raise BackupError("rows of the file violate a foreign key")
        self.client.exec_sql(f"DROP TABLE {_UNFINISHED}")

    def _commit_last(self) -> None:
        self.client.exec_sql("COMMIT")
        if self._part_bytes is not None:
            self.client.exec_sql("PRAGMA foreign_keys = 1")

    def _give_up(self, error: BaseException) -> None:
        """Roll back, close the client, and say what is left where that is not in the error."""
        if not isinstance(error, Indeterminate | ProtocolError):
            with contextlib.suppress(DqliteError):
                self.client.exec_sql("ROLLBACK")
        self.client.close()  # its end rolls back, too
        if self._parts and isinstance(error, Exception):
            raise BackupError(
                f"{self._database} is incomplete, restore it again: {error}"
            ) from error
        if isinstance(error, Indeterminate | ProtocolError):
            raise Abandoned(f"before COMMIT: {error}") from error


def _remove_unfinished(client: BlockingClient) -> None:
    """Empty a database whose restoration did not come to its end."""
    found = [
        (str(kind), str(name))
        for kind, name in client.query_sql(
            f"SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND {_OURS}"
        ).rows
    ]
    if ("table", _UNFINISHED) not in found:
        return
    client.exec_sql("PRAGMA foreign_keys = 0")
    client.exec_sql("BEGIN IMMEDIATE")
    for kind, name in found:
        client.exec_sql(f"DROP {kind.upper()} {_quoted(name)}")
    client.exec_sql("COMMIT")
    client.exec_sql("PRAGMA foreign_keys = 1")


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


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[sqlite3.Connection]:
    """Open an SQLite file for one snapshot of reading; what SQLite says of it is a BackupError."""
    try:
        name = f"{source.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(name, uri=True, isolation_level=None)) as reader:
            reader.text_factory = _Text
            reader.execute("BEGIN")
            yield reader
    except sqlite3.Error as cause:
        raise BackupError(f"cannot read {source}: {cause}") from cause


def _copy(reader: sqlite3.Connection, filling: _Filling) -> None:
    """Create what a file has, tables and rows first, so that no trigger runs."""
    client = filling.client
    schema = [
        (_text(kind), _text(name), _text(sql))
        for kind, name, sql in reader.execute(
            "SELECT type, name, sql FROM sqlite_master"
            f" WHERE sql IS NOT NULL AND {_OURS} ORDER BY rowid"
        )
    ]
    tables = [(name, sql) for kind, name, sql in schema if kind == "table"]
    for name, sql in tables:
        if sql.upper().startswith("CREATE VIRTUAL"):
            raise BackupError(f"the virtual table {name} cannot be restored")
        if name == _UNFINISHED:
            raise BackupError("it is the backup of a database whose restoration was not finished")
        client.exec_sql(sql)
    for name, _ in tables:
        _fill(filling, name, *_columns_and_rows(reader, name))
    if reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        client.exec_sql("DELETE FROM sqlite_sequence")
        rows = reader.execute("SELECT name, seq FROM sqlite_sequence")
        _fill(filling, "sqlite_sequence", ["name", "seq"], rows)
    for wanted in ("index", "view", "trigger"):
        for kind, _, sql in schema:
            if kind == wanted:
                client.exec_sql(sql)
                if kind == "index":
                    filling.end_part()
    for pragma in ("user_version", "application_id"):
        (number,) = reader.execute(f"PRAGMA {pragma}").fetchone()
        if number:
            client.exec_sql(f"PRAGMA {pragma} = {number}")


def _columns_and_rows(reader: sqlite3.Connection, table: str) -> tuple[list[str], Iterable[_Row]]:
    """The columns to insert, quoted, with the rowid where it has a name; and all rows."""
    described = reader.execute(f"PRAGMA table_xinfo({_quoted(table)})").fetchall()
    columns = [_quoted(_text(name)) for _, name, _, _, _, _, hidden in described if not hidden]
    taken = {_text(row[1]).lower() for row in described}
    for alias in ("rowid", "_rowid_", "oid"):
        if alias not in taken:
            with contextlib.suppress(sqlite3.OperationalError):  # WITHOUT ROWID
                reader.execute(f"SELECT {alias} FROM {_quoted(table)} LIMIT 0")
                columns.insert(0, alias)
            break
    return columns, reader.execute(f"SELECT {', '.join(columns)} FROM {_quoted(table)}")


def _fill(filling: _Filling, table: str, columns: Sequence[str], rows: Iterable[_Row]) -> None:
    """Insert rows, as many at a time as every server takes."""
    start = f"INSERT INTO {_quoted(table)} ({', '.join(columns)}) VALUES "
    for batch in _batches(rows, max(1, PARAMETERS_MAX // len(columns))):
        places, values = [], []
        for row in batch:
            parameters = [_parameter(value) for value in row]
            places.append("(" + ", ".join(place for place, _ in parameters) + ")")
            values += [value for _, value in parameters]
        filling.client.exec_sql(start + ", ".join(places), values)
        filling.wrote(sum(len(value) if isinstance(value, str | bytes) else 8 for value in values))


def _batches(rows: Iterable[_Row], size: int) -> Iterator[list[_Row]]:
    batch: list[_Row] = []
    weight = 0
    for row in rows:
        batch.append(row)
        weight += sum(len(value) for value in row if isinstance(value, bytes))
        if len(batch) >= size or weight >= BATCH_BYTES_MAX:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def _parameter(value: Parameter) -> tuple[str, Parameter]:
    """The place of a value in SQL, and what is bound there; text that no message holds is cast."""
    if isinstance(value, _Text):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return "CAST(? AS TEXT)", bytes(value)
        return ("CAST(? AS TEXT)", bytes(value)) if "\0" in text else ("?", text)
    return "?", value


def _run(script: str, client: BlockingClient) -> None:
    """Run the statements of a script in the open transaction."""
    for number, sql in enumerate(statements.split(script), 1):
        words = statements.tokens_of(sql)
        if not words or words[0] in _TRANSACTIONS:
            continue
        try:
            if words[0] in ("ROLLBACK", "SAVEPOINT", "RELEASE"):
                raise BackupError(f"{words[0]} has no place in the one transaction of a script")
            if statements.gives_rows(sql):
                client.query_sql(sql)
            else:
                client.exec_sql(sql)
        except DqliteError as error:
            error.add_note(f"in statement {number} of the script")
            raise


def _text(value: bytes) -> str:
    """A name or SQL of a schema."""
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as cause:
        raise BackupError(f"the schema has text that is no UTF-8: {value!r:.100}") from cause


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
