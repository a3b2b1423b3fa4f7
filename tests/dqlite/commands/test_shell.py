"""What the shell sends, when it sends it again, and what it says of failures."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import click
import pytest

from dqlite.client.stores import MemoryStore
from dqlite.commands.servers import Cluster
from dqlite.commands.shell import Shell
from dqlite.wire import schema

DONE = schema.Result(0, 0)
NOT_LEADER = schema.Failure(10250, "not leader")


@pytest.fixture
def printed() -> list[str]:
    return []


@pytest.fixture
def shell(scripted: Any, printed: list[str]) -> Iterator[Shell]:
    cluster = Cluster(MemoryStore.of([scripted.address]), timeout_s=5)
    with closing(Shell(cluster, "demo", printed.append)) as running:
        yield running


def failure(shell: Shell, sql: str) -> str:
    with pytest.raises(click.ClickException) as failed:
        shell.run_sql(sql)
    return failed.value.message


def test_statements_are_sent_one_by_one(shell: Shell, scripted: Any, printed: list[str]) -> None:
    scripted.answers = [DONE, schema.Rows(("a",), ((";",),)), DONE]
    shell.run_sql("INSERT INTO t VALUES (';'); SELECT ';' ; DELETE FROM t")

    assert scripted.received == ["INSERT INTO t VALUES (';')", "SELECT ';'", "DELETE FROM t"]
    assert printed == [";"]


def test_first_error_ends_a_script(shell: Shell, scripted: Any) -> None:
    scripted.answers = [DONE, schema.Failure(1, "no such table: t")]

    assert failure(shell, "BEGIN; DELETE FROM t; COMMIT") == "no such table: t (1)"
    assert scripted.received == ["BEGIN", "DELETE FROM t"]


def test_what_a_deposed_leader_refused_goes_to_the_new_one(shell: Shell, scripted: Any) -> None:
    scripted.answers = [NOT_LEADER, DONE]
    shell.run_sql("DELETE FROM t")

    assert scripted.received == ["DELETE FROM t", "DELETE FROM t"]


def test_statement_of_a_transaction_is_not_sent_again(shell: Shell, scripted: Any) -> None:
    scripted.answers = [DONE, NOT_LEADER, DONE]
    shell.run_sql("BEGIN")

    assert failure(shell, "DELETE FROM t").endswith("; the open transaction was rolled back")
    assert not shell.is_in_transaction
    assert scripted.received == ["BEGIN", "DELETE FROM t"]


@pytest.mark.parametrize(
    ("before", "sql", "meaning"),
    [
        ([], "DELETE FROM t", "; the statement may have been applied"),
        ([], "SELECT 1", ""),
        (["BEGIN"], "DELETE FROM t", "; the open transaction was rolled back"),
        (["BEGIN"], "COMMIT", "; the transaction may have been committed"),
    ],
)
def test_lost_answer_is_not_sent_again_and_said_to_be_unknown(
    shell: Shell, scripted: Any, before: list[str], sql: str, meaning: str
) -> None:
    scripted.answers = [*[DONE] * len(before), None, DONE]
    shell.run_sql(";".join(before))
    message = failure(shell, sql)

    assert message.startswith("connection lost: end of stream")
    assert message.removeprefix("connection lost: end of stream") == meaning
    assert scripted.received == [*before, sql]


def test_next_statement_after_a_lost_connection_has_a_new_one(shell: Shell, scripted: Any) -> None:
    scripted.answers = [None, DONE]
    failure(shell, "DELETE FROM t")
    shell.run_sql("DELETE FROM u")

    assert scripted.received == ["DELETE FROM t", "DELETE FROM u"]


def test_interrupt_ends_the_statement_and_not_the_shell(shell: Shell, scripted: Any) -> None:
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()

    assert failure(shell, "DELETE FROM t") == "interrupted; the statement may have been applied"
    scripted.answers = [DONE]
    shell.run_sql("DELETE FROM u")
    assert scripted.received == ["DELETE FROM t", "DELETE FROM u"]


@pytest.mark.parametrize(
    ("script", "is_open"),
    [
        ("BEGIN", True),
        ("BEGIN IMMEDIATE; COMMIT", False),
        ("begin; end transaction", False),
        ("BEGIN; SAVEPOINT a; ROLLBACK TO a", True),
        ("BEGIN; SAVEPOINT a; RELEASE a", True),
        ("SAVEPOINT a; SAVEPOINT b; RELEASE b", True),
        ("SAVEPOINT a; RELEASE SAVEPOINT a", False),
        ("BEGIN; ROLLBACK", False),
    ],
)
def test_shell_knows_whether_a_transaction_is_open(
    shell: Shell, scripted: Any, script: str, is_open: bool
) -> None:
    scripted.answers = [DONE] * 5
    shell.run_sql(script)

    assert shell.is_in_transaction is is_open


def test_connection_that_ended_meanwhile_costs_nothing(shell: Shell, scripted: Any) -> None:
    scripted.answers = [DONE, DONE]
    shell.run_sql("DELETE FROM t")
    shell._client._connection._socket.shutdown(2)  # type: ignore[union-attr]  # as a leader dies
    shell.run_sql("DELETE FROM u")

    assert scripted.received == ["DELETE FROM t", "DELETE FROM u"]
