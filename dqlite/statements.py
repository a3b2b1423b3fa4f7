"""
What SQL text is, as far as its tokens show: what is refused, its statements, which gives rows.

A tokenizer, not a parser: it separates words from literals and comments, no more. It cannot see
the types in a column: a SELECT of a BOOLEAN column that holds text or real, or of a DATETIME column
that holds real or blob, ends the server too.

Source: `sqlite3/src/tokenize.c`, `complete.c`, `tool/mkpragmatab.tcl`; dqlite#477 (RETURNING).
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from dqlite.errors import Refused

_TOKEN = re.compile(
    r"""
      --[^\n]* | /\*.*?(?:\*/|\Z) | \s+                          # nothing
    | (?P<literal> '(?:[^']|'')*' )
    | (?P<name> "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] )
    | (?P<open> ['"`\[] .* )                                      # to the end of the text
    | (?P<word> \w[\w$]* )
    | (?P<end> ; )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)

_PRAGMAS = frozenset({"wal_checkpoint", "journal_mode"})
_SILENT_PRAGMAS = frozenset({"case_sensitive_like", "incremental_vacuum", "shrink_memory"})
_SILENT_WHEN_SET = frozenset({
    "application_id", "auto_vacuum", "automatic_index", "cache_size", "cache_spill",
    "cell_size_check", "checkpoint_fullfsync", "count_changes", "data_store_directory",
    "default_cache_size", "defer_foreign_keys", "empty_result_callbacks", "encoding",
    "foreign_keys", "full_column_names", "fullfsync", "ignore_check_constraints",
    "legacy_alter_table", "page_size", "query_only", "read_uncommitted",
    "recursive_triggers", "reverse_unordered_selects", "schema_version",
    "short_column_names", "synchronous", "temp_store", "temp_store_directory",
    "trusted_schema", "user_version", "writable_schema",
})  # fmt: skip
_VERBS_WITH_ROWS = frozenset({"SELECT", "VALUES"})
_VERBS = _VERBS_WITH_ROWS | {"INSERT", "UPDATE", "DELETE"}
_DATABASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


class _Statement(NamedTuple):
    """One statement of a text: where it stands there, and its tokens."""

    start: int
    end: int
    tokens: tuple[str, ...]


@lru_cache(maxsize=1024)
def check(sql: str) -> int:
    """
    Count the statements of a text that is safe to send; a trigger with its body is one.

    Raises:
        Refused: If a statement would damage a server of some version: RETURNING (the row is lost or
            the next write aborts the server), ATTACH (not replicated), a checkpoint or change of
            journal mode (crash), a NUL.
    """
    if "\0" in sql:
        raise Refused("SQL with a NUL would be cut there")
    statements = tuple(_statements(sql))
    for each in statements:
        if reason := _danger(each.tokens):
            raise Refused(f"{reason}: {sql[:200]}")
    return len(statements)


def split(sql: str) -> tuple[str, ...]:
    """
    Return the text of each statement, without its `;` and the comments around it.

    A `;` in a literal, a quoted name, a comment or the body of a trigger ends no statement.
    """
    return tuple(sql[each.start : each.end] for each in _statements(sql))


def is_complete(sql: str) -> bool:
    """Whether a text that is typed line by line can be run: its last statement ended with `;`."""
    statements = split(f"{sql}\nx")
    return len(statements) > 1 and statements[-1] == "x"  # in no comment, and of its own


@lru_cache(maxsize=1024)
def gives_rows(sql: str) -> bool:
    """
    Whether the first statement of a text is to be sent by QUERY: it gives rows, if only none.

    Old servers refuse to QUERY what gives no rows, and all refuse to EXEC what does.
    """
    verb, *others = tokens_of(sql) or ("",)
    if verb == "WITH":
        return _main_verb(others) in _VERBS_WITH_ROWS
    if verb == "PRAGMA":
        return _pragma_gives_rows(others)
    return verb == "EXPLAIN" or verb in _VERBS_WITH_ROWS


@lru_cache(maxsize=1024)
def count_parameters(sql: str) -> int:
    """
    Count the values that the statements of a text take together, as SQLite numbers them.

    A `?` is one more than the greatest so far, `?3` is the third, and each name is one.
    """
    greatest = 0
    names: set[str] = set()
    for sign, word in _adjacent(sql):
        if sign == "?":
            number = int(word) if word.isdecimal() and len(word) < 9 else greatest + 1
            greatest = max(greatest, number)
        elif sign in "$:@" and word and sign + word not in names:
            names.add(sign + word)
            greatest += 1
    return greatest


def _adjacent(sql: str) -> Iterator[tuple[str, str]]:
    """Each sign with the word that follows it at once, as written, "" where there is none."""
    matches = list(_TOKEN.finditer(sql))
    for match, following in pairwise((*matches, None)):
        if match is not None and match.lastgroup == "other":
            is_word = following is not None and following.lastgroup == "word"
            yield match[0], following[0] if following is not None and is_word else ""


def tokens_of(sql: str) -> tuple[str, ...]:
    """Return the tokens of the first statement, words in capitals; () where there is none."""
    first = next(_statements(sql), None)
    return first.tokens if first is not None else ()


def check_database_name(name: str) -> str:
    """
    Return a name that is safe to open.

    Raises:
        Refused: If it is no pure file name: an empty or in-memory name ends the server.
    """
    if not _DATABASE_NAME.fullmatch(name):
        raise Refused(f"expected a database name of letters, digits and ._-, got {name!r}")
    return name


def _statements(sql: str) -> Iterator[_Statement]:
    """The statements of a text; in their tokens words stand in capitals and names unquoted."""
    tokens: list[str] = []
    start = end = 0
    for match in _TOKEN.finditer(sql):
        if not match.lastgroup:
            continue
        token = _token(match.lastgroup, match[0])
        if token == ";" and (not tokens or _is_whole(tokens)):
            if tokens:
                yield _Statement(start, end, tuple(tokens))
            tokens = []
            continue
        if not tokens:
            start = match.start()
        end = match.end()
        tokens.append(token)
    if tokens:
        yield _Statement(start, end, tuple(tokens))


def _is_whole(tokens: Sequence[str]) -> bool:
    """Whether a `;` after these tokens ends the statement: that of a trigger ends with `; END`."""
    head = list(tokens[:6])
    for prefix in (["EXPLAIN"], ["QUERY", "PLAN"]):
        if head[: len(prefix)] == prefix:
            del head[: len(prefix)]
    if head[1:2] in (["TEMP"], ["TEMPORARY"]):
        del head[1]
    return head[:2] != ["CREATE", "TRIGGER"] or tuple(tokens[-2:]) == (";", "END")


def _main_verb(tokens: Sequence[str]) -> str:
    """What a statement that begins with WITH does: its first verb outside of parentheses."""
    depth = 0
    for token, following in pairwise((*tokens, "")):
        depth += (token == "(") - (token == ")")
        if depth == 0 and (token in _VERBS or (token, following) == ("REPLACE", "INTO")):
            return token
    return ""


def _pragma_gives_rows(tokens: Sequence[str]) -> bool:
    name, *rest = tokens[2:] if tokens[1:2] == ["."] else tokens or [""]
    name = name.strip("'").lower()
    return name not in _SILENT_PRAGMAS and not (rest and name in _SILENT_WHEN_SET)


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
