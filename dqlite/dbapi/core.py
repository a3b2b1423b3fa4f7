"""
What a connection of PEP 249 does, once for its blocking and its asyncio face.

Each method of `Core` gives steps. The rules are:

 - A statement alone and BEGIN are sent again, to another leader if need be, as long as the answer
   says that they were not applied. What belongs to a transaction waits only for a lock.
 - The server drops an open transaction with its connection. So whatever ends the connection before
   COMMIT was sent means that the transaction was not applied: Abandoned. After that, nothing runs
   until the program has rolled back, since it would run outside of the transaction.
 - COMMIT is the only step that can leave a transaction's outcome open. ROLLBACK never fails: where
   the server does not confirm it, the connection is dropped, which comes to the same.

Source: PEP 249; sqlite3 of Python 3.12; SQLite, `lang_transaction.html`; `dqlite/src/gateway.c`.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dqlite import statements
from dqlite.dbapi import tokens
from dqlite.dbapi.channel import LEADER_PAUSE_S, Channel
from dqlite.dbapi.options import Consistency, Options
from dqlite.dbapi.results import NO_ROWS, Outcome
from dqlite.dbapi.steps import Steps
from dqlite.dbapi.understanding import Kind, Understood, understand
from dqlite.dbapi.values import from_rows, to_parameters
from dqlite.errors import (
    Abandoned,
    Busy,
    Closed,
    ConstraintViolation,
    DqliteError,
    Error,
    Indeterminate,
    ProtocolError,
    Refused,
    StatementError,
)
from dqlite.values import Begin, Parameter

_Value = TypeVar("_Value")

_FULL = 13


@dataclass(slots=True)
class Open:
    """
    The transaction that is open, or that the program has not rolled back yet.

    Attributes:
        token: By which `recover` knows it; None without tokens.
        over: Why the server has it no longer.
        changes: Whether it did more than read, its mark apart.
    """

    token: str | None = None
    over: Error | None = None
    changes: bool = False


class Core:
    """The state of a connection, which speaks by way of a channel."""

    def __init__(self, options: Options, channel: Channel) -> None:
        self.options = options
        self.autocommit = options.autocommit
        self.transaction: Open | None = None
        self.token: str | None = None  # of the last transaction that has or had one
        self.is_closed = False
        self._channel = channel
        self._process = os.getpid()

    # What a program asks for

    def connect_now(self) -> Steps[None]:
        """Find the leader, so that a program learns at once when there is none."""
        yield from self._channel.connected(self._channel.now_s() + self.options.timeout_s)

    def execute(self, sql: str, given: Sequence[Any] = ()) -> Steps[Outcome]:
        """Run one statement, in a transaction unless `autocommit`."""
        self.check_usable()
        what = understand(sql)
        parameters = to_parameters(given, what.parameter_count)
        if what.kind in _CONTROL:
            return (yield from self._control(what))
        if what.kind is Kind.SAVEPOINT and self.autocommit and self.transaction is None:
            raise Refused("a savepoint needs a transaction: BEGIN first")
        if self.transaction is None and not self.autocommit:
            yield from self.begin()
        if self.transaction is not None:
            return (yield from self._inside(sql, what, parameters))
        is_linearizable = self.options.consistency is Consistency.LINEARIZABLE
        if self.options.tokens or (what.gives_rows and is_linearizable):
            return (
                yield from self._in_own_transaction(lambda: self._inside(sql, what, parameters))
            )
        return (yield from self._alone(sql, what, parameters))

    def execute_many(self, sql: str, given: Iterable[Sequence[Any]]) -> Steps[Outcome]:
        """Run a statement for each of several rows of parameters: all of them, or none."""
        self.check_usable()
        what = understand(sql)
        if what.kind is not Kind.CHANGE:
            raise Refused("expected INSERT, UPDATE, DELETE or REPLACE for several parameters")
        rows = [to_parameters(each, what.parameter_count) for each in given]
        if not rows:
            return Outcome(rowcount=0)
        if self.transaction is None and self.autocommit:
            return (yield from self._in_own_transaction(lambda: self._many(sql, what, rows)))
        if self.transaction is None:
            yield from self.begin()
        return (yield from self._many(sql, what, rows))

    def execute_script(self, script: str) -> Steps[None]:
        """Run several statements, each as `execute` does."""
        for number, sql in enumerate(statements.split(script), 1):
            try:
                yield from self.execute(sql)
            except Error as error:
                error.add_note(f"in statement {number} of the script: {sql[:200]}")
                raise

    def begin(self, begin: Begin | None = None) -> Steps[None]:
        """Begin a transaction; one with a mark takes the write lock at once."""
        self.check_usable()
        if self.transaction is not None:
            raise Refused("a transaction is open: commit or roll back first")
        mode = begin or self.options.begin
        if self.options.marks and mode is Begin.DEFERRED:
            mode = Begin.IMMEDIATE
        self.transaction = yield from self._channel.persistent(lambda: self._begun(mode))
        if self.transaction.token is not None:
            self.token = self.transaction.token

    def commit(self) -> Steps[None]:
        """
        Commit; without a transaction there is nothing to do.

        Raises:
            Abandoned: If the transaction was over before; nothing of it was applied.
            Busy, ConstraintViolation: If it was refused; it stays open.
            NotApplied: Any other, if it was not applied; it is over.
            Indeterminate: If it may have been applied; `token` of the error tells `recover` which.
        """
        self.check_open()
        transaction = self.transaction
        if transaction is None:
            return
        self._check_not_over(transaction)
        try:
            yield from self._channel.patient(lambda: self._channel.execute("COMMIT"))
        except (Busy, ConstraintViolation):  # of a deferred foreign key
            raise
        except StatementError as error:
            self._channel.drop()
            self.transaction = None
            raise Indeterminate(f"no transaction to commit: {error.message}", error.code) from error
        except Indeterminate as error:
            self._channel.drop()
            self.transaction = None
            if not transaction.changes:
                raise Abandoned(f"it had only read: {error.message}", error.code) from error
            error.token = transaction.token
            raise
        except BaseException:
            self._channel.drop()
            self.transaction = None
            raise
        self.transaction = None

    def roll_back(self) -> Steps[None]:
        """Undo the transaction, whatever became of it; without one there is nothing to do."""
        self.check_open()
        transaction, self.transaction = self.transaction, None
        if transaction is None or transaction.over is not None:
            return
        try:
            yield from self._channel.execute("ROLLBACK")
        except DqliteError:
            self._channel.drop()
        except BaseException:
            self._channel.drop()
            raise

    def set_autocommit(self, value: bool) -> Steps[None]:
        """Switch; a transaction that is open is committed when it is switched on (sqlite3)."""
        self.check_open()
        if value and not self.autocommit:
            yield from self.commit()
        self.autocommit = value

    def recover(self, token: str, timeout_s: float | None = None) -> Steps[bool]:
        """
        Return whether the transaction with this token was committed; see `tokens`.

        It asks until `timeout_s` is over; None: that of the options.

        Raises:
            Refused: If this is no token of this database, or a transaction is open.
            TokenExpired: If so many transactions came after it that nobody knows any more.
        """
        self.check_usable()
        if self.transaction is not None:
            raise Refused("recover needs a connection without an open transaction")
        parsed = tokens.parse(token, self.options.database)
        limit_s = self.options.timeout_s if timeout_s is None else timeout_s
        until = self._channel.now_s() + limit_s
        while True:
            try:
                self.transaction = yield from self._channel.persistent(lambda: self._begun(None))
                rows = yield from self._inside(tokens.FIND, understand(tokens.FIND), (parsed.id,))
                yield from self.commit()
                return tokens.is_committed(parsed, rows.rows)
            except Error as error:
                # What was written proves that this node leads, and says nothing to anybody.
                yield from self.roll_back()
                if not (error.retryable or error.ambiguous) or self._channel.now_s() >= until:
                    raise
                yield self._channel.pause(LEADER_PAUSE_S)

    def close(self) -> None:
        """Drop the connection, and with it an open transaction; idempotent."""
        self.is_closed = True
        self.abandon()

    def abandon(self) -> None:
        """Drop the connection to the server, and with it an open transaction; ask nobody."""
        self.transaction = None
        self._channel.drop()

    def check_open(self) -> None:
        """Raise Closed after `close`, and Refused in a process that was forked."""
        if self.is_closed:
            raise Closed("the connection is closed")
        if self._process != os.getpid():
            raise Refused("the connection belongs to the process that opened it: open one here")

    def check_usable(self) -> None:
        """As `check_open`; Abandoned while a transaction that is over was not rolled back."""
        self.check_open()
        if self.transaction is not None:
            self._check_not_over(self.transaction)

    # Transactions

    def _check_not_over(self, transaction: Open) -> None:
        if transaction.over is not None:
            raise Abandoned(
                f"the transaction was not applied, roll it back: {transaction.over.message}",
                transaction.over.code,
            )

    def _control(self, what: Understood) -> Steps[Outcome]:
        """BEGIN, COMMIT or ROLLBACK as text; or no statement at all."""
        if what.kind is Kind.BEGIN:
            yield from self.begin(what.begin or Begin.DEFERRED)
        elif what.kind is not Kind.NOTHING:
            if self.autocommit and self.transaction is None:
                raise Refused(f"no transaction is open to {what.kind.name}")
            yield from (self.commit() if what.kind is Kind.COMMIT else self.roll_back())
        return NO_ROWS

    def _begun(self, mode: Begin | None) -> Steps[Open]:
        """Begin on the client there is; None for a transaction that must have a mark."""
        try:
            yield from self._channel.execute(f"BEGIN {(mode or Begin.IMMEDIATE).value}")
            if mode is not None and not self.options.marks:
                return Open()
            return Open((yield from self._mark()))
        except Indeterminate as error:  # nothing was committed
            self._channel.drop()
            raise Abandoned(f"before COMMIT: {error.message}", error.code) from error
        except Busy:
            raise
        except BaseException:
            self._channel.drop()
            raise

    def _mark(self) -> Steps[str]:
        """Write the row by which the transaction is known, and return its token."""
        nonce = tokens.new_nonce()
        try:
            result = yield from self._channel.execute(tokens.INSERT, (nonce,))
        except StatementError:  # the first time in this database
            for sql in tokens.SCHEMA:
                yield from self._channel.execute(sql)
            result = yield from self._channel.execute(tokens.INSERT, (nonce,))
        return str(tokens.Token(self.options.database, result.last_insert_id, nonce))

    def _in_own_transaction(self, work: Callable[[], Steps[_Value]]) -> Steps[_Value]:
        """Begin, work, commit; roll back after any error."""
        yield from self.begin()
        try:
            value = yield from work()
            yield from self.commit()
        except Exception:
            yield from self.roll_back()
            raise
        return value

    def _many(
        self, sql: str, what: Understood, rows: Sequence[tuple[Parameter, ...]]
    ) -> Steps[Outcome]:
        rowcount = 0
        outcome = NO_ROWS
        for parameters in rows:
            outcome = yield from self._inside(sql, what, parameters)
            rowcount += outcome.rowcount
        return Outcome(rowcount=rowcount, lastrowid=outcome.lastrowid)

    def _inside(
        self, sql: str, what: Understood, parameters: tuple[Parameter, ...]
    ) -> Steps[Outcome]:
        """Run a statement of the open transaction."""
        transaction = self.transaction
        assert transaction is not None
        transaction.changes |= what.kind is not Kind.READ
        try:
            return (yield from self._channel.patient(lambda: self._run(sql, what, parameters)))
        except (Busy, Refused):
            raise
        except (ConstraintViolation, StatementError) as error:
            if isinstance(error, ConstraintViolation) or error.code == _FULL:
                yield from self._look_whether_over(transaction, error)
            raise
        except ProtocolError as error:  # another try would end in the same way
            self._channel.drop()
            transaction.over = error
            raise
        except Error as error:
            self._channel.drop()
            transaction.over = error
            raise Abandoned(f"before COMMIT: {error.message}", error.code) from error
        except BaseException as error:
            self._channel.drop()
            transaction.over = Abandoned(f"before COMMIT: {type(error).__name__}")
            raise

    def _look_whether_over(self, transaction: Open, reason: Error) -> Steps[None]:
        """
        Ask whether an error has ended the transaction, as ON CONFLICT ROLLBACK does.

        The server answers BEGIN with an error as long as the transaction is open.
        """
        try:
            yield from self._channel.execute("BEGIN")
        except StatementError:
            return
        except BaseException as error:
            self._channel.drop()
            transaction.over = reason
            if not isinstance(error, DqliteError):
                raise
            return
        self._channel.drop()
        transaction.over = reason

    # Statements

    def _alone(
        self, sql: str, what: Understood, parameters: tuple[Parameter, ...]
    ) -> Steps[Outcome]:
        """Run a statement that commits by itself."""
        try:
            return (yield from self._channel.persistent(lambda: self._run(sql, what, parameters)))
        except Error as error:
            if isinstance(error, Indeterminate) and what.kind is Kind.READ:
                raise Abandoned(f"a read, without effect: {error.message}", error.code) from error
            raise

    def _run(self, sql: str, what: Understood, parameters: tuple[Parameter, ...]) -> Steps[Outcome]:
        """Send a statement once."""
        if what.gives_rows:
            rows = yield from self._channel.query(sql, parameters, may_prepare=what.may_be_prepared)
            return Outcome(rows.columns, from_rows(rows.rows), len(rows.rows))
        result = yield from self._channel.execute(sql, parameters, may_prepare=what.may_be_prepared)
        if what.kind is not Kind.CHANGE:
            return NO_ROWS
        lastrowid = result.last_insert_id if what.inserts else None
        return Outcome(rowcount=result.rows_affected, lastrowid=lastrowid)


_CONTROL = frozenset({Kind.NOTHING, Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK})
