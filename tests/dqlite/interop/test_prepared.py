"""What becomes of a prepared statement when a run fails, or the schema changes; by version."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import dqlite
from tests.dqlite.interop.tools import Programs, until

pytestmark = pytest.mark.cluster

INSERT = "INSERT INTO t VALUES (?, ?)"
SELECT = "SELECT v FROM t WHERE k = ?"


@pytest.fixture(params=["1.11.1", "1.18.7"])
def address(programs: Programs, request: pytest.FixtureRequest) -> str:
    found = programs.node(request.param, 1, latency_ms=20).db

    def leads() -> bool:
        with dqlite.BlockingClient.connect(found, timeout_s=5) as client:
            client.open("demo")
            client.exec_sql("CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v TEXT)")
        return True

    assert until(leads)
    return found


@pytest.fixture
def clients(address: str) -> Iterator[list[dqlite.BlockingClient]]:
    with ExitStack() as stack:
        found = []
        for _ in range(2):
            client = dqlite.BlockingClient.connect(address, timeout_s=5)
            found.append(stack.enter_context(client))
            client.open("demo")
        yield found


@pytest.fixture
def connection(address: str) -> Iterator[Any]:
    opened = dqlite.connect(address, "demo", autocommit=True, busy_timeout_s=0)
    yield opened
    opened.close()


def test_statement_works_after_each_kind_of_failure(connection: Any, clients: Any) -> None:
    other = clients[0]
    for k in range(3):
        connection.execute(INSERT, (k, "a"))
    with pytest.raises(dqlite.ConstraintViolation):
        connection.execute(INSERT, (2, "b"))
    connection.execute(INSERT, (3, "c"))
    other.exec_sql("BEGIN IMMEDIATE")
    with pytest.raises(dqlite.Busy):
        connection.execute(INSERT, (4, "d"))
    other.exec_sql("ROLLBACK")
    connection.execute(INSERT, (4, None))
    for sql in [SELECT] * 3:
        found = connection.execute(sql, (4,)).fetchall()

    assert found == [(None,)]
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (5,)


def test_query_that_fails_while_it_runs_can_be_run_again(connection: Any) -> None:
    for _ in range(2):
        assert connection.execute("SELECT abs(?)", (-1,)).fetchone() == (1,)
        with pytest.raises(dqlite.StatementError, match="integer overflow"):
            connection.execute("SELECT abs(?)", (-(2**63),))


def test_cached_statements_follow_the_schema(connection: Any, clients: Any) -> None:
    other = clients[0]
    for k in range(3):
        connection.execute(INSERT, (k, "a"))
        connection.execute(SELECT, (k,))
        connection.execute("SELECT * FROM t")
    other.exec_sql("ALTER TABLE t ADD COLUMN w INTEGER DEFAULT 7")
    with pytest.raises(dqlite.StatementError, match="3 columns"):
        connection.execute(INSERT, (3, "b"))
    wider = connection.execute("SELECT * FROM t WHERE k = 0 OR k = ?", (0,))
    all_columns = connection.execute("SELECT * FROM t")

    assert all_columns.fetchone() == wider.fetchone() == (0, "a", 7)
    assert [each[0] for each in all_columns.description] == ["k", "v", "w"]
    other.exec_sql("DROP TABLE t")
    with pytest.raises(dqlite.StatementError, match="no such table"):
        connection.execute(SELECT, (0,))
    other.exec_sql("CREATE TABLE t (v BOOLEAN, k INTEGER PRIMARY KEY)")
    assert connection.execute(INSERT, (True, 9)).lastrowid == 9
    assert connection.execute(SELECT, (9,)).fetchall() == [(True,)]
    assert connection.execute("SELECT * FROM t").fetchall() == [(True, 9)]
    other.exec_sql("ALTER TABLE t RENAME COLUMN v TO w")
    with pytest.raises(dqlite.StatementError, match="no such column"):
        connection.execute(SELECT, (9,))


def test_statement_of_a_table_that_was_rolled_back_fails_until_it_is_there(
    connection: Any, clients: Any
) -> None:
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE u (n INTEGER)")
    for n in range(3):
        connection.execute("INSERT INTO u VALUES (?)", (n,))
    connection.execute("ROLLBACK")
    with pytest.raises(dqlite.StatementError, match="no such table"):
        connection.execute("INSERT INTO u VALUES (?)", (3,))
    clients[0].exec_sql("CREATE TABLE u (n INTEGER)")
    connection.execute("INSERT INTO u VALUES (?)", (4,))

    assert connection.execute("SELECT n FROM u").fetchall() == [(4,)]


def test_prepared_text_for_all_columns_shows_those_of_before_once(clients: Any) -> None:
    """Why connections never prepare such a text."""
    client, other = clients
    client.exec_sql("INSERT INTO t VALUES (1, 'a')")
    statement = client.prepare("SELECT * FROM t")
    other.exec_sql("DROP TABLE t")
    other.exec_sql("CREATE TABLE t (a, b, c)")
    other.exec_sql("INSERT INTO t VALUES (1, 2, 3)")
    first, second = client.query(statement), client.query(statement)

    assert (first.columns, first.rows) == (("k", "v"), ((1, 2),))
    assert (second.columns, second.rows) == (("a", "b", "c"), ((1, 2, 3),))


def test_more_statements_than_the_cache_holds_keep_apart(address: str) -> None:
    opened = dqlite.connect(address, "demo", autocommit=True, cached_statements=3)
    order = [0, 0, 1, 1, 2, 2, 0, 3, 3, 1, 1, 4, 4, 0, 2, 2, 0, 0, 4, 3, 3]
    found = [opened.execute(f"SELECT {n} + ?", (n,)).fetchone()[0] for n in order]
    opened.close()

    assert found == [2 * n for n in order]
