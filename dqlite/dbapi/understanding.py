"""
What a connection must know of a statement before it sends it.

Source: SQLite, `lang.html`, `lang_transaction.html`, `lang_savepoint.html`.
"""

from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from dqlite import statements
from dqlite.errors import Refused
from dqlite.values import Begin


class Kind(Enum):
    """What a statement does to the transaction that it runs in."""

    NOTHING = auto()  # no statement: white space and comments
    READ = auto()
    CHANGE = auto()  # INSERT, UPDATE, DELETE, REPLACE: rows are counted
    OTHER = auto()  # the schema, and everything else
    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    SAVEPOINT = auto()  # also RELEASE, and ROLLBACK TO


class Understood(NamedTuple):
    """
    One statement, safe to send.

    Attributes:
        may_be_prepared: It reads or changes rows, and no change of the schema can change its
            columns, as it does those of `SELECT *`.
    """

    kind: Kind
    gives_rows: bool
    inserts: bool
    parameter_count: int
    begin: Begin | None
    may_be_prepared: bool


_BEFORE_ALL_COLUMNS = frozenset({"SELECT", "DISTINCT", "ALL", ",", "."})
"""A `*` after one of these stands for columns, and for a number of rows or a product elsewhere."""

_KINDS = {
    **dict.fromkeys(("SELECT", "VALUES", "EXPLAIN"), Kind.READ),
    **dict.fromkeys(("INSERT", "UPDATE", "DELETE", "REPLACE"), Kind.CHANGE),
    **dict.fromkeys(("SAVEPOINT", "RELEASE"), Kind.SAVEPOINT),
    **dict.fromkeys(("COMMIT", "END"), Kind.COMMIT),
    "BEGIN": Kind.BEGIN,
    "ROLLBACK": Kind.ROLLBACK,
    "": Kind.NOTHING,
}


@lru_cache(maxsize=1024)
def understand(sql: str) -> Understood:
    """
    Look at a text of one statement, or none.

    Raises:
        Refused: If it would damage a server, or holds more than one statement.
    """
    if statements.check(sql) > 1:
        raise Refused("expected one statement, got several: use executescript")
    words = statements.tokens_of(sql)
    verb = words[0] if words else ""
    gives_rows = statements.gives_rows(sql)
    kind = _KINDS.get(verb, Kind.OTHER)
    begin = None
    if verb == "WITH":
        kind = Kind.READ if gives_rows else Kind.CHANGE
    elif kind in (Kind.BEGIN, Kind.ROLLBACK):
        if kind is Kind.ROLLBACK and "TO" in words:
            kind = Kind.SAVEPOINT
        begin = next((each for each in Begin if each.value in words), None)
    return Understood(
        kind,
        gives_rows,
        verb in ("INSERT", "REPLACE"),
        statements.count_parameters(sql),
        begin,
        kind in (Kind.READ, Kind.CHANGE) and verb != "EXPLAIN" and not _names_all_columns(words),
    )


def _names_all_columns(words: Sequence[str]) -> bool:
    return any(word == "*" and before in _BEFORE_ALL_COLUMNS for before, word in pairwise(words))
