"""
What PEP 249 asks of a module, a connection and a cursor, clause by clause, on a real node.

Each test runs with the blocking face and with the asyncio one. Wording is ours; the order is the
PEP's, and after it comes what sqlite3 adds.
"""

import inspect
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest

import dqlite

cluster = pytest.mark.cluster

MOMENT = datetime(2024, 2, 29, 23, 59, 1, tzinfo=UTC)
WITHOUT_ZONE = MOMENT.replace(tzinfo=None)


@pytest.fixture
def people(connect: Any) -> Any:
    """A connection to a database with three rows."""
    connection = connect()
    connection.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, size REAL)")
    connection.executemany(
        "INSERT INTO person (name, size) VALUES (?, ?)", [("ann", 1.5), ("bob", None), ("cyd", 2.0)]
    )
    connection.commit()
    return connection


# Module


def test_module_says_what_it_is() -> None:
    assert (dqlite.apilevel, dqlite.threadsafety, dqlite.paramstyle) == ("2.0", 1, "qmark")
    assert callable(dqlite.connect)
    assert inspect.iscoroutinefunction(dqlite.aio.connect)


def test_exceptions_form_the_tree_of_pep_249() -> None:
    assert issubclass(dqlite.Warning, Exception)
    assert issubclass(dqlite.Error, Exception)
    assert issubclass(dqlite.InterfaceError, dqlite.Error)
    assert issubclass(dqlite.DatabaseError, dqlite.Error)
    for kind in (
        dqlite.DataError,
        dqlite.OperationalError,
        dqlite.IntegrityError,
        dqlite.InternalError,
        dqlite.ProgrammingError,
        dqlite.NotSupportedError,
    ):
        assert issubclass(kind, dqlite.DatabaseError)


def test_constructors_make_what_parameters_take() -> None:
    assert dqlite.Date(2024, 2, 29) == date(2024, 2, 29)
    assert dqlite.Time(23, 59, 1) == time(23, 59, 1)
    assert dqlite.Timestamp(2024, 2, 29, 23, 59, 1, tzinfo=UTC) == MOMENT
    assert dqlite.DateFromTicks(0) == dqlite.TimestampFromTicks(0).date()
    assert dqlite.TimeFromTicks(0) == dqlite.TimestampFromTicks(0).time()
    assert dqlite.Binary(b"\0\1") == b"\0\1"


def test_type_objects_equal_the_type_codes_they_describe() -> None:
    codes = (str, bytes, int, float, datetime, date)

    assert [code for code in codes if code == dqlite.STRING] == [str]
    assert [code for code in codes if code == dqlite.BINARY] == [bytes]
    assert [code for code in codes if code == dqlite.NUMBER] == [int, float]
    assert [code for code in codes if code == dqlite.DATETIME] == [datetime, date]
    assert [code for code in codes if code == dqlite.ROWID] == [int]
    assert len({dqlite.STRING, dqlite.BINARY, dqlite.NUMBER, dqlite.DATETIME, dqlite.ROWID}) == 5


# Connection


@cluster
def test_closed_connection_does_nothing_more(people: Any) -> None:
    cursor = people.cursor()
    people.close()
    people.close()

    for act in (
        people.cursor,
        people.commit,
        people.rollback,
        lambda: people.execute("SELECT 1"),
        lambda: cursor.execute("SELECT 1"),
        cursor.fetchall,
    ):
        with pytest.raises(dqlite.InterfaceError):
            act()


@cluster
def test_closing_undoes_what_was_not_committed(connect: Any, people: Any) -> None:
    other = connect()
    other.execute("DELETE FROM person")
    other.close()

    assert people.execute("SELECT count(*) FROM person").fetchone() == (3,)


@cluster
def test_others_see_a_transaction_once_it_is_committed(connect: Any, people: Any) -> None:
    other = connect(autocommit=True)
    people.execute("DELETE FROM person WHERE name = 'bob'")

    assert other.execute("SELECT count(*) FROM person").fetchone() == (3,)
    people.commit()
    assert other.execute("SELECT count(*) FROM person").fetchone() == (2,)


@cluster
def test_rollback_undoes_a_transaction(people: Any) -> None:
    people.execute("DELETE FROM person")
    people.execute("CREATE TABLE other (n)")
    people.rollback()

    assert people.execute("SELECT count(*) FROM person").fetchone() == (3,)
    assert people.execute("SELECT name FROM sqlite_master WHERE name = 'other'").fetchall() == []


