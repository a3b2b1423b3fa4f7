"""
The statements that a connection has prepared at its server, for texts that it runs again.

A text is prepared when it is run the second time, so one that runs once costs no more requests.
From then on the server does not parse it, and less is sent.

 - A statement belongs to the connection to the server, and ends with it: so does this.
 - SQLite compiles a statement again where the schema has changed. But the server writes the names
   of the columns before that: a prepared `SELECT *` has the columns of before, once. So only texts
   whose columns no schema can change are prepared; `understanding` says which.
 - After an error (Busy, a constraint, no such table) a statement can be run again.
 - Parameters are always all given: old servers would use those of the run before.

Source: `dqlite/src/query.c` (the names), `stmt.c`; SQLite, `sqlite3_prepare_v2`.
"""

from collections import OrderedDict
from functools import partial
from typing import Any

from dqlite.dbapi.steps import Steps
from dqlite.errors import Abandoned, Indeterminate
from dqlite.wire.schema import Statement


class Prepared:
    """
    The texts that were run over one client, the last `size` of them.

    Attributes:
        _known: Each text with its statement; None: it was run once.
    """

    def __init__(self, client: Any, size: int) -> None:
        self._client = client
        self._size = size
        self._known: OrderedDict[str, Statement | None] = OrderedDict()

    def known(self, sql: str) -> Statement | None:
        """Return the statement of a text that is prepared."""
        statement = self._known.get(sql)
        if statement is not None:
            self._known.move_to_end(sql)
        return statement

    def note(self, sql: str) -> Steps[Statement | None]:
        """
        Note that a text is run that is not prepared. If it was run before, prepare it.

        Returns:
            None: Send the text.

        Raises:
            Abandoned: If the connection ended meanwhile; the statement was not run.
        """
        try:
            if sql in self._known:
                self._known.move_to_end(sql)
                self._known[sql] = yield partial(self._client.prepare, sql)
                return self._known[sql]
            if self._size:
                yield from self._add(sql)
        except Indeterminate as error:
            raise Abandoned(f"before the statement: {error.message}", error.code) from error
        return None

    def _add(self, sql: str) -> Steps[None]:
        self._known[sql] = None
        if len(self._known) > self._size:
            _, oldest = self._known.popitem(last=False)
            if oldest is not None:
                yield partial(self._client.finalize, oldest)
