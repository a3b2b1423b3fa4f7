"""Transactions of dqlite among scripted nodes: what an error means, by where it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, cast

import pytest

import dqlite
from dissever.harness.client import Completion, Invocation
from dissever.harness.history import Type
from dissever.harness.plan import Options
from dissever.systems.dqlite import stores
from dissever.systems.dqlite.cluster import HostsCluster
from dissever.systems.dqlite.database import TICK
from dissever.systems.dqlite.deployment import DqliteDeployment
from dissever.systems.dqlite.hosts import ProcessHosts
from dissever.systems.dqlite.members import DqliteMembers
from dissever.workloads.transactions import Reading, TransactionClient
from dqlite.wire import schema
from dqlite.wire.schema import Failure, Request, Response
from tests.systems.test_dqlite_scripted import NODES, ScriptedCluster, believing, everyone

TRANSACTION = Invocation("txn", [["r", 1, None], ["append", 1, 7]])

Said: TypeAlias = Response | None


def outcome_of(
    directory: Path,
    answers: Callable[[str], Said],
    *,
    times: int = 1,
    invocation: Invocation = TRANSACTION,
    **options: Any,
) -> tuple[list[Completion | dqlite.DqliteError], list[str]]:
    """
    How transactions end when statements are answered so, one after another by one client, and which
    statements were asked for.
    """

    def answer(_node: str, request: Request) -> Said:
        assert isinstance(request, schema.ExecSql | schema.QuerySql)
        return answers(request.sql)

    async def main() -> tuple[list[Completion | dqlite.DqliteError], list[str]]:
        for node in NODES:
            (directory / node).mkdir(exist_ok=True)
        cluster = ScriptedCluster(directory, believing(everyone("n2"), answer))
        asked = Options(system="dqlite", workload="append", nodes=NODES, system_options=options)
        hosts = ProcessHosts(cast("HostsCluster", cluster), asked)
        nodes = DqliteDeployment(hosts, asked, Random(1), DqliteMembers)
        ends: list[Completion | dqlite.DqliteError] = []
        client = TransactionClient(await nodes.open_store("transactions", "n1"), Reading.LISTS)
        for _ in range(times):
            try:
                ends.append(await client.invoke(invocation))
            except dqlite.DqliteError as error:
                ends.append(error)
        await client.close()
        await asyncio.sleep(0)
        return ends, [sql for _, sql in cluster.statements()]

    return asyncio.run(main())


def good(sql: str) -> Response:
    return (
        schema.Rows(("value",), ((5,), (6,))) if sql.startswith("SELECT") else schema.Result(0, 1)
    )


def failing(prefix: str, said: Said) -> Callable[[str], Said]:
    """All is well, except what begins so."""
    return lambda sql: said if sql.startswith(prefix) else good(sql)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "BUSY_WAIT_S", (0.0, 0.0))


def kinds(statements: list[str]) -> list[str]:
    return [sql.partition(" ")[0] for sql in statements]


@pytest.mark.parametrize("begin", ["deferred", "immediate"])
def test_transaction_is_begun_as_the_option_says(tmp_path: Path, begin: str) -> None:
    (end,), asked = outcome_of(tmp_path, good, begin=begin, consistency="leader")

    assert isinstance(end, Completion)
    assert (end.type, end.value) == (Type.OK, [["r", 1, [5, 6]], ["append", 1, 7]])
    assert asked[0] == f"BEGIN {begin.upper()}"
    assert kinds(asked) == ["BEGIN", "SELECT", "INSERT", "COMMIT"]


READ = Invocation("txn", [["r", 1, None], ["r", 2, None]])


def test_transaction_that_only_reads_proves_that_the_leader_still_leads(tmp_path: Path) -> None:
    _, asked = outcome_of(tmp_path, good, invocation=READ, consistency="quorum")

    assert asked[-1] == TICK
    assert kinds(asked[:-1]) == ["BEGIN", "SELECT", "SELECT", "COMMIT"]


def test_transaction_that_only_reads_of_a_leader_proves_nothing(tmp_path: Path) -> None:
    _, asked = outcome_of(tmp_path, good, invocation=READ, consistency="leader")

    assert kinds(asked) == ["BEGIN", "SELECT", "SELECT", "COMMIT"]


@pytest.mark.parametrize("where", ["COMMIT", "UPDATE tick"])
@pytest.mark.parametrize("said", [Failure(10506, "lost"), Failure(5, "busy"), None])
def test_transaction_that_only_reads_has_no_effect_whatever_its_commit_says(
    tmp_path: Path, where: str, said: Said
) -> None:
    (end,), _ = outcome_of(tmp_path, failing(where, said), invocation=READ)

    assert isinstance(end, Completion)
    assert end.type is Type.FAIL


def test_transaction_that_writes_is_proved_by_its_own_commit(tmp_path: Path) -> None:
    _, asked = outcome_of(tmp_path, good, consistency="quorum")

    assert kinds(asked) == ["BEGIN", "SELECT", "INSERT", "COMMIT"]


@pytest.mark.parametrize("where", ["BEGIN", "SELECT", "INSERT"])
@pytest.mark.parametrize(
    "said", [Failure(10506, "lost"), Failure(10250, "not leader"), Failure(9999, "?"), None]
)
def test_error_before_commit_is_not_applied_and_ends_the_connection(
    tmp_path: Path, where: str, said: Said
) -> None:
    """The server drops the transaction with the connection, so nothing more is said."""
    (end,), asked = outcome_of(tmp_path, failing(where, said))

    assert isinstance(end, Completion)
    assert end.type is Type.FAIL
    assert asked[-1].startswith(where)


@pytest.mark.parametrize("code", [10506, 8458, 778, 10, 9, 7, 4, 9999])
def test_error_of_commit_that_may_have_been_applied_is_unknown(tmp_path: Path, code: int) -> None:
    (end,), asked = outcome_of(tmp_path, failing("COMMIT", Failure(code, "x")))

    assert isinstance(end, dqlite.Indeterminate)
    assert kinds(asked)[-1] == "COMMIT"


def test_lost_answer_of_commit_is_unknown(tmp_path: Path) -> None:
    (end,), asked = outcome_of(tmp_path, failing("COMMIT", None))

    assert isinstance(end, dqlite.Indeterminate)
    assert kinds(asked).count("COMMIT") == 1


def test_commit_without_a_transaction_is_unknown(tmp_path: Path) -> None:
    """Statements of a transaction that the server ended were committed one by one."""
    said = Failure(1, "cannot commit - no transaction is active")
    (end,), _ = outcome_of(tmp_path, failing("COMMIT", said))

    assert isinstance(end, dqlite.Indeterminate)


def test_commit_that_the_leader_refuses_is_not_applied(tmp_path: Path) -> None:
    (end,), asked = outcome_of(tmp_path, failing("COMMIT", Failure(10250, "not leader")))

    assert isinstance(end, Completion)
    assert (end.type, kinds(asked)[-1]) == (Type.FAIL, "COMMIT")


def test_busy_commit_is_not_applied_after_a_rollback(tmp_path: Path) -> None:
    (end,), asked = outcome_of(tmp_path, failing("COMMIT", Failure(5, "checkpoint in progress")))

    assert isinstance(end, Completion)
    assert end.type is Type.FAIL
    assert kinds(asked)[-2:] == ["COMMIT", "ROLLBACK"]


def test_read_that_is_too_old_to_write_is_rolled_back_at_once(tmp_path: Path) -> None:
    (end,), asked = outcome_of(tmp_path, failing("INSERT", Failure(517, "database is locked")))

    assert isinstance(end, Completion)
    assert (end.type, end.error[0]) == (Type.FAIL, 517)
    assert kinds(asked)[-2:] == ["INSERT", "ROLLBACK"]
    assert kinds(asked).count("INSERT") == 1


def test_write_lock_is_waited_for_and_in_the_end_given_up(tmp_path: Path) -> None:
    (end,), asked = outcome_of(tmp_path, failing("INSERT", Failure(5, "database is locked")))

    assert isinstance(end, Completion)
    assert (end.type, end.error[0]) == (Type.FAIL, 5)
    assert kinds(asked).count("INSERT") == stores.BUSY_TRIES
    assert kinds(asked)[-1] == "ROLLBACK"


def test_lock_that_never_came_leaves_nothing_to_roll_back(tmp_path: Path) -> None:
    (end,), asked = outcome_of(
        tmp_path, failing("BEGIN", Failure(5, "database is locked")), begin="immediate"
    )

    assert isinstance(end, Completion)
    assert end.type is Type.FAIL
    assert "ROLLBACK" not in kinds(asked)


def test_rollback_that_fails_ends_the_connection_and_the_next_transaction_has_a_new_one(
    tmp_path: Path,
) -> None:
    answers = iter([Failure(517, "too old"), Failure(1, "no transaction is active")])

    def said(sql: str) -> Said:
        return next(answers, good(sql)) if sql.startswith(("INSERT", "ROLLBACK")) else good(sql)

    ends, asked = outcome_of(tmp_path, said, times=2)

    assert [end.type for end in ends if isinstance(end, Completion)] == [Type.FAIL, Type.OK]
    assert kinds(asked).count("BEGIN") == 2


def test_statements_after_the_connection_was_lost_go_nowhere(tmp_path: Path) -> None:
    """On a new connection they would commit by themselves."""
    two = Invocation("txn", [["append", 1, 7], ["append", 1, 8], ["append", 2, 1]])
    (end,), asked = outcome_of(tmp_path, failing("INSERT", None), invocation=two)

    assert isinstance(end, Completion)
    assert end.type is Type.FAIL
    assert kinds(asked).count("INSERT") == 1
