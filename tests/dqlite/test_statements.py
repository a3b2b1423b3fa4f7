"""What SQL is refused before it is sent, and its nearest harmless twin."""

import pytest

from dqlite import statements
from dqlite.errors import NotApplied, Refused


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1) RETURNING a",
        "insert into t values (1) returning(a)",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x RETURNING a",
        "DELETE FROM t -- all\nRETURNING a",
        "SELECT 1; UPDATE t SET a = 1 RETURNING a",
        "ATTACH 'x' AS y",
        "/* now */ attach database ':memory:' as y",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA main.journal_mode = delete",
        'PRAGMA "journal_mode" = delete',
        "pragma [Journal_Mode]=off",
        "EXPLAIN PRAGMA wal_checkpoint",
        "SELECT 1\0",
    ],
)
def test_sql_that_damages_a_server_is_refused(sql: str) -> None:
    with pytest.raises(Refused) as refused:
        statements.check(sql)

    assert isinstance(refused.value, NotApplied)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES ('RETURNING')",
        "INSERT INTO t VALUES ('it''s; RETURNING')",
        "SELECT 1 -- RETURNING",
        "SELECT returning FROM t",
        'UPDATE t SET "returning" = 1',
        "INSERT INTO attach VALUES ('ATTACH')",
        "PRAGMA foreign_keys",
        "SELECT 'PRAGMA journal_mode'",
        "",
        "/* never closed",
    ],
)
def test_harmless_sql_is_one_statement(sql: str) -> None:
    assert statements.check(sql) <= 1


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT 1;", 1),
        ("SELECT 1; -- end", 1),
        ("SELECT ';'", 1),
        (";;SELECT [a;b], `c;d`", 1),
        ("SELECT 1; SELECT 2", 2),
        ("BEGIN;COMMIT", 2),
    ],
)
def test_statements_are_counted_outside_of_literals(sql: str, count: int) -> None:
    assert statements.check(sql) == count


@pytest.mark.parametrize(
    "name", ["", ":memory:", "file:x?mode=memory", "a/b", "..", "é", "x" * 300]
)
def test_database_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        statements.check_database_name(name)


@pytest.mark.parametrize("name", ["test", "db.bin", "a-b_c"])
def test_plain_database_name_is_kept(name: str) -> None:
    assert statements.check_database_name(name) == name