@cluster
def test_commit_and_rollback_without_a_transaction_do_nothing(people: Any) -> None:
    people.commit()
    people.rollback()

    assert not people.in_transaction


@cluster
def test_errors_are_attributes_of_connections(people: Any) -> None:
    for name in ("Warning", "Error", "InterfaceError", "DatabaseError", "DataError",
                 "OperationalError", "IntegrityError", "InternalError", "ProgrammingError",
                 "NotSupportedError"):  # fmt: skip
        if isinstance(people, dqlite.Connection):
            assert getattr(people, name) is getattr(dqlite, name)


@cluster
def test_autocommit_commits_each_statement(connect: Any, people: Any) -> None:
    other = connect()
    people.autocommit = True
    people.execute("DELETE FROM person WHERE id = 1")

    assert not people.in_transaction
    assert other.execute("SELECT count(*) FROM person").fetchone() == (2,)
    people.autocommit = False
    people.execute("DELETE FROM person WHERE id = 2")
    assert people.in_transaction
    people.rollback()


# Cursor


@cluster
def test_cursor_knows_its_connection(people: Any) -> None:
    cursor = people.cursor()

    inner = cursor.connection
    assert inner is people or inner.core is people.core


@cluster
def test_description_names_the_columns_of_rows_only(people: Any) -> None:
    cursor = people.cursor()
    assert cursor.description is None
    cursor.execute("SELECT id, name AS who, size, NULL AS unknown FROM person")
    described = cursor.description
    cursor.execute("DELETE FROM person")

    assert [column[0] for column in described] == ["id", "who", "size", "unknown"]
    assert [len(column) for column in described] == [7, 7, 7, 7]
    assert described[0][1] == dqlite.NUMBER
    assert described[1][1] == dqlite.STRING
    assert described[2][1] == dqlite.NUMBER
    assert described[3][1] is None
    assert cursor.description is None


@cluster
def test_description_of_no_rows_has_the_names(people: Any) -> None:
    cursor = people.execute("SELECT id, name FROM person WHERE id > 100")

    assert [column[:2] for column in cursor.description] == [("id", None), ("name", None)]
    assert cursor.fetchall() == []


@cluster
def test_rowcount_counts_what_the_last_statement_gave_or_changed(people: Any) -> None:
    cursor = people.cursor()
    counts = [cursor.rowcount]
    for sql in (
        "SELECT * FROM person",
        "UPDATE person SET size = 3 WHERE id < 3",
        "DELETE FROM person WHERE id = 99",
        "CREATE TABLE other (n)",
        "WITH x (n) AS (VALUES (7), (8)) INSERT INTO other SELECT n FROM x",
    ):
        cursor.execute(sql)
        counts.append(cursor.rowcount)

    assert counts == [-1, 3, 2, 0, -1, 2]


@cluster
def test_close_of_a_cursor_ends_it_alone(people: Any) -> None:
    cursor, other = people.cursor(), people.cursor()
    cursor.close()

    for act in (lambda: cursor.execute("SELECT 1"), cursor.fetchone):
        with pytest.raises(dqlite.Error):
            act()
    assert other.execute("SELECT 1").fetchone() == (1,)


@cluster
def test_execute_takes_any_sequence_of_parameters(people: Any) -> None:
    cursor = people.cursor()

    for parameters in ((1, "ann"), [1, "ann"]):
        cursor.execute("SELECT name FROM person WHERE id = ? AND name = ?", parameters)
        assert cursor.fetchall() == [("ann",)]


@cluster
@pytest.mark.parametrize("parameters", [(), (1,), (1, 2, 3), {"a": 1}, "ab", 5])
def test_wrong_parameters_are_refused_before_they_are_sent(people: Any, parameters: Any) -> None:
    with pytest.raises(dqlite.ProgrammingError, match="parameters"):
        people.execute("SELECT ?, ?", parameters)


@cluster
def test_executemany_is_execute_for_each(people: Any) -> None:
    cursor = people.cursor()
    cursor.executemany("UPDATE person SET size = ? WHERE id <= ?", [(1, 1), (2, 2), (3, 3)])

    assert cursor.rowcount == 6
    assert people.execute("SELECT size FROM person").fetchall() == [(3.0,)] * 3
    people.rollback()


