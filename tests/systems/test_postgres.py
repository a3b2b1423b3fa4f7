"""PostgreSQL: what it needs, what its errors mean, and a run of the real one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dissever.harness.client import NotApplied
from dissever.harness.cluster import trial
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.running import run
from dissever.systems import postgres
from dissever.systems.postgres import Postgres, PostgresClient

psycopg = pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")


class Scripted:
    """A connection that raises or says what it is given for a statement that begins with a word."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.closed = False
        self.asked: list[str] = []

    def execute(self, sql: str, values: Any = None) -> Any:
        word = sql.split()[0]
        self.asked.append(sql)
        answer = self._answers.get(word, word)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(statusmessage=answer, rowcount=1, fetchone=lambda: ([5, 7],))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def client(monkeypatch):
    def make(**answers: Any) -> tuple[PostgresClient, Scripted]:
        connection = Scripted(**answers)
        monkeypatch.setattr(psycopg, "connect", lambda *_, **__: connection)
        endpoint: Any = SimpleNamespace(
            host="here", port=1, options={"isolation": "repeatable-read"}
        )
        return PostgresClient(endpoint), connection

    return make


def test_transaction_begins_at_the_level_of_the_run(client) -> None:
    made, connection = client()
    made.begin()
    made.append(3, 4)
    made.commit()

    begin, append, commit = connection.asked
    assert (begin, commit) == ("BEGIN ISOLATION LEVEL repeatable read", "COMMIT")
    assert append.startswith("INSERT INTO list")


def test_update_answers_the_trail_before_it(client) -> None:
    made, _ = client()

    assert made.update(0, 1, 7) == [5]


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.SerializationFailure("could not serialize access"),
        psycopg.errors.DeadlockDetected("deadlock detected"),
    ],
)
def test_commit_that_is_refused_is_not_applied(client, error) -> None:
    made, _ = client(COMMIT=error)
    made.begin()
    with pytest.raises(NotApplied):
        made.commit()


def test_what_goes_wrong_before_the_commit_is_not_applied(client) -> None:
    made, _ = client(SELECT=psycopg.OperationalError("the connection was lost"))
    made.begin()
    with pytest.raises(NotApplied, match="the connection was lost"):
        made.read_list(3)


def test_commit_whose_answer_was_lost_is_in_doubt(client) -> None:
    made, _ = client(COMMIT=psycopg.OperationalError("the connection was lost"))
    made.begin()
    with pytest.raises(psycopg.OperationalError):
        made.commit()


def test_commit_that_says_rollback_is_not_applied(client) -> None:
    made, _ = client(COMMIT="ROLLBACK")
    made.begin()
    with pytest.raises(NotApplied, match="rolled back instead"):
        made.commit()


def test_write_without_a_transaction_whose_answer_was_lost_is_in_doubt(client) -> None:
    made, _ = client(INSERT=psycopg.OperationalError("the connection was lost"))
    with pytest.raises(psycopg.OperationalError):
        made.write(3, 4)


def test_client_that_cannot_connect_has_asked_nothing(client, monkeypatch) -> None:
    made, _ = client()

    def refuse(*_: Any, **__: Any) -> None:
        raise psycopg.OperationalError("the server is starting up")

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(NotApplied, match="starting up"):
        made.write(3, 4)


def test_it_is_one_server() -> None:
    options = Options(system="postgres", workload="append")

    with pytest.raises(ValueError, match="expected one node for postgres, got 5"):
        Postgres().check(options)
    assert Postgres().default_nodes() == ("n1",)


def test_what_is_missing_is_named(monkeypatch) -> None:
    monkeypatch.setattr(postgres, "program", lambda _: None)
    missing = Postgres().probe()

    assert missing is not None
    assert missing.remedy == "apt-get install postgresql"


@pytest.mark.cluster
def test_data_survive_a_kill(tmp_path: Path) -> None:
    if (missing := Postgres().probe() or trial.probe()) is not None:
        pytest.skip(str(missing))
    script = '{"budget": 1, "faults": [{"fault": "kill:all", "at": 0.8, "for": 0.5}]}'
    options = Options(
        system="postgres",
        workload="append",
        nodes=("n1",),
        rate=100,
        time_limit_s=2.5,
        concurrency=4,
        seed=1,
        script=script,
        system_options={"isolation": "serializable"},
        workload_options={"consistency-model": "strict-serializable"},
    )
    results = run(options, runs=tmp_path).judged.results
    by_name = {result.checker: result for result in results.results}

    assert by_name["transactions"].verdict is Verdict.VALID
    assert by_name["faults"].verdict is Verdict.VALID
