"""
What workloads drive of dqlite: registers, a set, and transactions.

A store goes by way of one node, as an application on that node's machine would: it asks the node
who leads, connects there, and stays until an error ends the connection. So a client of a deposed
leader goes on reading what that leader has, and dqlite's stale reads show.

A read of consistency `leader` is a plain SELECT at the leader. One of consistency `quorum` first
commits a write of its own on the same connection: that leader was the leader after the read began,
so what it holds from then on contains everything that was acknowledged before. A transaction that
writes needs no more than its own commit. One that only reads is followed by such a write: it still
led after the reads, so what they saw was not old. Before them, the write would be one more that
refuses others who have read and want to write.

With tokens, every write is a transaction that inserts its token first. When the answer to its
commit is lost, the token tells whether it took effect, and the operation is ok or fail.

Source: canonical/dqlite, `docs/consistency model`; canonical/go-dqlite issue 207; go-dqlite v0.0.1,
`Driver.Recover`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any, TypeVar

import dqlite
from dissever.harness.client import NotApplied
from dissever.systems.dqlite.database import DATABASE, TICK
from dqlite.dbapi import tokens

_Answer = TypeVar("_Answer")

BUSY_WAIT_S = (0.001, 0.008)
BUSY_TRIES = 30
"""
A client waits for the write lock by asking again, for some 0.1 s. SQLite's busy timeout would do
that too, but older libraries lack it. A busy answer means that nothing happened; no other request
is sent again.
"""

_SNAPSHOT_TOO_OLD = 517
"""A transaction that has read wants to write, and others have committed since it read."""


class Session:
    """
    A connection to the leader that one node names; opened again after an error that ends it.

    Args:
        lead: Makes a client of the leader, with the database open.
        rng: Draws how long to wait for a lock.
        is_quorum: Whether a read, or a transaction, first commits a write.
        begin: When a transaction takes the write lock.
        was_committed: Whether the transaction with a token took effect. None: without tokens.

    Raises, from every method: `NotApplied` for what certainly had no effect; anything else is
    unknown.
    """

    def __init__(
        self,
        lead: Callable[[], Awaitable[dqlite.Client]],
        rng: Random,
        *,
        is_quorum: bool,
        begin: dqlite.Begin = dqlite.Begin.DEFERRED,
        was_committed: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._lead = lead
        self._rng = rng
        self._is_quorum = is_quorum
        self._begin = begin if was_committed is None else dqlite.Begin.IMMEDIATE
        self._was_committed = was_committed
        self._token: str | None = None
        self._is_in_transaction = False
        self._has_written = False
        self._client: dqlite.Client | None = None

    async def execute(self, sql: str, *parameters: int) -> dqlite.Result:
        """Run a statement that changes something."""
        if self._was_committed is not None:
            return await self._execute_with_token(sql, *parameters)
        client = await self.connected()
        try:
            return await self._wait_for_lock(lambda: client.exec_sql(sql, parameters))
        except dqlite.DqliteError as error:
            raise self._translated(error) from error

    async def query(self, sql: str, *parameters: int) -> list[list[Any]]:
        """Read. It changes nothing that anybody reads, so every error means not applied."""
        client = await self.connected()
        try:
            if self._is_quorum:
                await self._wait_for_lock(lambda: client.exec_sql(TICK))
            rows = await client.query_sql(sql, parameters)
        except (dqlite.NotApplied, dqlite.Indeterminate) as error:
            self._translated(error)
            raise NotApplied(str(error), error.code) from error
        except dqlite.DqliteError as error:
            raise self._translated(error) from error
        return [list(row) for row in rows.rows]

    async def begin(self) -> None:
        """Begin a transaction."""
        client = await self.connected()
        self._has_written = False
        await self._without_effect(lambda: client.exec_sql(f"BEGIN {self._begin.value}"))
        self._is_in_transaction = True
        if self._was_committed is not None:
            nonce = f"{self._rng.getrandbits(128):032x}"
            mark = await self._without_effect(lambda: client.exec_sql(tokens.INSERT, (nonce,)))
            self._token = str(tokens.Token(DATABASE, mark.last_insert_id, nonce))

    async def execute_inside(self, sql: str, *parameters: int) -> dqlite.Result:
        """Run a statement of the transaction that changes something."""
        client = await self.connected()
        self._has_written = True
        return await self._without_effect(lambda: client.exec_sql(sql, parameters))

    async def query_inside(self, sql: str, *parameters: int) -> list[list[Any]]:
        """Read in the transaction."""
        client = await self.connected()
        rows = await self._without_effect(lambda: client.query_sql(sql, parameters))
        return [list(row) for row in rows.rows]

    async def commit(self) -> None:
        """
        Commit the transaction. If it has written, this may leave its outcome open: when the answer
        is lost. If it has only read, it has no effect, whatever happens.
        """
        client = await self.connected()
        if not self._has_written:
            await self._without_effect(lambda: client.exec_sql("COMMIT"))
            self._is_in_transaction = False
            if self._is_quorum:
                await self._without_effect(lambda: client.exec_sql(TICK))
            return
        try:
            await client.exec_sql("COMMIT")
        except dqlite.StatementError as error:
            # The server has no transaction: what came before may have been committed one by one.
            await self.close()
            raise dqlite.Indeterminate(error.message, error.code) from error
        except dqlite.Indeterminate as error:
            await self.close()
            await self._resolve(error)
        except dqlite.DqliteError as error:
            raise self._translated(error) from error
        self._is_in_transaction = False

    async def roll_back(self) -> None:
        """End the transaction, if one is open; with its connection, if that is all that is left."""
        was_in_transaction, self._is_in_transaction = self._is_in_transaction, False
        if self._client is None or not was_in_transaction:
            return
        try:
            await self._client.exec_sql("ROLLBACK")
        except dqlite.DqliteError:
            await self.close()

    async def close(self) -> None:
        """Drop the connection, and with it a transaction that is open."""
        self._is_in_transaction = False
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _execute_with_token(self, sql: str, *parameters: int) -> dqlite.Result:
        await self.begin()
        try:
            result = await self.execute_inside(sql, *parameters)
        except NotApplied:
            await self.roll_back()
            raise
        await self.commit()
        return result

    async def _resolve(self, error: dqlite.Indeterminate) -> None:
        """Return if the transaction was committed after all; raise what is known otherwise."""
        if self._was_committed is None or self._token is None:
            raise error
        try:
            is_committed = await self._was_committed(self._token)
        except dqlite.Error:  # Nobody can say it in time.
            raise error from None
        if not is_committed:
            raise NotApplied(f"not committed: {error.message}", error.code) from error

    async def _without_effect(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """
        Ask for a part of a transaction that has no effect by itself. The server drops an open
        transaction with its connection, so every error before COMMIT means not applied.
        """
        try:
            return await self._wait_for_lock(ask)
        except dqlite.DqliteError as error:
            if not isinstance(error, dqlite.Busy):
                await self.close()
            raise NotApplied(str(error), error.code) from error

    async def _wait_for_lock(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        for _ in range(BUSY_TRIES - 1):
            try:
                return await ask()
            except dqlite.Busy as error:
                if error.code == _SNAPSHOT_TOO_OLD:
                    raise
                await asyncio.sleep(self._rng.uniform(*BUSY_WAIT_S))
        return await ask()

    async def connected(self) -> dqlite.Client:
        """The client; asked for early, it makes known that a node cannot be reached."""
        if self._client is None:
            try:
                self._client = await self._lead()
            except dqlite.DqliteError as error:
                raise NotApplied(str(error), error.code) from error
        return self._client

    def _translated(self, error: dqlite.DqliteError) -> Exception:
        """The error in the harness's words. A connection that is of no more use is dropped."""
        if error.reconnect and self._client is not None:
            self._client.close()
            self._client = None
        if isinstance(error, dqlite.NotApplied):
            return NotApplied(str(error), error.code)
        return error


