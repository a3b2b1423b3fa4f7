"""What SQL is refused before it is sent, where its statements end, and which of them give rows."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
        "CREATE TABLE trigger (a); ATTACH 'x' AS y",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END; ATTACH 'x' AS y",
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
        ("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; SELECT 3", 2),
    ],
)
def test_statements_are_counted_outside_of_literals(sql: str, count: int) -> None:
    assert statements.check(sql) == count


def test_split_keeps_literals_comments_and_triggers_whole() -> None:
    trigger = "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT ';'; END"
    script = f"""
        -- first; second
        SELECT 'a;b' /* ; */ AS x ; ;
        {trigger};
        INSERT INTO [c;d] VALUES ("e;f", `g;h`)  -- the last; has none
    """

    assert statements.split(script) == (
        "SELECT 'a;b' /* ; */ AS x",
        trigger,
        'INSERT INTO [c;d] VALUES ("e;f", `g;h`)',
    )


_FRAGMENTS = st.sampled_from(
    [";", "'", '"', "[", "]", "`", "a", "1", "(", ")", "\n", " ", "--", "/*", "*/", "'x;y'",
     "-- z\n", "CREATE", "TEMP", "TRIGGER", "END", "EXPLAIN", "SELECT", "BEGIN"]
)  # fmt: skip


@given(st.lists(_FRAGMENTS, max_size=12).map(" ".join))
@example("' ' ; /*")
@example("SELECT ; -- x")
def test_statement_is_complete_where_sqlite_says_so(sql: str) -> None:
    if statements.split(sql):
        assert statements.is_complete(sql) == sqlite3.complete_statement(sql)
    else:
        assert not statements.is_complete(sql)


@given(st.lists(_FRAGMENTS, max_size=12).map(" ".join))
def test_statements_of_a_split_are_split_no_more(sql: str) -> None:
    for each in statements.split(sql):
        assert statements.split(each) == (each,)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT 1", True),
        ("-- a\nselect 1", True),
        ("VALUES (1), (2)", True),
        ("EXPLAIN DELETE FROM t", True),
        ("WITH a AS (SELECT 1), b(c) AS (VALUES (2)) SELECT * FROM a, b", True),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", False),
        ("WITH replace AS (SELECT 1) SELECT * FROM replace", True),
        ("WITH a AS (SELECT 1) REPLACE INTO t SELECT * FROM a", False),
        ("INSERT INTO t SELECT 1", False),
        ("BEGIN", False),
        ("PRAGMA main.user_version", True),
        ("PRAGMA main.user_version = 1", False),
        ("PRAGMA table_info('t')", True),
        ("", False),
        ("WITH", False),
        ("PRAGMA", True),
    ],
)
def test_statement_with_rows_is_known_by_its_words(sql: str, rows: bool) -> None:
    assert statements.gives_rows(sql) is rows


def test_pragmas_give_rows_as_in_sqlite() -> None:
    values = {
        "encoding": "'UTF-8'",
        "foreign_key_check": "sqlite_schema",
        "temp_store_directory": "''",
    }

    with closing(sqlite3.connect(":memory:")) as database:
        names = [name for (name,) in database.execute("PRAGMA pragma_list")]
        wrong = [
            sql
            for name in names
            for sql in (f"PRAGMA {name}", f"PRAGMA {name} = {values.get(name, 0)}")
            if statements.gives_rows(sql) != (database.execute(sql).description is not None)
        ]

    assert len(names) > 50
    assert wrong == []


@pytest.mark.parametrize(
    "name", ["", ":memory:", "file:x?mode=memory", "a/b", "..", "é", "x" * 300]
)
def test_database_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        statements.check_database_name(name)


@pytest.mark.parametrize("name", ["test", "db.bin", "a-b_c"])
def test_plain_database_name_is_kept(name: str) -> None:
    assert statements.check_database_name(name) == name
