"""
Connections and cursors of PEP 249 for asyncio, as `dqlite.aio` exports them.

One task uses a connection at a time. A task that is cancelled while it waits loses the connection,
and with it an open transaction, which must be rolled back before the next.

Source: PEP 249; `dqlite.dbapi.connection` says what each method does.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from dqlite.client.client import Client
from dqlite.dbapi.channel import Channel
from dqlite.dbapi.connection import Transaction
from dqlite.dbapi.core import Core
from dqlite.dbapi.options import Options
from dqlite.dbapi.results import NO_ROWS, Description, Fetched, Outcome
from dqlite.dbapi.steps import Steps, run_async
from dqlite.dbapi.values import Row
from dqlite.errors import Closed, Refused
from dqlite.values import Begin

__all__ = ["Connection", "Cursor"]


class Connection:
    """`dqlite.aio.connect` makes one."""

    def __init__(self, options: Options, connect: Callable[[float], Awaitable[Client]]) -> None:
        channel = Channel(options, connect=connect, sleep=asyncio.sleep, now_s=time.monotonic)
        self.core = Core(options, channel)

    def cursor(self) -> "Cursor":
        """Return a new cursor; the cursors of a connection share its transaction."""
        self.core.check_open()
        return Cursor(self)

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "Cursor":
        """Return a new cursor that has executed a statement."""
        return await self.cursor().execute(sql, parameters)

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> "Cursor":
        """Return a new cursor that has executed a statement several times."""
        return await self.cursor().executemany(sql, parameters)

    async def executescript(self, script: str) -> "Cursor":
        """Return a new cursor that has executed the statements of a script."""
        return await self.cursor().executescript(script)

    async def commit(self) -> None:
        """Commit the open transaction, if there is one; raises as the blocking one does."""
        await run_async(self.core.commit())

    async def rollback(self) -> None:
        """Undo the open transaction, if there is one; it does not fail on an open connection."""
        await run_async(self.core.roll_back())

    async def close(self) -> None:
        """Close, and undo an open transaction; idempotent. It does not wait."""
        self.core.close()

    @property
    def autocommit(self) -> bool:
        """
        Whether a statement outside of a transaction commits by itself.

        It is switched between transactions only, since a commit would have to be awaited.
        """
        return self.core.autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self.core.check_open()
        if self.core.transaction is not None and value != self.core.autocommit:
            raise Refused("a transaction is open: await commit() or rollback() first")
        self.core.autocommit = value

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or is over and not rolled back yet."""
        return self.core.transaction is not None

    @property
    def token(self) -> str | None:
        """Of the open transaction, or of the last one; None without tokens."""
        return self.core.token

    @asynccontextmanager
    async def transaction(self, begin: Begin | None = None) -> AsyncIterator[Transaction]:
        """Begin a transaction; commit it at the end of the block, or undo it."""
        await run_async(self.core.begin(begin))
        assert self.core.transaction is not None
        async with self._ended():
            yield Transaction(self.core.transaction.token)

    async def recover(self, token: str, timeout_s: float | None = None) -> bool:
        """Return whether the transaction with this token was committed; the answer is final."""
        return await run_async(self.core.recover(token, timeout_s))

    async def __aenter__(self) -> Self:
        """The block ends with commit or rollback, and leaves the connection open."""
        self.core.check_open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            async with self._ended():
                return
        await self._undo(is_polite=issubclass(kind, Exception))

    @asynccontextmanager
    async def _ended(self) -> AsyncIterator[None]:
        """Commit at the end of the block; undo after an exception, also after one of the commit."""
        try:
            yield
            await self.commit()
        except BaseException as error:
            await self._undo(is_polite=isinstance(error, Exception))
            raise

    async def _undo(self, *, is_polite: bool) -> None:
        if self.core.is_closed:
            return
        if is_polite:
            await self.rollback()
        else:  # cancelled: there is no time to ask
            self.core.abandon()


class Cursor:
    """
    Executes statements and holds the rows of the last one, all of them.

    Attributes:
        arraysize: How many rows `fetchmany` fetches.
        connection: That it belongs to.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.arraysize = 1
        self._fetched = Fetched()
        self._is_closed = False

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        """Execute one statement; each `?` takes one parameter."""
        return await self._done(self._usable().execute(sql, parameters))

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """Execute an INSERT, UPDATE, DELETE or REPLACE once for each sequence of parameters."""
        return await self._done(self._usable().execute_many(sql, parameters))

    async def executescript(self, script: str) -> Self:
        """Execute several statements without parameters; an error notes which failed."""
        self._fetched = Fetched()
        await run_async(self._usable().execute_script(script))
        return self

    async def fetchone(self) -> Row | None:
        """Return the next row; None if there are no more."""
        self._usable()
        return self._fetched.take_one()

    async def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return the next rows, at most `size`, or `arraysize`."""
        self._usable()
        return self._fetched.take(self.arraysize if size is None else size)

    async def fetchall(self) -> list[Row]:
        """Return all rows that are left."""
        self._usable()
        return self._fetched.take(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        if (row := await self.fetchone()) is None:
            raise StopAsyncIteration
        return row

    @property
    def description(self) -> Description | None:
        """Seven items for each column, of which the name and perhaps the type code are known."""
        return self._fetched.description

    @property
    def rowcount(self) -> int:
        """How many rows the last statement gave or changed; -1 where that means nothing."""
        return self._fetched.outcome.rowcount

    @property
    def lastrowid(self) -> int | None:
        """Of the last INSERT or REPLACE; None after any other statement."""
        return self._fetched.outcome.lastrowid

    @property
    def rownumber(self) -> int | None:
        """Index of the next row; None without rows."""
        return None if self._fetched.outcome.columns is None else self._fetched.position

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """Do nothing, as PEP 249 allows."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Do nothing, as PEP 249 allows."""

    async def close(self) -> None:
        """Forget the rows; idempotent."""
        self._is_closed = True
        self._fetched = Fetched()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _done(self, steps: Steps[Outcome]) -> Self:
        self._fetched = Fetched(NO_ROWS)
        self._fetched = Fetched(await run_async(steps))
        return self

    def _usable(self) -> Core:
        """The core of the connection, if both are open."""
        if self._is_closed:
            raise Closed("the cursor is closed")
        core = self.connection.core
        core.check_open()
        return core
