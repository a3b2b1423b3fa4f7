"""
Connection and Cursor of PEP 249, blocking; `core` has what they do.

A connection finds the leader again by itself, between transactions only. One thread uses it at a
time, and a process that was forked opens its own.

Source: PEP 249; sqlite3 of Python 3.12.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from dqlite import errors
from dqlite.client.blocking import BlockingClient
from dqlite.dbapi.channel import Channel
from dqlite.dbapi.core import Core
from dqlite.dbapi.options import Options
from dqlite.dbapi.results import NO_ROWS, Description, Fetched, Outcome
from dqlite.dbapi.steps import Steps, run
from dqlite.dbapi.values import Row
from dqlite.errors import Closed
from dqlite.values import Begin

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    A transaction that is open.

    Attributes:
        token: Given to `recover`, it tells later whether this was committed. None without tokens.
    """

    token: str | None


class Connection:
    """`dqlite.connect` makes one."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    def __init__(self, options: Options, connect: Callable[[float], BlockingClient]) -> None:
        channel = Channel(options, connect=connect, sleep=time.sleep, now_s=time.monotonic)
        self.core = Core(options, channel)

    def cursor(self) -> "Cursor":
        """Return a new cursor; the cursors of a connection share its transaction."""
        self.core.check_open()
        return Cursor(self)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "Cursor":
        """Return a new cursor that has executed a statement (sqlite3)."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> "Cursor":
        """Return a new cursor that has executed a statement several times (sqlite3)."""
        return self.cursor().executemany(sql, parameters)

    def executescript(self, script: str) -> "Cursor":
        """Return a new cursor that has executed the statements of a script (sqlite3)."""
        return self.cursor().executescript(script)

    def commit(self) -> None:
        """
        Commit the open transaction, if there is one.

        Raises:
            Abandoned: If it was over before COMMIT; nothing was applied, roll back.
            Busy, ConstraintViolation: If COMMIT was refused; the transaction stays open.
            NotApplied: Any other, if nothing was applied; the transaction is over.
            Indeterminate: If it may have been applied. With tokens, the error's `token` tells
                `recover` which.
        """
        self._run(self.core.commit())

    def rollback(self) -> None:
        """Undo the open transaction, if there is one; it does not fail on an open connection."""
        self._run(self.core.roll_back())

    def close(self) -> None:
        """Close, and undo an open transaction; idempotent."""
        self.core.close()

    @property
    def autocommit(self) -> bool:
        """
        Whether a statement outside of a transaction commits by itself.

        To switch it on commits an open transaction.
        """
        return self.core.autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._run(self.core.set_autocommit(value))

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or is over and not rolled back yet."""
        return self.core.transaction is not None

    @property
    def token(self) -> str | None:
        """Of the open transaction, or of the last one; None without tokens."""
        return self.core.token

    @contextmanager
    def transaction(self, begin: Begin | None = None) -> Iterator[Transaction]:
        """
        Begin a transaction; commit it at the end of the block, or undo it after an exception.

        Args:
            begin: None for the connection's own.

        Raises:
            ProgrammingError: If one is open; and what `commit` raises.
        """
        self._run(self.core.begin(begin))
        assert self.core.transaction is not None
        with self._ended():
            yield Transaction(self.core.transaction.token)

    def recover(self, token: str, timeout_s: float | None = None) -> bool:
        """
        Return whether the transaction with this token was committed; the answer is final.

        It waits for a leader and for the write lock, which the transaction may still hold, for
        `timeout_s`; None: as long as the connection waits for an answer.

        Raises:
            ProgrammingError: If this is no token of this database, or a transaction is open.
            TokenExpired: If 10,000 transactions with tokens have been committed since.
            OperationalError: If there is no answer in time: ask again.
        """
        return self._run(self.core.recover(token, timeout_s))

    def __enter__(self) -> Self:
        """As in sqlite3: the block ends with commit or rollback, and leaves the connection open."""
        self.core.check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            with self._ended():
                return
        self._undo(is_polite=issubclass(kind, Exception))

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """Commit at the end of the block; undo after an exception, also after one of the commit."""
        try:
            yield
            self.commit()
        except BaseException as error:
            self._undo(is_polite=isinstance(error, Exception))
            raise

    def _undo(self, *, is_polite: bool) -> None:
        if self.core.is_closed:
            return
        if is_polite:
            self.rollback()
        else:  # interrupted: there is no time to ask
            self.core.abandon()

    def _run(self, steps: Steps[_Value]) -> _Value:
        return run(steps)


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

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        """
        Execute one statement; each `?` takes one parameter.

        Raises:
            Error: `retryable` and `ambiguous` say what may be concluded.
        """
        return self._done(self._usable().execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """
        Execute an INSERT, UPDATE, DELETE or REPLACE once for each sequence of parameters.

        With autocommit they are one transaction: all are applied, or none is.
        """
        return self._done(self._usable().execute_many(sql, parameters))

    def executescript(self, script: str) -> Self:
        """Execute several statements without parameters (sqlite3); an error notes which failed."""
        self._fetched = Fetched()
        run(self._usable().execute_script(script))
        return self

    def fetchone(self) -> Row | None:
        """Return the next row; None if there are no more."""
        self._usable()
        return self._fetched.take_one()

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return the next rows, at most `size`, or `arraysize`."""
        self._usable()
        return self._fetched.take(self.arraysize if size is None else size)

    def fetchall(self) -> list[Row]:
        """Return all rows that are left."""
        self._usable()
        return self._fetched.take(None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Row:
        if (row := self.fetchone()) is None:
            raise StopIteration
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

    def close(self) -> None:
        """Forget the rows; idempotent."""
        self._is_closed = True
        self._fetched = Fetched()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _done(self, steps: Steps[Outcome]) -> Self:
        self._fetched = Fetched(NO_ROWS)
        self._fetched = Fetched(run(steps))
        return self

    def _usable(self) -> Core:
        """The core of the connection, if both are open."""
        if self._is_closed:
            raise Closed("the cursor is closed")
        core = self.connection.core
        core.check_open()
        return core