@cluster
def test_executemany_takes_no_select(people: Any) -> None:
    with pytest.raises(dqlite.ProgrammingError):
        people.executemany("SELECT ?", [(1,)])


@cluster
def test_executemany_with_autocommit_is_all_or_nothing(connect: Any, people: Any) -> None:
    other = connect(autocommit=True)

    with pytest.raises(dqlite.IntegrityError):
        other.executemany("INSERT INTO person (id) VALUES (?)", [(10,), (11,), (10,)])

    assert not other.in_transaction
    assert other.execute("SELECT count(*) FROM person").fetchone() == (3,)


@cluster
def test_rows_are_fetched_once_and_in_order(people: Any) -> None:
    cursor = people.execute("SELECT id FROM person ORDER BY id")

    assert cursor.rownumber == 0
    assert cursor.fetchone() == (1,)
    assert cursor.rownumber == 1
    assert cursor.fetchmany() == [(2,)]
    assert cursor.fetchmany(5) == [(3,)]
    assert cursor.fetchone() is None
    assert cursor.fetchmany(5) == []
    assert cursor.fetchall() == []


@cluster
def test_arraysize_is_what_fetchmany_fetches(people: Any) -> None:
    cursor = people.execute("SELECT id FROM person")
    assert cursor.arraysize == 1
    cursor.arraysize = 2

    assert cursor.fetchmany() == [(1,), (2,)]


@cluster
@pytest.mark.parametrize("sql", [None, "DELETE FROM person", ""])
def test_nothing_to_fetch_is_an_error(people: Any, sql: str | None) -> None:
    cursor = people.cursor()
    if sql is not None:
        cursor.execute(sql)

    for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall):
        with pytest.raises(dqlite.Error):
            fetch()


@cluster
def test_failed_statement_leaves_no_rows_of_the_one_before(people: Any) -> None:
    cursor = people.execute("SELECT id FROM person")
    with pytest.raises(dqlite.ProgrammingError):
        cursor.execute("SELECT nonsense")

    with pytest.raises(dqlite.Error):
        cursor.fetchall()


@cluster
def test_sizes_of_input_and_output_may_be_set(people: Any) -> None:
    cursor = people.cursor()

    assert cursor.setinputsizes([int, None, 20]) is None
    assert cursor.setoutputsize(100) is None
    assert cursor.setoutputsize(100, 2) is None


@cluster
def test_cursor_is_an_iterator(people: Any) -> None:
    assert list(people.execute("SELECT id FROM person")) == [(1,), (2,), (3,)]


@cluster
def test_lastrowid_is_of_the_last_insert(people: Any) -> None:
    cursor = people.cursor()
    assert cursor.lastrowid is None
    cursor.execute("INSERT INTO person (id) VALUES (77)")
    assert cursor.lastrowid == 77
    cursor.execute("UPDATE person SET size = 0")
    assert cursor.lastrowid is None


@cluster
def test_many_rows_come_whole(people: Any) -> None:
    rows = people.execute(
        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " SELECT i, 'row ' || i FROM n"
    ).fetchall()

    assert rows == [(i, f"row {i}") for i in range(1, 5001)]


# Types


@cluster
@pytest.mark.parametrize(
    "value",
    [
        None, 0, -1, 2**63 - 1, -(2**63), 0.5, -1e300, float("inf"), "", "text", "snö \U0001f600",
        "two\nlines; 'quoted'", b"", b"\0\xff", bytes(10_000), "x" * 100_000,
    ],
)  # fmt: skip
def test_value_comes_back_as_it_was_given(connect: Any, value: Any) -> None:
    (found,) = connect().execute("SELECT ?", (value,)).fetchone()

    assert found == value
    assert type(found) is type(value)


@cluster
@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("BOOLEAN", True),
        ("BOOLEAN", False),
        ("DATE", date(2024, 2, 29)),
        ("DATETIME", WITHOUT_ZONE),
        ("TIMESTAMP", WITHOUT_ZONE.replace(microsecond=120_000)),
        ("DATETIME", MOMENT),
        ("DATETIME", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))),
        ("DATETIME", None),
        ("DATE", None),
        ("DATETIME", "not a time"),
        ("DATETIME", "2024-02-31"),
    ],
)
def test_column_gives_what_it_is_declared_as(connect: Any, declared: str, value: Any) -> None:
    connection = connect()
    connection.execute(f"CREATE TABLE t (v {declared})")
    connection.execute("INSERT INTO t VALUES (?)", (value,))

    (found,) = connection.execute("SELECT v FROM t").fetchone()

    assert found == value
    assert type(found) is type(value)


