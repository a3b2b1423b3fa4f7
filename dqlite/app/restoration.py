"""
Restoration of a database from one SQLite file or from a script of SQL; the way back of `backup`.

It goes through the database like any client, so every member gets it, and the logs and snapshots
of the cluster stay as they are. `filling` has the transactions.

Source: dqlite#193, dqlite#198; SQLite, "File Format", "The Command Line Shell" (`.dump`).
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from dqlite import statements
from dqlite.app import filling
from dqlite.app.filling import OURS, UNFINISHED, Filling, NextLeader, Parts, Whole, quoted
from dqlite.client.blocking import BlockingClient
from dqlite.errors import BackupError, DqliteError
from dqlite.values import Parameter

PARAMETERS_MAX = 255
"""Of one INSERT: what every server takes."""

BATCH_BYTES_MAX = 256 * 1024
"""Of the values of one INSERT."""

_HEADER = b"SQLite format 3\0"
_TRANSACTIONS = ("BEGIN", "COMMIT", "END")
_Row: TypeAlias = Sequence[Parameter]


class _Text(bytes):
    """Text of SQLite's that need not be UTF-8, nor free of NULs."""


def restore(
    client: BlockingClient,
    database: str,
    path: str | os.PathLike[str],
    *,
    next_leader: NextLeader | None = None,
) -> None:
    """
    Fill an empty database from an SQLite file, or from a script of SQL such as `.dump` writes.

    A file gives tables, rows (with their rowids), indexes, views, triggers and the counters of
    AUTOINCREMENT, `user_version` and `application_id`; statistics of ANALYZE are left out. One
    above `PART_BYTES` is restored in several transactions; where the last restoration of the
    database was not finished, what it left is removed first. A script is run as it is, in one
    transaction; its own BEGIN and COMMIT are left out.

    Args:
        client: Of the leader, without an open database.
        next_leader: Finds the leader when it was lost between or in parts; the restoration goes on
            there with the part that was not committed. None: it ends with an error.

    Raises:
        BackupError: If the file cannot be read, is damaged or has virtual tables, or the database
            is not empty; or if a restoration in parts did not come to its end: repeat it.
        NotApplied: If the database refuses something; nothing is applied, the client is closed.
        Indeterminate: If the answer to the COMMIT was lost: it is restored, or still empty.
    """
    source = Path(path)
    try:
        with source.open("rb") as file:
            is_database = file.read(len(_HEADER)) == _HEADER
        script = None if is_database else source.read_text("utf-8")
        is_large = script is None and source.stat().st_size > filling.PART_BYTES
    except OSError as cause:
        raise BackupError(f"cannot read {source}: {cause.strerror or cause}") from cause
    except UnicodeDecodeError as cause:
        raise BackupError(f"{source} is neither an SQLite file nor SQL in UTF-8") from cause

    if script is not None:
        with Whole(client, database) as transaction:
            _run(script, transaction.client)
        return
    target = Parts(client, database, next_leader) if is_large else Whole(client, database)
    with target, _opened(source) as reader:
        _copy(reader, target)


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


def _copy(reader: sqlite3.Connection, target: Filling) -> None:
    """Create what a file has, tables and rows first, so that no trigger runs."""
    schema = [
        (_text(kind), _text(name), _text(sql))
        for kind, name, sql in reader.execute(
            "SELECT type, name, sql FROM sqlite_master"
            f" WHERE sql IS NOT NULL AND {OURS} ORDER BY rowid"
        )
    ]
    tables = [(name, sql) for kind, name, sql in schema if kind == "table"]
    for name, sql in tables:
        if sql.upper().startswith("CREATE VIRTUAL"):
            raise BackupError(f"the virtual table {name} cannot be restored")
        if name == UNFINISHED:
            raise BackupError("it is the backup of a database whose restoration was not finished")
        target.execute(sql)
    for name, _ in tables:
        _fill(target, name, *_columns_and_rows(reader, name))
    if reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        target.execute("DELETE FROM sqlite_sequence")
        rows = reader.execute("SELECT name, seq FROM sqlite_sequence")
        _fill(target, "sqlite_sequence", ["name", "seq"], rows)
    for wanted in ("index", "view", "trigger"):
        for kind, _, sql in schema:
            if kind == wanted:
                target.execute(sql)
                if kind == "index":
                    target.end_part()
    for pragma in ("user_version", "application_id"):
        (number,) = reader.execute(f"PRAGMA {pragma}").fetchone()
        if number:
            target.execute(f"PRAGMA {pragma} = {number}")


def _columns_and_rows(reader: sqlite3.Connection, table: str) -> tuple[list[str], Iterable[_Row]]:
    """The columns to insert, quoted, with the rowid where it has a name; and all rows."""
    described = reader.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    columns = [quoted(_text(name)) for _, name, _, _, _, _, hidden in described if not hidden]
    taken = {_text(row[1]).lower() for row in described}
    for alias in ("rowid", "_rowid_", "oid"):
        if alias not in taken:
            with contextlib.suppress(sqlite3.OperationalError):  # WITHOUT ROWID
                reader.execute(f"SELECT {alias} FROM {quoted(table)} LIMIT 0")
                columns.insert(0, alias)
            break
    return columns, reader.execute(f"SELECT {', '.join(columns)} FROM {quoted(table)}")


def _fill(target: Filling, table: str, columns: Sequence[str], rows: Iterable[_Row]) -> None:
    """Insert rows, as many at a time as every server takes."""
    start = f"INSERT INTO {quoted(table)} ({', '.join(columns)}) VALUES "
    for batch in _batches(rows, max(1, PARAMETERS_MAX // len(columns))):
        places, values = [], []
        for row in batch:
            parameters = [_parameter(value) for value in row]
            places.append("(" + ", ".join(place for place, _ in parameters) + ")")
            values += [value for _, value in parameters]
        target.execute(start + ", ".join(places), values)


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
