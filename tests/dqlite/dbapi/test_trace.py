"""The logger `dqlite.trace`: one line for each request, with its time and without parameters."""

import logging
import re
from typing import Any

import pytest

from dqlite import errors

LINE = re.compile(r"(\d+\.\d{3})s request (exec|query|prepared): (.*)")


@pytest.fixture
def trace(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "dqlite.trace")
    return caplog


def lines(trace: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What was asked for, and the rest of each line; all of the logger are of its form."""
    found = [LINE.fullmatch(each.getMessage()) for each in trace.records]
    assert None not in found
    return [(each[2], each[3]) for each in found if each]


def test_each_request_is_a_line_without_its_parameters(opened: Any, trace: Any) -> None:
    connection = opened()
    connection.execute("CREATE TABLE t (word TEXT)")
    connection.execute("INSERT INTO t VALUES (?)", ("secret",))
    connection.execute("SELECT word FROM t")
    connection.commit()

    assert lines(trace) == [
        ("exec", "'BEGIN DEFERRED'"),
        ("exec", "'CREATE TABLE t (word TEXT)'"),
        ("exec", "'INSERT INTO t VALUES (?)'"),
        ("query", "'SELECT word FROM t'"),
        ("exec", "'COMMIT'"),
    ]
    assert {each.name for each in trace.records} == {"dqlite.trace"}
    assert {each.levelno for each in trace.records} == {logging.DEBUG}


def test_line_has_the_seconds_of_the_request(opened: Any, server: Any, trace: Any) -> None:
    def slow(_sql: str) -> None:
        server.now_s += 1.25

    connection = opened(autocommit=True)
    server.after = slow
    connection.execute("CREATE TABLE t (n)")

    assert trace.messages == ["1.250s request exec: 'CREATE TABLE t (n)'"]


def test_request_that_failed_says_how(opened: Any, server: Any, trace: Any) -> None:
    connection = opened(autocommit=True)
    server.after = lambda _sql: errors.ConnectionLost("end of stream")
    with pytest.raises(errors.Indeterminate):
        connection.execute("CREATE TABLE t (n)")

    assert lines(trace) == [("exec", "'CREATE TABLE t (n)' failed: ConnectionLost: end of stream")]


def test_query_that_is_prepared_after_all_is_a_second_line(
    opened: Any, server: Any, trace: Any
) -> None:
    connection = opened(autocommit=True)
    with pytest.raises(errors.StatementError):
        connection.execute("SELECT n FROM missing")

    assert [what for what, _ in lines(trace)] == ["query"]

    connection.execute("CREATE TABLE t (n)")
    failing = [errors.StatementError("not an error", 1)]
    server.before = lambda sql: failing.pop() if failing and sql.startswith("SELECT") else None
    connection.execute("SELECT n FROM t")

    assert [what for what, _ in lines(trace)] == ["query", "exec", "query", "prepared"]


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_nobody_who_reads_no_trace_gets_one(
    opened: Any, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level, "dqlite")
    opened(autocommit=True).execute("SELECT 1")

    assert [each for each in caplog.records if each.name == "dqlite.trace"] == []


@pytest.mark.cluster
def test_both_faces_trace_what_a_real_node_answers(connect: Any, trace: Any) -> None:
    connection = connect(autocommit=True)
    connection.execute("CREATE TABLE t (n)")
    assert connection.execute("SELECT n FROM t").fetchall() == []

    assert lines(trace) == [
        ("exec", "'CREATE TABLE t (n)'"), ("query", "'SELECT n FROM t'")
    ]  # fmt: skip
