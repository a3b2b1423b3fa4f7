"""What a client sends, refuses to send, and makes of the answers; then the same on a real node."""

import asyncio
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqlite import errors
from dqlite.client.client import Client
from dqlite.client.connection import Dial
from dqlite.client.leader import find_leader
from dqlite.wire import codec, schema
from dqlite.wire.schema import Member, Request, Response, Role
from dqlite.wire.session import Session


def server(request: Request) -> Response:
    """A node that agrees to everything."""
    answers: dict[type, Response] = {
        schema.Open: schema.Database(0),
        schema.Prepare: schema.Statement(0, 0, 2),
        schema.Exec: schema.Result(1, 1),
        schema.ExecSql: schema.Result(1, 1),
        schema.QuerySql: schema.Rows(("n",), ((1,),)),
        schema.Leader: schema.LeaderNode(0, ""),
    }
    return answers.get(type(request), schema.Empty())


def failing(code: int) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return server(request) if isinstance(request, schema.Open) else schema.Failure(code, "x")

    return answer


async def opened(dial: Dial) -> Client:
    client = await Client.connect("a", dial=dial, timeout_s=5)
    await client.open("test")
    return client


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.exec_sql("INSERT INTO t VALUES (1) RETURNING a"),
        lambda client: client.exec_sql("SELECT 1; ATTACH 'x' AS y"),
        lambda client: client.exec_sql("INSERT INTO t VALUES (?); DELETE FROM t", (1,)),
        lambda client: client.query_sql("PRAGMA journal_mode=delete"),
        lambda client: client.query_sql("SELECT 1; SELECT 2"),
        lambda client: client.prepare("SELECT 1; SELECT 2"),
        lambda client: client.exec(schema.Statement(0, 0, 2), (1,)),
        lambda client: client.query(schema.Statement(0, 0, 2), (1, 2, 3)),
        lambda client: client.open(":memory:"),
        lambda client: client.open(""),
        lambda client: client.dump("a/b"),
        lambda client: client.assign(1, 3),
    ],
)
def test_dangerous_request_is_refused_before_it_is_sent(peers: Any, call: Any) -> None:
    async def main() -> None:
        servers = peers({"a": server})
        async with await opened(servers.dial) as client:
            with pytest.raises(errors.Refused):
                await call(client)

            assert client.is_open
            assert servers.received == [("a", schema.Open("test"))]

    asyncio.run(main())


def test_sql_before_open_is_refused(peers: Any) -> None:
    async def main() -> None:
        async with await Client.connect("a", dial=peers({"a": server}).dial, timeout_s=5) as client:
            with pytest.raises(errors.Refused, match="open"):
                await client.exec_sql("SELECT 1")

    asyncio.run(main())


def test_more_than_255_parameters_use_schema_1(peers: Any) -> None:
    async def main() -> None:
        servers = peers({"a": server})
        async with await opened(servers.dial) as client:
            await client.exec_sql("x", (1,) * 255)
            await client.exec_sql("x", (1,) * 256)

        assert [request.schema for _, request in servers.received[1:]] == [0, 1]

    asyncio.run(main())


def test_unknown_leader_is_none(peers: Any) -> None:
    async def main() -> None:
        async with await opened(peers({"a": server}).dial) as client:
            assert await client.leader() is None

    asyncio.run(main())


def test_failed_script_is_indeterminate_and_failed_statement_is_not(peers: Any) -> None:
    async def main() -> None:
        async with await opened(peers({"a": failing(1)}).dial) as client:
            with pytest.raises(errors.StatementError):
                await client.exec_sql("INSERT INTO t VALUES (1)")
            with pytest.raises(errors.Indeterminate):
                await client.exec_sql("INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)")

    asyncio.run(main())


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.add(2, "b"),
        lambda client: client.assign(2, Role.VOTER),
        lambda client: client.remove(2),
        lambda client: client.transfer(2),
    ],
)
def test_code_one_on_administration_is_indeterminate(peers: Any, call: Any) -> None:
    async def main() -> None:
        async with await opened(peers({"a": failing(1)}).dial) as client:
            with pytest.raises(errors.Indeterminate):
                await call(client)

    asyncio.run(main())


@pytest.mark.cluster
def test_one_node_runs_sql_and_dumps_what_sqlite_can_open(program: Any, tmp_path: Path) -> None:
    program.start(1)
    address = program.addresses[1]

    async def main() -> None:
        async with await find_leader([address], timeout_s=2, deadline_s=10) as client:
            assert await client.cluster() == (Member(1, address, Role.VOTER),)
            await client.weight(7)
            assert await client.describe() == schema.Metadata(0, 7)
            await client.open("test")
            await sql(client)
            files = await client.dump("test")
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)

    asyncio.run(main())
    with sqlite3.connect(tmp_path / "test") as database:
        rows = database.execute("SELECT id, name FROM t ORDER BY id").fetchall()
        integrity = database.execute("PRAGMA integrity_check").fetchone()
    database.close()

    assert rows == [(1, "one"), (2, None), (3, "drei"), (4, "\N{SNOWMAN}")]
    assert integrity == ("ok",)


