"""
One user of one database: SQL statements and dot-commands, one at a time, and what they print.

A statement that was sent is not sent again, unless the node answered that it does not lead: then it
was not applied, and the new leader gets it. In a transaction not even that: its other statements
are gone with the connection.

Source: go-dqlite 3.0.4, `internal/shell/shell.go`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import click

from dqlite import statements
from dqlite.client.blocking import BlockingClient
from dqlite.commands.formats import Format, format_rows
from dqlite.commands.servers import Cluster
from dqlite.errors import Error, NotLeader, NotSent
from dqlite.values import Value
from dqlite.wire.schema import Rows


class Shell:
    """
    Runs what is typed. It keeps a connection to the leader, and with it an open transaction.

    Attributes:
        format: How rows are shown from now on.
        is_in_transaction: Whether the connection has a transaction that the user began.
    """

    def __init__(
        self,
        cluster: Cluster,
        database: str,
        write: Callable[[str], None],
        *,
        format: Format = Format.PIPE,  # noqa: A002 - the field's word
        is_exact: bool = False,
    ) -> None:
        """`write` shows one line. `is_exact`: a program reads it, see `format_rows`."""
        self.cluster = cluster
        self.database = statements.check_database_name(database)
        self.write = write
        self.format = format
        self.is_in_transaction = False
        self._savepoint: str | None = None  # the one that began the transaction
        self._is_exact = is_exact
        self._client: BlockingClient | None = None

    def close(self) -> None:
        """Drop the connection, and an open transaction with it; idempotent."""
        if self._client is not None:
            self._client.close()
        self._client = self._savepoint = None
        self.is_in_transaction = False

    def run_sql(self, script: str) -> None:
        """
        Run statements one by one, and show the rows that they give.

        Raises:
            click.ClickException: For the first that fails or is interrupted; the others do not run.
        """
        for statement in statements.split(script):
            if (rows := self.ask(statement)) is not None:
                self.show(rows.columns, rows.rows)

    def ask(self, sql: str) -> Rows | None:
        """Run one statement: its rows, or None for one that gives none; raises as `run_sql`."""
        with self._explained(sql):
            try:
                answer = _send(self._leader(), sql)
            except (NotLeader, NotSent):
                if self.is_in_transaction:
                    raise
                self.close()
                answer = _send(self._leader(), sql)
        self._follow(statements.tokens_of(sql))
        return answer

    def show(self, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        """Show rows in the format of this shell."""
        for line in format_rows(self.format, columns, rows, is_exact=self._is_exact):
            self.write(line)

    def _leader(self) -> BlockingClient:
        if self._client is None:
            client = self.cluster.leader()
            try:
                client.open(self.database)
            except BaseException:
                client.close()
                raise
            self._client = client
        return self._client

    @contextlib.contextmanager
    def _explained(self, sql: str) -> Iterator[None]:
        """Say what a failure means for the statement, and for an open transaction."""
        try:
            yield
        except KeyboardInterrupt:
            raise self._failure(sql, "interrupted", is_ambiguous=True, is_lost=True) from None
        except Error as error:
            raise self._failure(
                sql, str(error), is_ambiguous=error.ambiguous, is_lost=error.reconnect
            ) from error

    def _failure(
        self, sql: str, reason: str, *, is_ambiguous: bool, is_lost: bool
    ) -> click.ClickException:
        was_in_transaction = self.is_in_transaction
        if is_lost:
            self.close()
        is_commit = statements.tokens_of(sql)[:1] in (("COMMIT",), ("END",))
        if was_in_transaction and is_commit and is_ambiguous:
            reason += "; the transaction may have been committed"
        elif was_in_transaction and is_lost:
            reason += "; the open transaction was rolled back"
        elif is_ambiguous and not was_in_transaction and not statements.gives_rows(sql):
            reason += "; the statement may have been applied"
        return click.ClickException(reason)

    def _follow(self, tokens: Sequence[str]) -> None:
        """Keep track of whether a transaction is open, after a statement that succeeded."""
        match tuple(token.upper() for token in tokens):
            case ("BEGIN", *_):
                self.is_in_transaction = True
            case ("SAVEPOINT", name) if not self.is_in_transaction:
                self.is_in_transaction, self._savepoint = True, name
            case ("COMMIT" | "END", *_) | ("ROLLBACK",) | ("ROLLBACK", "TRANSACTION"):
                self.is_in_transaction, self._savepoint = False, None
            case ("RELEASE", *_, name) if name == self._savepoint:
                self.is_in_transaction, self._savepoint = False, None


def _send(client: BlockingClient, sql: str) -> Rows | None:
    if statements.gives_rows(sql):
        return client.query_sql(sql)
    client.exec_sql(sql)
    return None
