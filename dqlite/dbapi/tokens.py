"""
Tokens: to know afterwards whether a transaction was committed whose COMMIT got no answer.

A transaction with a token begins IMMEDIATE and inserts a row of a table of its own, MARKS, before
anything else. The row's id is the next one, and it holds a random nonce. Both, with the name of
the database, are the token. `recover` runs a transaction with a token of its own, and looks in it
for the row with that id, before it commits. If that commit is acknowledged, what it saw is final:

 1. What recover saw contains every entry that is in the log of its leader: a leader applies all of
    its log before it runs the first statement of a transaction (a barrier).
 2. An entry that is not in that log is never committed. Call the entry of the lost COMMIT e, with
    its term t, and recover's own entry w, with its term u, which is committed.
    If u > t: every later leader has w, and terms do not fall along a log, so none has e after w;
    and what stands before w is decided with it.
    If u = t: both went to one leader. The lost transaction held the write lock of that leader's
    database since before its token was known, until its entry was in the log, or it was gone. w
    needs this lock, so e was in the log before w's transaction began, or never will be.
    u < t is impossible: the leader of t was elected before the lost transaction began, and since
    then no leader of an older term commits anything new.
 3. A leader that steps down closes the connections' transactions, so a COMMIT that is delayed in
    the network meets no transaction later, also when that node leads again.

dqlite needs 1 and 2 for itself: without them, the pages that w writes would overwrite those of e.

Ids are never used twice by committed transactions: the row with the greatest id is never deleted.
So a committed row at this id has this nonce, or the transaction was not committed. A trigger
deletes what is KEPT ids old; then nobody knows, and recover says so.

Source: go-dqlite v0.0.1, `Tx.Token`, `Driver.Recover`; Raft dissertation, 3.6 and 6.4;
`dqlite/src/leader.c` (barriers), `vfs.c` (VfsPoll, the lock), `server.c` (state_cb).
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dqlite.errors import Refused, TokenExpired

MARKS: Final = "__dqlite_txn"

KEPT: Final = 10_000
"""How many transactions with tokens later a token is still known."""

SCHEMA: Final = (
    f"CREATE TABLE IF NOT EXISTS {MARKS} (id INTEGER PRIMARY KEY, nonce TEXT NOT NULL)",
    f"CREATE TRIGGER IF NOT EXISTS {MARKS}_prune AFTER INSERT ON {MARKS} BEGIN"
    f" DELETE FROM {MARKS} WHERE id <= new.id - {KEPT}; END",
)
INSERT: Final = f"INSERT INTO {MARKS} (nonce) VALUES (?)"
FIND: Final = f"SELECT (SELECT nonce FROM {MARKS} WHERE id = ?), min(id), max(id) FROM {MARKS}"

_TOKEN = re.compile(r"(?P<database>[^/]+)/(?P<id>\d{1,18})/(?P<nonce>[0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Token:
    """As text, `database/id/nonce`."""

    database: str
    id: int
    nonce: str

    def __str__(self) -> str:
        return f"{self.database}/{self.id}/{self.nonce}"


def new_nonce() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


def parse(token: str, database: str) -> Token:
    """
    Read a token of a database.

    Raises:
        Refused: If this is none.
    """
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise Refused(f"expected a token like database/12/0123456789abcdef…, got {token!r:.100}")
    if found["database"] != database:
        raise Refused(f"expected a token of database {database}, got one of {found['database']}")
    return Token(database, int(found["id"]), found["nonce"])


def is_committed(token: Token, rows: Sequence[Sequence[Any]]) -> bool:
    """
    Decide by what FIND gave in a transaction that has been committed since.

    Raises:
        TokenExpired: If the row would have been deleted by now.
    """
    nonce, first, _ = rows[0]
    if nonce is not None:
        return bool(nonce == token.nonce)
    if token.id < first:
        raise TokenExpired(
            f"expected a token among the last {KEPT} transactions, of which {first} is the first,"
            f" got {token.id}"
        )
    return False