@cluster
def test_integer_of_a_time_column_is_seconds_since_the_epoch(connect: Any) -> None:
    connection = connect()
    connection.execute("CREATE TABLE t (v DATETIME)")
    connection.execute("INSERT INTO t VALUES (?)", (1_700_000_000,))

    (found,) = connection.execute("SELECT v FROM t").fetchone()

    assert found == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@cluster
def test_null_of_a_boolean_column_is_false_and_of_its_expression_is_none(connect: Any) -> None:
    connection = connect()
    connection.execute("CREATE TABLE t (v BOOLEAN)")
    connection.execute("INSERT INTO t VALUES (NULL)")

    assert connection.execute("SELECT v, +v FROM t").fetchone() == (False, None)


@cluster
def test_time_of_day_is_text(connect: Any) -> None:
    assert connect().execute("SELECT ?", (time(23, 59, 1),)).fetchone() == ("23:59:01",)


@cluster
@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, 1 << 9999, "a\0b", "\ud800", object(), [1], 1j]
)
def test_value_that_no_server_takes_is_a_data_error(connect: Any, value: Any) -> None:
    connection = connect()

    with pytest.raises(dqlite.DataError) as caught:
        connection.execute("SELECT ?", (value,))
    assert len(str(caught.value)) < 200
    assert connection.execute("SELECT 1").fetchone() == (1,)


@cluster
@pytest.mark.parametrize("value", [bytearray(b"ab"), memoryview(b"ab")])
def test_what_holds_bytes_is_a_blob(connect: Any, value: Any) -> None:
    assert connect().execute("SELECT ?", (value,)).fetchone() == (b"ab",)


# Errors


@cluster
@pytest.mark.parametrize(
    ("sql", "kind", "code"),
    [
        ("SELEC 1", dqlite.ProgrammingError, 1),
        ("SELECT * FROM nowhere", dqlite.ProgrammingError, 1),
        ("INSERT INTO nowhere VALUES (1)", dqlite.ProgrammingError, 1),
        ("INSERT INTO person (id) VALUES (1)", dqlite.IntegrityError, 1555),
        ("SELECT 1; SELECT 2", dqlite.ProgrammingError, None),
        ("INSERT INTO person (id) VALUES (9) RETURNING id", dqlite.ProgrammingError, None),
        ("ATTACH 'x' AS y", dqlite.ProgrammingError, None),
        ("PRAGMA journal_mode = DELETE", dqlite.ProgrammingError, None),
    ],
)
def test_error_says_what_kind_it_is(
    people: Any, sql: str, kind: type[dqlite.Error], code: int | None
) -> None:
    with pytest.raises(kind) as caught:
        people.execute(sql)

    error = caught.value
    assert (error.code, error.retryable, error.ambiguous) == (code, False, False)
    people.rollback()
    assert people.execute("SELECT count(*) FROM person").fetchone() == (3,)


@cluster
def test_writer_that_finds_the_lock_taken_is_busy_and_may_try_again(
    connect: Any, people: Any
) -> None:
    other = connect(busy_timeout_s=0.05)
    people.execute("DELETE FROM person")

    with pytest.raises(dqlite.OperationalError) as caught:
        other.execute("DELETE FROM person")
    people.commit()
    other.rollback()
    other.execute("INSERT INTO person (id) VALUES (1)")
    other.commit()

    assert isinstance(caught.value, dqlite.Busy)
    assert caught.value.retryable


# Transactions, as sqlite3 has them


@cluster
def test_with_commits_or_rolls_back_and_leaves_the_connection_open(people: Any) -> None:
    with people:
        people.execute("DELETE FROM person WHERE id = 1")
    with pytest.raises(dqlite.IntegrityError), people:
        people.execute("INSERT INTO person (id) SELECT id + 1 FROM person")

    assert people.execute("SELECT id FROM person").fetchall() == [(2,), (3,)]


@cluster
@pytest.mark.parametrize("autocommit", [False, True])
def test_transaction_is_a_block(connect: Any, people: Any, autocommit: bool) -> None:
    connection = connect(autocommit=autocommit)
    with connection.transaction():
        connection.execute("DELETE FROM person WHERE id = 1")
        assert connection.in_transaction
    with pytest.raises(dqlite.IntegrityError), connection.transaction(dqlite.Begin.IMMEDIATE):
        connection.executescript("DELETE FROM person; INSERT INTO person (id) VALUES (8), (8)")

    assert not connection.in_transaction
    assert people.execute("SELECT id FROM person").fetchall() == [(2,), (3,)]


