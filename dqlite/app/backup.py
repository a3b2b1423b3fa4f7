"""
Backup of a database into one SQLite file, and its restoration from such a file or from SQL.

A backup is the DUMP of a node: all that it has committed, at one moment, without stopping anyone.
A restoration goes through the database like any client, in one transaction: all of it is committed,
or nothing. So every member gets it, and the logs and snapshots of the cluster stay as they are.

Source: dqlite#193, dqlite#198; SQLite, "File Format", "The Command Line Shell" (`.dump`).
"""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

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

BATCH_BYTES_MAX = 1024 * 1024
"""Of the values of one INSERT."""

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
    AUTOINCREMENT, `user_version` and `application_id`; statistics of ANALYZE are left out.
    A script is run as it is; its own BEGIN and COMMIT are left out.

    Args:
        client: Of the leader, without an open database.

    Raises:
        BackupError: If the file cannot be read, is damaged or has virtual tables, or the database
            is not empty.
        NotApplied: If the database refuses something; nothing is applied, the client is closed.
        Indeterminate: If the answer to the COMMIT was lost: it is restored, or still empty.
    """
    source = Path(path)
    try:
        with source.open("rb") as file:
            is_database = file.read(len(_HEADER)) == _HEADER
        script = None if is_database else source.read_text("utf-8")
    except OSError as cause:
        raise BackupError(f"cannot read {source}: {cause.strerror or cause}") from cause
    except UnicodeDecodeError as cause:
        raise BackupError(f"{source} is neither an SQLite file nor SQL in UTF-8") from cause

    client.open(database)
    client.exec_sql("BEGIN IMMEDIATE")
    try:
        if client.query_sql("SELECT 1 FROM sqlite_master LIMIT 1").rows:
            raise BackupError(f"the database {database} is not empty: restore into a new one")
        client.exec_sql("PRAGMA defer_foreign_keys = 1")
        if script is None:
            with _opened(source) as reader:
                _copy(reader, client)
        else:
            _run(script, client)
    except (Indeterminate, ProtocolError) as error:
        client.close()
        raise Abandoned(f"before COMMIT: {error}") from error
    except BaseException:
        with contextlib.suppress(DqliteError):
            client.exec_sql("ROLLBACK")
        client.close()  # its end rolls back, too
        raise
    client.exec_sql("COMMIT")


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


def _copy(reader: sqlite3.Connection, client: BlockingClient) -> None:
    """Create what a file has, tables and rows first, so that no trigger runs."""
    schema = [
        (_text(kind), _text(name), _text(sql))
        for kind, name, sql in reader.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
        )
    ]
    tables = [(name, sql) for kind, name, sql in schema if kind == "table"]
    for name, sql in tables:
        if sql.upper().startswith("CREATE VIRTUAL"):
            raise BackupError(f"the virtual table {name} cannot be restored")
        client.exec_sql(sql)
    for name, _ in tables:
        _fill(client, name, *_columns_and_rows(reader, name))
    if reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        client.exec_sql("DELETE FROM sqlite_sequence")
        rows = reader.execute("SELECT name, seq FROM sqlite_sequence")
        _fill(client, "sqlite_sequence", ["name", "seq"], rows)
    for wanted in ("index", "view", "trigger"):
        for kind, _, sql in schema:
            if kind == wanted:
                client.exec_sql(sql)
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


def _fill(client: BlockingClient, table: str, columns: Sequence[str], rows: Iterable[_Row]) -> None:
    """Insert rows, as many at a time as every server takes."""
    start = f"INSERT INTO {_quoted(table)} ({', '.join(columns)}) VALUES "
    for batch in _batches(rows, max(1, PARAMETERS_MAX // len(columns))):
        places, values = [], []
        for row in batch:
            parameters = [_parameter(value) for value in row]
            places.append("(" + ", ".join(place for place, _ in parameters) + ")")
            values += [value for _, value in parameters]
        client.exec_sql(start + ", ".join(places), values)


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
