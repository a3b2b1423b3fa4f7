"""
Connections to one database for the threads of a server; a free one is used again.

Source: Go, `database/sql` (`DB`).
"""

import contextlib
import queue
from collections.abc import Callable, Iterator
from typing import TypeVar

from dqlite.dbapi.connection import Connection
from dqlite.dbapi.database import Database
from dqlite.errors import Error, NoLeader

_Result = TypeVar("_Result")


class Connections:
    """Lends connections to any thread, each to one at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()

    def run(self, work: Callable[[Connection], _Result]) -> _Result:
        """
        Do something with a connection, and once more if it was surely not done.

        It is not repeated after NoLeader: the leader was looked for long enough.
        """
        try:
            with self.lent() as connection:
                return work(connection)
        except NoLeader:
            raise
        except Error as error:
            if not error.retryable:
                raise
        with self.lent() as connection:
            return work(connection)

    @contextlib.contextmanager
    def lent(self) -> Iterator[Connection]:
        """Lend a connection; it is closed where it is of no more use."""
        try:
            connection = self._free.get_nowait()
        except queue.Empty:
            connection = self._database.connect()
        try:
            yield connection
        except Error as error:
            if error.reconnect:
                connection.close()
            else:
                self._free.put(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self._free.put(connection)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._free.get_nowait().close()
