"""
The transactions that fill an empty database: one for all, or one for each part of a large file.

A transaction is one entry of the log, and a leader that writes and sends an entry for longer than
an election takes is deposed. So a large file goes in parts. The table `__dqlite_restore` says that
the database is not whole yet, whose restoration it is, and how many parts are committed. Each part
counts itself in its own transaction: when the leader is lost, the next one tells whether the part
took effect, and gets it again if not.
"""

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol, Self, TypeAlias

from dqlite.client.blocking import BlockingClient
from dqlite.errors import Abandoned, BackupError, DqliteError, Indeterminate, ProtocolError
from dqlite.values import Parameter

log = logging.getLogger(__name__)

PART_BYTES = 2 * 1024 * 1024
"""Of the values of one transaction; a file that is not larger is restored in one."""

ATTEMPTS_MAX = 5
"""Of one part, each at the leader of that time."""

PAUSE_S = 0.5
"""After a failed attempt; the next pauses are longer by as much."""

UNFINISHED = "__dqlite_restore"
OURS = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
"""In `sqlite_master`: all but SQLite's own tables and indexes."""

NextLeader: TypeAlias = Callable[[], BlockingClient]
"""Returns a client of whoever leads now, without an open database; raises NoLeader."""


class Filling(Protocol):
    """Takes statements in the order in which they are to run."""

    def execute(self, sql: str, parameters: Sequence[Parameter] = ()) -> None:
        """Run a statement that gives no rows, now or at the end of its part."""

    def end_part(self) -> None:
        """Commit what there is, if there are parts."""


class Whole:
    """All in one transaction, as a context: it is committed at its end, or nothing is applied."""

    def __init__(self, client: BlockingClient, database: str) -> None:
        self.client = client
        self._database = database

    def __enter__(self) -> Self:
        client = self.client
        _open(client, self._database)
        found = _tables_and_views(client)
        if ("table", UNFINISHED) in found:
            client.exec_sql("PRAGMA foreign_keys = 0")
            client.exec_sql("BEGIN IMMEDIATE")
            _drop(client, found)
            client.exec_sql("COMMIT")
            client.exec_sql("PRAGMA foreign_keys = 1")
        client.exec_sql("BEGIN IMMEDIATE")
        try:
            _require_empty(client, self._database)
            client.exec_sql("PRAGMA defer_foreign_keys = 1")
        except BaseException as error:
            self._give_up(error)
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self._give_up(error)
            return
        try:
            self.client.exec_sql("COMMIT")
        except Indeterminate as lost:
            message = f"{self._database} is whole or empty: look, and restore it again if empty"
            raise type(lost)(f"{message}: {lost.message}", lost.code) from lost

    def execute(self, sql: str, parameters: Sequence[Parameter] = ()) -> None:
        """Run it at once."""
        self.client.exec_sql(sql, parameters)

    def end_part(self) -> None:
        """There are no parts."""

    def _give_up(self, error: BaseException) -> None:
        _end(self.client, error)
        if isinstance(error, Indeterminate | ProtocolError):
            raise Abandoned(f"nothing was restored: {error}") from error


