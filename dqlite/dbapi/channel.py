"""
The way of a connection to the leader: found again when it is lost, and patient where a lock is.

Nothing is sent again after its first byte was sent, unless the answer says that it was not applied.

Source: `dqlite/src/gateway.c`; SQLite, `sqlite3_busy_timeout` (the pauses).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from dqlite import trace
from dqlite.dbapi.options import Options
from dqlite.dbapi.prepared import Prepared
from dqlite.dbapi.steps import Step, Steps
from dqlite.errors import Abandoned, Busy, DqliteError, Indeterminate, NotApplied, StatementError
from dqlite.values import Parameter
from dqlite.wire.schema import Result, Rows

_Value = TypeVar("_Value")

BUSY_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.05, 0.1)
"""Between tries to get the write lock; the last one again and again."""

LEADER_PAUSE_S = 0.05
"""Before a leader is looked for again, when the one that was found says that it is none."""

_SNAPSHOT_TOO_OLD = 517
"""A transaction that has read wants to write, and others have committed: waiting cannot help."""


class Channel:
    """
    A client of the leader with the database open, once it is needed.

    Args:
        connect: Takes a time limit in seconds; gives a Client or a BlockingClient, or awaits one.
        sleep: Takes seconds.
        now_s: A monotonic clock.
    """

    def __init__(
        self,
        options: Options,
        *,
        connect: Callable[[float], Any],
        sleep: Callable[[float], Any],
        now_s: Callable[[], float],
    ) -> None:
        self.options = options
        self._client: Any = None
        self._prepared = Prepared(None, 0)
        self._connect = connect
        self._sleep = sleep
        self.now_s = now_s

    def drop(self) -> None:
        """Close the connection; the server ends its transaction. Idempotent."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def pause(self, seconds: float) -> Step:
        """The step that waits."""
        return partial(self._sleep, seconds)

    # Patience

    def persistent(self, attempt: Callable[[], Steps[_Value]]) -> Steps[_Value]:
        """Try until the time is over, as long as the answers say that nothing was applied."""
        until = self.now_s() + self.options.timeout_s
        while True:
            if self._client is None or not self._client.is_open:
                yield from self.connected(until)
            try:
                return (yield from self.patient(attempt))
            except NotApplied as error:
                if not error.reconnect:
                    raise
                self.drop()
                if isinstance(error, Abandoned) or self.now_s() >= until:
                    raise
            except DqliteError as error:
                if error.reconnect:
                    self.drop()
                raise
            except BaseException:
                self.drop()
                raise
            yield self.pause(LEADER_PAUSE_S)

    def patient(self, attempt: Callable[[], Steps[_Value]]) -> Steps[_Value]:
        """Try until the busy timeout is over, as long as a lock is in the way."""
        until = self.now_s() + self.options.busy_timeout_s
        tries = 0
        while True:
            try:
                return (yield from attempt())
            except Busy as error:
                left_s = until - self.now_s()
                if error.code == _SNAPSHOT_TOO_OLD or left_s <= 0:
                    raise
            pause_s = BUSY_PAUSES_S[min(tries, len(BUSY_PAUSES_S) - 1)]
            tries += 1
            yield self.pause(min(pause_s, left_s))

    def connected(self, until: float) -> Steps[None]:
        """
        Make sure that there is a client of the leader, with the database open.

        Raises:
            NoLeader: If none is found until then.
        """
        while self._client is None or not self._client.is_open:
            self.drop()
            left_s = max(until - self.now_s(), 0.001)
            client = yield partial(self._connect, left_s)
            client.timeout_s = self.options.timeout_s
            try:
                yield partial(client.open, self.options.database)
            except NotApplied as error:
                client.close()
                if not error.retryable or self.now_s() >= until:
                    raise
                yield self.pause(LEADER_PAUSE_S)
            except Indeterminate as error:  # to open a database applies nothing
                client.close()
                raise Abandoned(f"before the statement: {error.message}", error.code) from error
            except BaseException:
                client.close()
                raise
            else:
                self._client = client
                self._prepared = Prepared(client, self.options.cached_statements)

    # Requests

    def execute(
        self, sql: str, parameters: tuple[Parameter, ...] = (), *, may_prepare: bool = False
    ) -> Steps[Result]:
        """Send once what gives no rows."""
        result: Result
        client, statement = self._client, None
        if may_prepare:
            statement = self._prepared.known(sql) or (yield from self._prepared.note(sql))
        if statement is None:
            result = yield from self._timed("exec", sql, client.exec_sql, sql, parameters)
        else:
            result = yield from self._timed("prepared", sql, client.exec, statement, parameters)
        return result

    def query(
        self, sql: str, parameters: tuple[Parameter, ...], *, may_prepare: bool = False
    ) -> Steps[Rows]:
        """
        Send once what gives rows.

        Servers of 1.18.7 hide why they did not run such a statement, and say it when it is
        prepared. So one that failed by its code alone is sent again; it changes nothing.
        """
        rows: Rows
        client, statement = self._client, None
        if may_prepare:
            statement = self._prepared.known(sql) or (yield from self._prepared.note(sql))
        if statement is not None:
            rows = yield from self._timed("prepared", sql, client.query, statement, parameters)
            return rows
        try:
            rows = yield from self._timed("query", sql, client.query_sql, sql, parameters)
        except StatementError:
            statement = yield partial(client.prepare, sql)
            try:
                rows = yield from self._timed("prepared", sql, client.query, statement, parameters)
            finally:
                if client.is_open:
                    yield partial(client.finalize, statement)
        return rows

    def _timed(self, what: str, sql: str, ask: Callable[..., Any], *given: Any) -> Steps[Any]:
        """Ask once; whoever reads the trace learns what it took."""
        step = partial(ask, *given)
        if not trace.is_wanted():
            return (yield step)
        begun_s, failure = self.now_s(), None
        try:
            return (yield step)
        except BaseException as error:
            failure = error
            raise
        finally:
            trace.answered(what, sql, self.now_s() - begun_s, failure)
