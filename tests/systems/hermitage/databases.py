"""The databases that interleavings are played on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dissever.harness.client import NotApplied
from dissever.systems.simulated import database as simulated
from dissever.systems.simulated.transactions import isolation
from tests.systems.hermitage.script import Aborted, Blocked

# The simulated database.


class SimulatedDatabase:
    """The pure database of the simulated system, at a level or with a bug."""

    def __init__(self, level: str) -> None:
        is_level = level in simulated.ISOLATION
        chosen = isolation(level, "") if is_level else isolation("serializable", level)
        self._database = simulated.Database(chosen)

    def session(self) -> SimulatedSession:
        return SimulatedSession(self._database.begin(), self._database.isolation)

    def close(self) -> None:
        pass


class SimulatedSession:
    """The store `rows` in terms of items; an update reads what it overwrites."""

    def __init__(self, session: simulated.Session, level: simulated.Isolation) -> None:
        self._session = session
        self._level = level

    def do(self, f: str, *what: Any) -> Any:
        try:
            return getattr(self, f"_{f}")(*what)
        except simulated.Blocked as error:
            raise Blocked(str(error)) from error
        except simulated.Conflict as error:
            raise Aborted(str(error)) from error

    def _insert(self, key: int, row: int, value: int) -> bool:
        if self._locked(key, row) is not None:
            return False
        self._session.write((("rows", key), row), (value,))
        return True

    def _update(self, key: int, row: int, value: int) -> list[int] | None:
        trail = self._locked(key, row)
        if trail is not None:
            self._session.append((("rows", key), row), value)
        return trail

    def _delete(self, key: int, row: int) -> list[int] | None:
        trail = self._locked(key, row)
        if trail is not None:
            self._session.write((("rows", key), row), None)
        return trail

    def _get(self, key: int, row: int) -> list[int] | None:
        trail = self._session.read((("rows", key), row))
        return None if trail is None else list(trail)

    def _select(self, key: int, modulus: int, remainder: int) -> list[list[Any]]:
        found = self._session.select(("rows", key), lambda t: t[-1] % modulus == remainder)
        return sorted([row, list(trail)] for row, trail in found.items())

    def _commit(self) -> None:
        self._session.commit()

    def _rollback(self) -> None:
        self._session.rollback()

    def _locked(self, key: int, row: int) -> list[int] | None:
        if self._level.writes_at_once:
            self._session.lock((("rows", key), row))
        return self._get(key, row)


# SQLite.

_TABLE = (
    "CREATE TABLE rows (key INTEGER, row INTEGER, value INTEGER, trail TEXT, PRIMARY KEY(key, row))"
)


class SqliteDatabase:
    """A file, with a rollback journal or a write-ahead log; or a cache that sessions share."""

    def __init__(self, mode: str, folder: Path) -> None:
        self._mode = mode
        self._path = f"file:{folder}/db" if mode != "read-uncommitted" else "file::memory:"
        self._path += "?cache=shared" if mode == "read-uncommitted" else ""
        self._open: list[sqlite3.Connection] = []
        self._connect().execute(_TABLE)

    def session(self) -> SqliteSession:
        return SqliteSession(self._connect())

    def close(self) -> None:
        for each in self._open:
            each.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, uri=True, timeout=0, isolation_level=None)
        self._open.append(connection)
        if self._mode == "wal":
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        if self._mode == "read-uncommitted":
            connection.execute("PRAGMA read_uncommitted = 1")
        return connection


class SqliteSession:
    """The store `rows` in SQL."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("BEGIN")

    def do(self, f: str, *what: Any) -> Any:
        try:
            return getattr(self, f"_{f}")(*what)
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode
            if code == sqlite3.SQLITE_BUSY_SNAPSHOT:
                raise Aborted(str(error)) from error
            if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise Blocked(str(error)) from error
            raise

    def _insert(self, key: int, row: int, value: int) -> bool:
        sql = "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?)"
        return self._connection.execute(sql, (key, row, value, str(value))).rowcount == 1

    def _update(self, key: int, row: int, value: int) -> list[int] | None:
        sql = "UPDATE rows SET value = ?1, trail = trail || ',' || ?1 WHERE key = ?2 AND row = ?3"
        found = self._connection.execute(f"{sql} RETURNING trail", (value, key, row)).fetchall()
        return _numbers(found[0][0])[:-1] if found else None

    def _get(self, key: int, row: int) -> list[int] | None:
        sql = "SELECT trail FROM rows WHERE key = ? AND row = ?"
        found = self._connection.execute(sql, (key, row)).fetchall()
        return _numbers(found[0][0]) if found else None

    def _select(self, key: int, modulus: int, remainder: int) -> list[list[Any]]:
        sql = "SELECT row, trail FROM rows WHERE key = ? AND value % ? = ? ORDER BY row"
        found = self._connection.execute(sql, (key, modulus, remainder)).fetchall()
        return [[row, _numbers(trail)] for row, trail in found]

    def _commit(self) -> None:
        self._connection.execute("COMMIT")

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _numbers(trail: str) -> list[int]:
    return [int(value) for value in trail.split(",")]