class Parts:
    """
    A transaction for each part, as a context: at its end the database is whole.

    Statements are kept until their part is sent. Foreign keys are checked at the end, since rows
    may come before those that they name.
    """

    def __init__(
        self, client: BlockingClient, database: str, next_leader: NextLeader | None = None
    ) -> None:
        """Without `next_leader`, the loss of the leader ends the restoration."""
        self._client = self._first = client
        self._database = database
        self._next_leader = next_leader
        self._nonce = secrets.token_hex(16)
        self._statements: list[tuple[str, Sequence[Parameter]]] = []
        self._bytes = 0
        self._committed = 0
        self._may_have_begun = False
        self._may_have_finished = False

    def __enter__(self) -> Self:
        try:
            self._survive(self._begin, is_open=False)
        except BaseException as error:
            self._give_up(error)
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self._give_up(error)
            return
        try:
            self.end_part()
            self._survive(self._finish)
        except BaseException as late:
            self._give_up(late)
            raise
        with contextlib.suppress(DqliteError):  # all is committed
            self._client.exec_sql("PRAGMA foreign_keys = 1")
        if self._client is not self._first:
            self._client.close()

    def execute(self, sql: str, parameters: Sequence[Parameter] = ()) -> None:
        """Add it to the part, and send the part if that is large enough."""
        self._statements.append((sql, parameters))
        self._bytes += sum(_size(value) for value in parameters)
        if self._bytes >= PART_BYTES:
            self.end_part()

    def end_part(self) -> None:
        """Commit the statements since the last part."""
        if self._statements:
            self._survive(self._send)
            self._committed += 1
            self._statements = []
            self._bytes = 0

    def _survive(self, step: Callable[[], None], *, is_open: bool = True) -> None:
        """Take a step in a transaction of its own, with the next leader if this one is lost."""
        for attempt in count(1):
            try:
                if not is_open:
                    _open(self._client, self._database)
                    self._client.exec_sql("PRAGMA foreign_keys = 0")
                step()
                return
            except DqliteError as error:
                if self._next_leader is None or attempt == ATTEMPTS_MAX or not _may_pass(error):
                    raise
                log.warning("restoring %s: going on after: %s", self._database, error)
                _end(self._client, error)
            time.sleep(PAUSE_S * attempt)
            self._client = self._next_leader()
            is_open = False

    def _begin(self) -> None:
        """Say that the database is not whole, and remove what another restoration left."""
        client = self._client
        client.exec_sql("BEGIN IMMEDIATE")
        found = _tables_and_views(client)
        if ("table", UNFINISHED) not in found:
            _require_empty(client, self._database)
        elif self._may_have_begun and self._parts_of() == [(0,)]:
            client.exec_sql("ROLLBACK")
            return
        _drop(client, found)
        client.exec_sql(f"CREATE TABLE {UNFINISHED} (nonce TEXT, parts INTEGER)")
        client.exec_sql(f"INSERT INTO {UNFINISHED} VALUES (?, 0)", (self._nonce,))
        self._may_have_begun = True
        client.exec_sql("COMMIT")

    def _send(self) -> None:
        """Commit the part, unless an earlier COMMIT took effect whose answer was lost."""
        client = self._client
        client.exec_sql("BEGIN IMMEDIATE")
        if self._counted() > self._committed:
            client.exec_sql("ROLLBACK")
            return
        for sql, parameters in self._statements:
            client.exec_sql(sql, parameters)
        client.exec_sql(f"UPDATE {UNFINISHED} SET parts = {self._committed + 1}")
        client.exec_sql("COMMIT")

    def _finish(self) -> None:
        """Say that the database is whole; the absence of the table says so, too."""
        client = self._client
        client.exec_sql("BEGIN IMMEDIATE")
        if self._may_have_finished and ("table", UNFINISHED) not in _tables_and_views(client):
            client.exec_sql("ROLLBACK")
            return
        self._counted()
        if client.query_sql("PRAGMA foreign_key_check").rows:
            raise BackupError("rows of the file violate a foreign key")
        client.exec_sql(f"DROP TABLE {UNFINISHED}")
        self._may_have_finished = True
        client.exec_sql("COMMIT")

    def _counted(self) -> int:
        """
        Return how many parts are committed.

        Raises:
            BackupError: If another restoration has taken the database over.
        """
        parts: list[tuple[object, ...]] = []
        if ("table", UNFINISHED) in _tables_and_views(self._client):
            parts = self._parts_of()
        for number in (self._committed, self._committed + 1):
            if parts == [(number,)]:
                return number
        raise BackupError("somebody else changed or restores the database meanwhile")

    def _parts_of(self) -> list[tuple[object, ...]]:
        sql = f"SELECT parts FROM {UNFINISHED} WHERE nonce = ?"
        return list(self._client.query_sql(sql, (self._nonce,)).rows)

    def _give_up(self, error: BaseException) -> None:
        """Close the client, and say what is left in the database."""
        _end(self._client, error)
        if isinstance(error, Exception) and self._may_have_begun:
            raise BackupError(
                f"{self._database} is incomplete, restore it again: {error}"
            ) from error


def _open(client: BlockingClient, database: str) -> None:
    client.open(database)
    # 1.11.1 cannot read pages that SQLite moved from its cache to the log before the COMMIT.
    client.exec_sql("PRAGMA cache_spill = 0")


def _end(client: BlockingClient, error: BaseException) -> None:
    """Roll back, where the connection may still do that, and close."""
    if not isinstance(error, Indeterminate | ProtocolError):
        with contextlib.suppress(DqliteError):
            client.exec_sql("ROLLBACK")
    client.close()  # its end rolls back, too


def _may_pass(error: DqliteError) -> bool:
    """Whether another leader, or the same one later, may do what this one did not."""
    is_lost = error.retryable or error.ambiguous
    return is_lost and not isinstance(error, ProtocolError)


def _require_empty(client: BlockingClient, database: str) -> None:
    if client.query_sql(f"SELECT 1 FROM sqlite_master WHERE {OURS} LIMIT 1").rows:
        raise BackupError(f"the database {database} is not empty: restore into a new one")


def _tables_and_views(client: BlockingClient) -> list[tuple[str, str]]:
    """The kind and the name of each."""
    sql = f"SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND {OURS}"
    return [(str(kind), str(name)) for kind, name in client.query_sql(sql).rows]


def _drop(client: BlockingClient, found: Sequence[tuple[str, str]]) -> None:
    for kind, name in found:
        client.exec_sql(f"DROP {kind.upper()} {quoted(name)}")


def _size(value: Parameter) -> int:
    return len(value) if isinstance(value, str | bytes) else 8


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
