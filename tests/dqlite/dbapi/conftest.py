"""
Servers for the tests of PEP 249: one made of sqlite3 that fails when it is told to, and real nodes.

Both serve both faces: the asyncio one stands behind a proxy that awaits whatever must be awaited.
"""

import asyncio
import inspect
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import Any, TypeAlias

import pytest

import dqlite
from dqlite import errors, statements
from dqlite.dbapi.channel import Channel
from dqlite.dbapi.core import Core
from dqlite.dbapi.options import Options
from dqlite.dbapi.steps import run
from dqlite.wire.schema import Result, Rows, Statement

Fault: TypeAlias = Callable[[str], errors.Error | None]
"""Given the SQL of a request, the error it ends with."""


class SqliteServer:
    """
    A cluster of one database, in memory; each client is one connection of sqlite3.

    Attributes:
        sent: All SQL that reached the server.
        before: The fault that keeps a request from being run.
        after: The fault that takes away the answer of a request that was run.
        clients: How many have connected.
    """

    def __init__(self) -> None:
        self._path = f"file:/dbapi{next(_NUMBERS)}?vfs=memdb"
        self._keeper = self._opened()
        self.sent: list[str] = []
        self.before: Fault = lambda _: None
        self.after: Fault = lambda _: None
        self.clients = 0
        self.now_s = 0.0
        self.slept: list[float] = []

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, uri=True, isolation_level=None, timeout=0)

    def close(self) -> None:
        self._keeper.close()

    def connect(self, timeout_s: float) -> "SqliteClient":
        self.clients += 1
        return SqliteClient(self, self._opened())

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds

    def clock(self) -> float:
        self.now_s += 0.000_001
        return self.now_s

    def rows(self, sql: str) -> list[Any]:
        """What the database holds, past all clients."""
        return self._keeper.execute(sql).fetchall()


class SqliteClient:
    """
    Has the methods of a BlockingClient that connections use.

    Attributes:
        prepared: The SQL of each statement that is prepared, by its id.
    """

    def __init__(self, server: SqliteServer, connection: sqlite3.Connection) -> None:
        self.timeout_s = 0.0
        self.is_open = True
        self.prepared: dict[int, str] = {}
        self._server = server
        self._connection = connection

    def open(self, database: str) -> None:
        self._run(f"OPEN {database}", lambda: None)

    def exec_sql(self, sql: str, parameters: Any = ()) -> Result:
        def execute() -> Result:
            cursor = self._connection.execute(sql, _sqlite(parameters))
            return Result(cursor.lastrowid or 0, max(cursor.rowcount, 0))

        result: Result = self._run(sql, execute)
        return result

    def query_sql(self, sql: str, parameters: Any = ()) -> Rows:
        def query() -> Rows:
            cursor = self._connection.execute(sql, _sqlite(parameters))
            return Rows(tuple(item[0] for item in cursor.description), tuple(cursor.fetchall()))

        rows: Rows = self._run(sql, query)
        return rows

    def prepare(self, sql: str) -> Statement:
        count = statements.count_parameters(sql)
        explained = (f"EXPLAIN {sql}", (None,) * count)
        self._run(f"PREPARE {sql}", lambda: self._connection.execute(*explained).close())
        free = min(set(range(len(self.prepared) + 1)) - self.prepared.keys())
        self.prepared[free] = sql
        return Statement(0, free, count)

    def query(self, statement: Statement, parameters: Any = ()) -> Rows:
        return self.query_sql(self.prepared[statement.id], parameters)

    def exec(self, statement: Statement, parameters: Any = ()) -> Result:
        return self.exec_sql(self.prepared[statement.id], parameters)

    def finalize(self, statement: Statement) -> None:
        sql = self.prepared[statement.id]
        self._run(f"FINALIZE {sql}", lambda: self.prepared.pop(statement.id))

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._connection.close()

    def _run(self, sql: str, work: Callable[[], Any]) -> Any:
        if not self.is_open:
            raise errors.NotSent("closed")
        if fault := self._server.before(sql):
            raise self._failed(fault)
        self._server.sent.append(sql)
        try:
            answer = work()
        except sqlite3.Error as error:
            raise errors.failure(error.sqlite_errorcode, str(error)) from error
        if fault := self._server.after(sql):
            raise self._failed(fault)
        return answer

    def _failed(self, fault: errors.Error) -> errors.Error:
        if isinstance(fault, errors.ConnectionLost | errors.NotSent):
            self.close()
        return fault


Connect: TypeAlias = Callable[..., Any]


class Opener:
    """Opens blocking connections to a server made of sqlite3, in the server's own time."""

    def __init__(self, server: SqliteServer) -> None:
        self.server = server
        self._opened: list[dqlite.Connection] = []

    def __call__(self, **settings: Any) -> dqlite.Connection:
        options = Options.of("app", settings)  # type: ignore[arg-type]
        connection = dqlite.Connection(options, self.server.connect)  # type: ignore[arg-type]
        channel = Channel(
            options,
            connect=self.server.connect,
            sleep=lambda seconds: self.server.sleep(seconds),
            now_s=self.server.clock,
        )
        connection.core = Core(options, channel)
        run(connection.core.connect_now())
        self._opened.append(connection)
        return connection

    def close(self) -> None:
        for each in self._opened:
            each.close()
        self.server.close()


@pytest.fixture
def opened() -> Iterator[Opener]:
    with closing(Opener(SqliteServer())) as opener:
        yield opener


@pytest.fixture
def server(opened: Opener) -> SqliteServer:
    return opened.server


@pytest.fixture(scope="session")
def make_opener() -> Callable[[], Opener]:
    """For tests that need many servers."""
    return lambda: Opener(SqliteServer())


class Awaited:
    """An object of asyncio, behind a face that waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, inner: Any) -> None:
        object.__setattr__(self, "_loop", loop)
        object.__setattr__(self, "_inner", inner)

    def __getattr__(self, name: str) -> Any:
        return self._waited(getattr(self._inner, name))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def __iter__(self) -> "Awaited":
        return self

    def __next__(self) -> Any:
        try:
            return self._loop.run_until_complete(self._inner.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Any:
        return self._waited(self._loop.run_until_complete(self._inner.__aenter__()))

    def __exit__(self, *exception: Any) -> Any:
        return self._loop.run_until_complete(self._inner.__aexit__(*exception))

    def _waited(self, value: Any) -> Any:
        if value is self._inner:
            return self
        if inspect.isawaitable(value):
            return self._waited(self._loop.run_until_complete(_awaited(value)))
        if hasattr(value, "__aenter__"):  # a connection, a cursor, a transaction
            return Awaited(self._loop, value)
        if callable(value) and not isinstance(value, type):
            return lambda *given, **named: self._waited(value(*given, **named))
        return value


async def _awaited(value: Any) -> Any:
    return await value


@pytest.fixture(params=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest, node: str) -> Iterator[Connect]:
    """Open connections of each face to a database of its own on a real node."""
    name = f"db{next(_NUMBERS):06}"
    connections = []
    loop = asyncio.new_event_loop()

    def opened(**settings: Any) -> Any:
        if request.param == "blocking":
            connection: Any = dqlite.connect(node, database=name, **settings)
        else:
            made = loop.run_until_complete(dqlite.aio.connect(node, database=name, **settings))
            connection = Awaited(loop, made)
        connections.append(connection)
        return connection

    yield opened
    for each in connections:
        each.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


_NUMBERS = count(1)


def _sqlite(parameters: Any) -> Any:
    return [each.text if isinstance(each, dqlite.Iso8601) else each for each in parameters]