# PostgreSQL.


class PostgresDatabase:
    """A level of isolation on a server that runs."""

    def __init__(self, level: str, server: Path) -> None:
        import psycopg

        self._level = level
        self._server = server
        where = f"host={server} user=dissever dbname=postgres"
        self._observer = psycopg.connect(where, autocommit=True)
        self._observer.execute("TRUNCATE rows")
        self._sessions: list[PostgresSession] = []

    def session(self) -> PostgresSession:
        made = PostgresSession(self._level, self._server, self._is_blocked)
        self._sessions.append(made)
        return made

    def close(self) -> None:
        for each in self._sessions:
            each.close()
        self._observer.close()

    def _is_blocked(self, pid: int) -> bool:
        found = self._observer.execute("SELECT cardinality(pg_blocking_pids(%s))", (pid,))
        row = found.fetchone()
        return row is not None and row[0] > 0


class PostgresSession:
    """The client of the system `postgres`, in a thread of its own, since it may have to wait."""

    def __init__(self, level: str, server: Path, is_blocked: Callable[[int], bool]) -> None:
        from dissever.systems.postgres import PostgresClient

        endpoint = SimpleNamespace(host=server, port=5432, options={"isolation": level})
        self._client: Any = PostgresClient(endpoint)  # type: ignore[arg-type]
        self._is_blocked = is_blocked
        self._thread = ThreadPoolExecutor(1)
        self._asked: Future[Any] | None = None
        self._client.ping()
        self._client._ask("SET lock_timeout = 0")
        self._pid = self._client._connection.info.backend_pid
        self._client.begin()

    def do(self, f: str, *what: Any) -> Any:
        if self._asked is None:
            self._asked = self._thread.submit(getattr(self._client, f), *what)
        while not self._asked.done():
            if self._is_blocked(self._pid):
                raise Blocked(f)
            with suppress(TimeoutError):
                self._asked.exception(timeout=0.002)
        asked, self._asked = self._asked, None
        try:
            answer = asked.result()
        except NotApplied as error:
            raise Aborted(str(error)) from error
        return sorted([row, trail] for row, trail in answer) if f == "select" else answer

    def close(self) -> None:
        self._thread.shutdown()
        self._client.close()


@contextmanager
def postgres_server() -> Iterator[Path]:
    """A server of an ordinary user's in a temporary folder; the folder of its socket."""
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    from dissever.systems import postgres

    initdb, program = (postgres.program(name) for name in ("initdb", "postgres"))
    if initdb is None or program is None:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # Sockets have short names.
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user, "nogroup")
    data = f"{folder}/data"
    make = [initdb, "-D", data, "-A", "trust", "-U", "dissever", "-E", "UTF8", "--no-locale", "-N"]
    subprocess.run(make, check=True, capture_output=True, user=user, cwd=folder)
    server = subprocess.Popen(
        [program, "-D", data, "-k", folder, "-h", "", "-F", "-c", "shared_buffers=8MB"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=user,
        cwd=folder,
    )
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if "ready to accept connections" in line:
                break
        else:
            pytest.fail("PostgreSQL did not start")
        client = postgres.PostgresClient(
            SimpleNamespace(host=folder, port=5432, options={"isolation": "serializable"})  # type: ignore[arg-type]
        )
        client.make_tables()
        client.close()
        yield folder
    finally:
        server.terminate()
        server.communicate()
        shutil.rmtree(folder, ignore_errors=True)