async def sql(client: Client) -> None:
    """Statements in each form that a client has, and the failures of each kind."""
    await client.exec_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    inserted = await client.exec_sql("INSERT INTO t VALUES (?, ?)", (1, "one"))
    assert inserted == schema.Result(1, 1)
    await client.exec_sql("INSERT INTO t VALUES (2, NULL); INSERT INTO t VALUES (3, 'three')")
    insert = await client.prepare("INSERT INTO t VALUES (?, ?)")
    select = await client.prepare("SELECT name FROM t WHERE id = ?")
    assert (insert.parameter_count, select.id) == (2, 1)
    assert await client.exec(insert, (4, "\N{SNOWMAN}")) == schema.Result(4, 1)
    assert (await client.query(select, (4,))).rows == (("\N{SNOWMAN}",),)
    assert (await client.query(select, (5,))).rows == ()
    await client.finalize(insert)
    assert (await client.prepare("UPDATE t SET name = ? WHERE id = ?")).id == insert.id
    await client.exec_sql("BEGIN")
    await client.exec_sql("UPDATE t SET name = 'drei' WHERE id = 3")
    await client.exec_sql("COMMIT")
    with pytest.raises(errors.ConstraintViolation):
        await client.exec_sql("INSERT INTO t VALUES (5, 'one')")
    with pytest.raises(errors.StatementError):
        await client.query_sql("SELECT nothing FROM nowhere")
    with pytest.raises(errors.StatementError) as overflow:
        await client.query_sql("SELECT 7 AS seven UNION ALL SELECT abs(-9223372036854775808)")
    assert (overflow.value.code, overflow.value.message) == (1, "integer overflow")
    with pytest.raises(errors.HandleLost):
        await client.finalize(schema.Statement(0, 99, 0))
    await client.interrupt()


def test_added_node_gets_its_role(peers: Any) -> None:
    async def main() -> None:
        servers = peers({"a": server})
        async with await Client.connect("a", dial=servers.dial, timeout_s=5) as client:
            await client.add(2, "b:1")
            await client.add(3, "c:1", Role.STANDBY)
            with pytest.raises(errors.Refused):
                await client.add(4, "d:1", 3)  # type: ignore[arg-type]  # the refusal

        assert [request for _, request in servers.received] == [
            schema.Add(2, "b:1"),
            schema.Add(3, "c:1"),
            schema.Assign(3, Role.STANDBY),
        ]

    asyncio.run(main())


def test_busy_administration_is_asked_again_within_the_deadline(peers: Any) -> None:
    answers = iter([schema.Failure(5, "a configuration change is already in progress")] * 2)

    async def main() -> None:
        servers = peers({"a": lambda _: next(answers, schema.Empty())})
        async with await Client.connect("a", dial=servers.dial, timeout_s=5) as client:
            await client.remove(2)
        assert servers.received == [("a", schema.Remove(2))] * 3
        busy = peers({"a": failing(5)})
        async with await Client.connect("a", dial=busy.dial, timeout_s=0.01) as client:
            with pytest.raises(errors.Busy):
                await client.remove(2)

    asyncio.run(main())


@pytest.mark.cluster
def test_real_node_still_answers_the_handshake_of_before_1_0(program: Any) -> None:
    program.start(1)
    host, port = program.addresses[1].split(":")
    session = Session(codec.LEGACY_HANDSHAKE)
    with socket.create_connection((host, int(port)), timeout=10) as end:
        answer = None
        while answer != schema.LeaderAddress(program.addresses[1]):
            end.sendall(session.send(schema.Leader()))
            answer = session.receive(end.recv(4096))


@pytest.mark.cluster
def test_result_of_several_parts_arrives_whole(program: Any) -> None:
    program.start(1)

    async def main() -> None:
        async with await find_leader([program.addresses[1]], timeout_s=2, deadline_s=10) as client:
            await client.open("test")
            numbers = await client.query_sql(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
                " SELECT i, 'row ' || i FROM n"
            )

        assert numbers.columns == ("i", "'row ' || i")
        assert numbers.rows == tuple((i, f"row {i}") for i in range(1, 5001))

    asyncio.run(main())


@pytest.mark.cluster
def test_second_writer_is_busy_and_a_dropped_transaction_is_gone(program: Any) -> None:
    program.start(1)
    address = program.addresses[1]

    async def main() -> None:
        async with (
            await find_leader([address], timeout_s=2, deadline_s=10) as holder,
            await Client.connect(address, timeout_s=2) as other,
        ):
            await holder.open("test")
            await other.open("test")
            await holder.exec_sql("CREATE TABLE t (n INTEGER)")
            await holder.exec_sql("BEGIN IMMEDIATE")
            await holder.exec_sql("INSERT INTO t VALUES (1)")
            with pytest.raises(errors.Busy):
                await other.exec_sql("INSERT INTO t VALUES (2)")
            holder.close()
            assert (await other.query_sql("SELECT n FROM t")).rows == ()

    asyncio.run(main())
