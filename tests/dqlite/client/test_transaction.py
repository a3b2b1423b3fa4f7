"""What a transaction makes of errors before, at and after its COMMIT."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dqlite import errors
from dqlite.client.client import Client
from dqlite.client.leader import find_leader
from dqlite.client.transaction import Begin, transaction
from dqlite.wire import schema
from dqlite.wire.schema import Failure, Request, Response

Answer = Callable[[Request], Response | bytes | None]


def answering(**by_word: Response | None) -> Answer:
    """A node that answers a statement by its first word: None closes, no entry succeeds."""

    def answer(request: Request) -> Response | None:
        if isinstance(request, schema.ExecSql):
            return by_word.get(request.sql.split()[0], schema.Result(0, 0))
        return schema.Database(0)

    return answer


def run(servers: Any, error: Exception | None = None) -> tuple[bool, list[str]]:
    """Run one transaction; return whether the connection survived, and the statements sent."""

    async def main() -> bool:
        async with await Client.connect("a", dial=servers.dial, timeout_s=5) as client:
            await client.open("test")
            try:
                async with transaction(client):
                    await client.exec_sql("INSERT INTO t VALUES (1)")
                    if error is not None:
                        raise error
            except errors.DqliteError as raised:
                outcomes.append(raised)
            except ValueError as raised:
                outcomes.append(raised)
            return client.is_open

    outcomes: list[Exception] = []
    survived = asyncio.run(main())
    statements = [each.sql for _, each in servers.received if isinstance(each, schema.ExecSql)]
    return survived, [*(type(each).__name__ for each in outcomes), *statements]


BODY = ["BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)"]


@pytest.mark.parametrize(
    ("by_word", "error", "survives", "words"),
    [
        ({}, None, True, [*BODY, "COMMIT"]),
        ({}, ValueError("mine"), True, ["ValueError", *BODY, "ROLLBACK"]),
        ({"BEGIN": Failure(5, "locked")}, None, True, ["Busy", BODY[0]]),
        ({"BEGIN": None}, None, False, ["Abandoned", BODY[0]]),
        ({"INSERT": None}, None, False, ["Abandoned", *BODY]),
        ({"INSERT": Failure(10506, "lost")}, None, False, ["Abandoned", *BODY]),
        (
            {"INSERT": Failure(2067, "unique")}, None, True,
            ["ConstraintViolation", *BODY, "ROLLBACK"],
        ),
        (
            {"INSERT": Failure(10250, "not leader"), "ROLLBACK": Failure(10250, "not leader")},
            None, False, ["NotLeader", *BODY, "ROLLBACK"],
        ),
        ({"COMMIT": Failure(5, "checkpoint")}, None, True, ["Busy", *BODY, "COMMIT", "ROLLBACK"]),
        ({"COMMIT": Failure(10506, "lost")}, None, False, ["LeadershipLost", *BODY, "COMMIT"]),
        ({"COMMIT": None}, None, False, ["ConnectionLost", *BODY, "COMMIT"]),
    ],
)  # fmt: skip
def test_only_commit_is_ambiguous(
    peers: Any, by_word: Any, error: Exception | None, survives: bool, words: list[str]
) -> None:
    assert run(peers({"a": answering(**by_word)}), error) == (survives, words)


def test_cancelled_body_closes_the_connection(peers: Any) -> None:
    async def main() -> None:
        client = await Client.connect("a", dial=peers({"a": answering()}).dial, timeout_s=5)
        await client.open("test")
        with pytest.raises(asyncio.CancelledError):
            async with transaction(client):
                raise asyncio.CancelledError

        assert not client.is_open

    asyncio.run(main())


@pytest.mark.cluster
def test_transaction_commits_or_leaves_nothing(program: Any) -> None:
    program.start(1)

    async def main() -> None:
        async with await find_leader([program.addresses[1]], timeout_s=2, deadline_s=10) as client:
            await client.open("test")
            await client.exec_sql("CREATE TABLE t (n INTEGER UNIQUE)")
            async with transaction(client, Begin.DEFERRED):
                await client.exec_sql("INSERT INTO t VALUES (1)")
            with pytest.raises(errors.ConstraintViolation):
                await insert_two_and_one(client)

            assert (await client.query_sql("SELECT n FROM t")).rows == ((1,),)

    async def insert_two_and_one(client: Client) -> None:
        async with transaction(client):
            await client.exec_sql("INSERT INTO t VALUES (2)")
            await client.exec_sql("INSERT INTO t VALUES (1)")

    asyncio.run(main())
