"""
What SQL text would do to a server, as far as its tokens show it: refusals, and how many statements.

A tokenizer, not a parser: it separates words from literals and comments, no more. It cannot see
the types in a column: a SELECT of a BOOLEAN column that holds text or real, or of a DATETIME column
that holds real or blob, ends the server too.

Source: `sqlite3/src/tokenize.c`; dqlite#477 (RETURNING).
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from dqlite.errors import Refused

_TOKEN = re.compile(
    r"""
      --[^\n]* | /\*.*?(?:\*/|\Z) | \s+                          # nothing
    | (?P<literal> '(?:[^']|'')*' )
    | (?P<name> "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] )
    | (?P<word> \w[\w$]* )
    | (?P<end> ; )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)

_PRAGMAS = frozenset({"wal_checkpoint", "journal_mode"})
_DATABASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


@lru_cache(maxsize=1024)
def check(sql: str) -> int:
    """
    Count the statements of a text that is safe to send; a trigger with a body is several.

    Raises:
        Refused: If a statement would damage a server of some version: RETURNING (the row is lost or
            the next write aborts the server), ATTACH (not replicated), a checkpoint or change of
            journal mode (crash), a NUL.
    """
    if "\0" in sql:
        raise Refused("SQL with a NUL would be cut there")
    statements = _split(sql)
    for tokens in statements:
        if reason := _danger(tokens):
            raise Refused(f"{reason}: {sql[:200]}")
    return len(statements)


def check_database_name(name: str) -> str:
    """
    Return a name that is safe to open.

    Raises:
        Refused: If it is no pure file name: an empty or in-memory name ends the server.
    """
    if not _DATABASE_NAME.fullmatch(name):
        raise Refused(f"expected a database name of letters, digits and ._-, got {name!r}")
    return name


def _split(sql: str) -> list[list[str]]:
    """The tokens of each statement: words in capitals, names unquoted."""
    statements: list[list[str]] = [[]]
    for match in _TOKEN.finditer(sql):
        if match.lastgroup == "end":
            statements.append([])
        elif match.lastgroup:
            statements[-1].append(_token(match.lastgroup, match[0]))
    return [tokens for tokens in statements if tokens]


def _token(group: str, text: str) -> str:
    if group == "word":
        return text.upper()
    if group == "name":
        return text[1:-1].lower()
    return text.lower()  # literals keep their quotes, so they equal no word


def _danger(tokens: Sequence[str]) -> str | None:
    if tokens[0] != "SELECT" and "RETURNING" in tokens:
        return "RETURNING damages the server"
    if tokens[0] == "ATTACH":
        return "ATTACH is not replicated"
    if "PRAGMA" in tokens and not _PRAGMAS.isdisjoint(token.strip("'").lower() for token in tokens):
        return "this PRAGMA ends the server"
    return None