class DqliteRegisters:
    """A row per register."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def read(self, key: int) -> int | None:
        rows = await self._session.query("SELECT value FROM register WHERE key = ?", key)
        return rows[0][0] if rows else None

    async def write(self, key: int, value: int) -> None:
        await self._session.execute(
            "INSERT OR REPLACE INTO register (key, value) VALUES (?, ?)", key, value
        )

    async def compare_and_set(self, key: int, old: int, new: int) -> bool:
        result = await self._session.execute(
            "UPDATE register SET value = ? WHERE key = ? AND value = ?", new, key, old
        )
        return result.rows_affected == 1

    async def close(self) -> None:
        await self._session.close()


class DqliteElements:
    """A row per element, without a constraint: a second add of one would be seen."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, element: int) -> None:
        await self._session.execute("INSERT INTO element (value) VALUES (?)", element)

    async def elements(self) -> list[int]:
        rows = await self._session.query("SELECT value FROM element")
        return [row[0] for row in rows]

    async def close(self) -> None:
        await self._session.close()


class DqliteTransactions:
    """
    Transactions of SQL: a row per register, and a row per element of a list.

    Rows are numbered when they are inserted, which only one transaction at a time may do.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def begin(self) -> None:
        await self._session.begin()

    async def read(self, key: int) -> int | None:
        rows = await self._session.query_inside("SELECT value FROM register WHERE key = ?", key)
        return rows[0][0] if rows else None

    async def write(self, key: int, value: int) -> None:
        await self._session.execute_inside(
            "INSERT OR REPLACE INTO register (key, value) VALUES (?, ?)", key, value
        )

    async def read_list(self, key: int) -> list[int]:
        rows = await self._session.query_inside(
            "SELECT value FROM list WHERE key = ? ORDER BY id", key
        )
        return [row[0] for row in rows]

    async def append(self, key: int, value: int) -> None:
        await self._session.execute_inside(
            "INSERT INTO list (key, value) VALUES (?, ?)", key, value
        )

    async def commit(self) -> None:
        await self._session.commit()

    async def rollback(self) -> None:
        await self._session.roll_back()

    async def close(self) -> None:
        await self._session.close()


STORES: Mapping[str, Callable[[Session], Any]] = {
    "registers": DqliteRegisters,
    "elements": DqliteElements,
    "transactions": DqliteTransactions,
}
"""By the names that workloads ask for."""
