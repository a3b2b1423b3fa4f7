"""Statements that are run again are prepared, and nobody can tell but by the time it takes."""

from typing import Any

import pytest

from dqlite import errors
from dqlite.dbapi.understanding import understand
from tests.dqlite.dbapi.test_core import NOT_LEADER, once

SELECT = "SELECT n FROM t WHERE n = ?"
INSERT = "INSERT INTO t VALUES (?)"
LOST = errors.ConnectionLost("end of stream")


@pytest.fixture(autouse=True)
def table(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True)
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    connection.close()
    server.sent.clear()


def requests(server: Any, word: str) -> list[str]:
    """The first words of all requests that had to do with a text."""
    return [sql.split()[0] for sql in server.sent if word in sql]


def test_text_is_prepared_when_it_is_run_the_second_time(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True)
    rows = [connection.execute(SELECT, (n,)).fetchall() for n in range(3)]
    changed = [connection.execute(INSERT, (n,)).rowcount for n in range(3)]

    assert rows == [[]] * 3
    assert changed == [1, 1, 1]
    assert requests(server, SELECT) == ["SELECT", "PREPARE", "SELECT", "SELECT"]
    assert requests(server, INSERT) == ["INSERT", "PREPARE", "INSERT", "INSERT"]


@pytest.mark.parametrize(
    ("sql", "may_be"),
    [
        ("SELECT n FROM t", True),
        ("SELECT count(*), 2*n FROM t", True),
        ("WITH s AS (SELECT 1) SELECT 1 FROM s", True),
        ("UPDATE t SET n = n * 2", True),
        ("REPLACE INTO t VALUES (1)", True),
        ("SELECT * FROM t", False),
        ("SELECT DISTINCT * FROM t", False),
        ("SELECT ALL * FROM t", False),
        ("SELECT 1, * FROM t", False),
        ("SELECT t.* FROM t", False),
        ("SELECT/**/*FROM t", False),
        ("WITH s AS (SELECT n FROM t) SELECT * FROM s", False),
        ("EXPLAIN SELECT 1", False),
        ("PRAGMA table_info(t)", False),
        ("CREATE TABLE u (n)", False),
        ("BEGIN", False),
        ("SAVEPOINT a", False),
    ],
)
def test_texts_whose_columns_the_schema_can_change_are_never_prepared(
    sql: str, may_be: bool
) -> None:
    assert understand(sql).may_be_prepared is may_be


def test_text_for_all_columns_is_sent_each_time(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True)
    for _ in range(3):
        connection.execute("SELECT * FROM t")

    assert requests(server, "FROM t") == ["SELECT"] * 3


def test_the_least_recently_run_is_forgotten_at_the_server_too(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True, cached_statements=2)
    for text in ("SELECT 1", "SELECT 1", "SELECT 2", "SELECT 2", "SELECT 1", "SELECT 3"):
        connection.execute(text)
    connection.execute("SELECT 2")

    assert requests(server, "SELECT 2") == ["SELECT", "PREPARE", "SELECT", "FINALIZE", "SELECT"]
    assert requests(server, "SELECT 1") == ["SELECT", "PREPARE", "SELECT", "SELECT", "FINALIZE"]


def test_texts_that_are_run_once_cost_one_request_each(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True, cached_statements=2)
    for n in range(9):
        connection.execute(f"SELECT {n}")

    assert server.sent == ["OPEN app", *(f"SELECT {n}" for n in range(9))]


def test_none_is_prepared_without_a_cache(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True, cached_statements=0)
    for _ in range(3):
        connection.execute(SELECT, (1,))

    assert requests(server, SELECT) == ["SELECT"] * 3


def test_new_connection_to_a_server_knows_no_statements(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True)
    for n in range(3):
        connection.execute(INSERT, (n,))
    server.before = once(NOT_LEADER, INSERT)
    connection.execute(INSERT, (3,))

    assert server.rows("SELECT n FROM t") == [(0,), (1,), (2,), (3,)]
    assert server.sent[-2:] == ["OPEN app", INSERT]


@pytest.mark.parametrize("when", ["before", "after"])
def test_loss_while_a_write_is_prepared_is_not_ambiguous(
    opened: Any, server: Any, when: str
) -> None:
    connection = opened(autocommit=True)
    connection.execute(INSERT, (1,))
    setattr(server, when, once(LOST, "PREPARE"))

    with pytest.raises(errors.Abandoned, match="before the statement"):
        connection.execute(INSERT, (2,))
    assert server.rows("SELECT n FROM t") == [(1,)]
    assert connection.execute(INSERT, (3,)).rowcount == 1


def test_loss_of_a_prepared_write_is_ambiguous(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True)
    for n in range(2):
        connection.execute(INSERT, (n,))
    server.after = once(LOST, INSERT)

    with pytest.raises(errors.Indeterminate):
        connection.execute(INSERT, (2,))
    assert server.rows("SELECT n FROM t") == [(0,), (1,), (2,)]


def test_loss_while_a_transaction_prepares_ends_the_transaction(opened: Any, server: Any) -> None:
    connection = opened()
    connection.execute(INSERT, (1,))
    server.after = once(LOST, "PREPARE")

    with pytest.raises(errors.Abandoned):
        connection.execute(INSERT, (2,))
    with pytest.raises(errors.Abandoned):
        connection.execute(INSERT, (3,))
    connection.rollback()
    assert server.rows("SELECT n FROM t") == []


def test_text_that_cannot_be_prepared_says_why_each_time(opened: Any) -> None:
    connection = opened(autocommit=True)
    for _ in range(3):
        with pytest.raises(errors.StatementError, match="no such table"):
            connection.execute("DELETE FROM missing")
    connection.execute("CREATE TABLE missing (n)")

    assert connection.execute("DELETE FROM missing").rowcount == 0


def test_statement_is_run_again_after_an_error(opened: Any, server: Any) -> None:
    connection = opened(autocommit=True)
    for n in range(2):
        connection.execute(INSERT, (n,))
    with pytest.raises(errors.ConstraintViolation):
        connection.execute(INSERT, (1,))
    connection.execute(INSERT, (2,))

    assert requests(server, INSERT).count("PREPARE") == 1