@cluster
@pytest.mark.parametrize("mode", ["", "DEFERRED", "IMMEDIATE", "exclusive transaction"])
def test_transaction_may_be_begun_and_ended_as_sql(connect: Any, people: Any, mode: str) -> None:
    connection = connect(autocommit=True)
    connection.execute(f"/* now */ BEGIN {mode}")
    connection.execute("DELETE FROM person")
    connection.execute("ROLLBACK")
    connection.execute(f"BEGIN {mode};")
    connection.execute("DELETE FROM person WHERE id = 1")
    connection.execute("END")

    assert not connection.in_transaction
    assert people.execute("SELECT id FROM person").fetchall() == [(2,), (3,)]


@cluster
def test_immediate_transaction_keeps_others_out(connect: Any, people: Any) -> None:
    holder = connect(begin="immediate")
    holder.execute("SELECT 1")
    other = connect(begin="immediate", busy_timeout_s=0)

    with pytest.raises(dqlite.Busy):
        other.execute("SELECT 1")
    holder.commit()
    other.execute("SELECT 1")


@cluster
@pytest.mark.parametrize("sql", ["COMMIT", "ROLLBACK", "SAVEPOINT a"])
def test_end_without_a_transaction_is_an_error_with_autocommit(connect: Any, sql: str) -> None:
    with pytest.raises(dqlite.ProgrammingError):
        connect(autocommit=True).execute(sql)


@cluster
def test_second_transaction_in_one_is_an_error(connect: Any) -> None:
    connection = connect()
    connection.execute("SELECT 1")

    with pytest.raises(dqlite.ProgrammingError):
        connection.execute("BEGIN")


@cluster
def test_savepoint_is_rolled_back_alone(people: Any) -> None:
    people.execute("DELETE FROM person WHERE id = 1")
    people.execute("SAVEPOINT a")
    people.execute("DELETE FROM person")
    people.execute("ROLLBACK TO a")
    people.execute("RELEASE a")
    people.commit()

    assert people.execute("SELECT id FROM person").fetchall() == [(2,), (3,)]


@cluster
def test_script_runs_statement_by_statement(people: Any) -> None:
    people.executescript("""
        -- a trigger is one statement
        CREATE TABLE log (n);
        CREATE TRIGGER logged AFTER DELETE ON person
            BEGIN INSERT INTO log VALUES (old.id); SELECT 1; END;
        DELETE FROM person WHERE id = 2;
        COMMIT;
    """)

    assert people.execute("SELECT n FROM log").fetchall() == [(2,)]
    with pytest.raises(dqlite.ProgrammingError) as caught:
        people.executescript("DELETE FROM person; SELEC")
    assert caught.value.__notes__ == ["in statement 2 of the script: SELEC"]


@cluster
def test_rows_that_a_statement_in_a_transaction_refuses_stay_away(people: Any) -> None:
    people.execute("DELETE FROM person WHERE id = 1")
    with pytest.raises(dqlite.IntegrityError):
        people.execute("INSERT INTO person (id) VALUES (2)")
    people.execute("INSERT INTO person (id) VALUES (4)")
    people.commit()

    assert people.execute("SELECT id FROM person").fetchall() == [(2,), (3,), (4,)]


@cluster
@pytest.mark.parametrize(
    "wrong",
    [
        {"begin": "later"}, {"consistency": "some"}, {"timeout_s": 0}, {"busy_timeout_s": -1},
        {"nonsense": 1}, {"timeout_s": "5"}, {"tokens": "yes"}, {"begin": 1},
        {"cached_statements": -1}, {"cached_statements": True},
    ],
)  # fmt: skip
def test_wrong_setting_is_an_error_of_one_line(connect: Any, wrong: Any) -> None:
    with pytest.raises(dqlite.ProgrammingError) as caught:
        connect(**wrong)

    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


def test_asyncio_twin_has_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    exceptions = {name for name in public(dqlite.Connection) if name[0].isupper()}
    assert public(dqlite.Connection) - exceptions == public(dqlite.aio.Connection)
    assert public(dqlite.Cursor) == public(dqlite.aio.Cursor)
