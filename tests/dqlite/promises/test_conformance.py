"""
What go-dqlite's own tests ask of its driver, asked of ours, on real nodes of both libraries.

docs/dqlite/conformance.md lists those tests with ours; most of ours stand with what they test.
"""

import asyncio
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime

import pytest

import dqlite
from dqlite import Client, Role, ServerTooOld
from tests.dqlite.interop.tools import at_leader, leader, members, sql, until
from tests.dqlite.promises.cluster import LATENCY_MS, Cluster

pytestmark = pytest.mark.cluster


def transfer(cluster: Cluster) -> str:
    """Give the leadership to another voter; return its address."""
    old = until(lambda: leader(cluster.servers))
    successor = next(
        member
        for member in members(cluster.servers).values()
        if member.address != old and member.role is Role.VOTER
    )

    async def call(client: Client) -> None:
        await client.transfer(successor.id)

    at_leader(cluster.servers, call)
    until(lambda: leader(cluster.servers) == successor.address)
    return successor.address


def test_connection_follows_the_leader_between_transactions(cluster: Cluster) -> None:
    with closing(dqlite.connect(cluster.servers, "demo", timeout_s=20)) as db:
        db.execute("CREATE TABLE moved (n INTEGER)")
        db.execute("INSERT INTO moved VALUES (1)")
        db.commit()
        transfer(cluster)
        db.execute("INSERT INTO moved VALUES (2)")
        db.commit()

        assert db.execute("SELECT n FROM moved ORDER BY n").fetchall() == [(1,), (2,)]


def test_transaction_ends_with_its_leader_and_leaves_nothing(cluster: Cluster) -> None:
    sql(cluster.servers, "CREATE TABLE cut (n INTEGER)")
    db = dqlite.connect(cluster.servers, "demo", timeout_s=20)
    db.execute("INSERT INTO cut VALUES (1)")
    transfer(cluster)
    with pytest.raises(dqlite.Error) as failure:
        db.execute("INSERT INTO cut VALUES (2)")
    assert not failure.value.ambiguous
    db.rollback()

    db.execute("INSERT INTO cut VALUES (3)")
    db.commit()
    assert db.execute("SELECT n FROM cut").fetchall() == [(3,)]
    db.close()


def test_tables_made_in_one_transaction_come_and_go_together(cluster: Cluster) -> None:
    with closing(dqlite.connect(cluster.servers, "demo", timeout_s=20)) as db:
        for end in (db.rollback, db.commit):
            for name in ("ddl_one", "ddl_two"):
                db.execute(f"CREATE TABLE {name} (n INTEGER PRIMARY KEY, s TEXT UNIQUE)")
            db.execute("INSERT INTO ddl_two VALUES (1, 'x')")
            end()

        rows = db.execute("SELECT * FROM ddl_one UNION ALL SELECT * FROM ddl_two").fetchall()
        assert rows == [(1, "x")]
        with pytest.raises(dqlite.IntegrityError) as failure:
            db.execute("INSERT INTO ddl_two VALUES (2, 'x')")
        assert failure.value.code == 2067
        db.rollback()


def test_300_parameters_are_bound_in_four_ways_or_the_server_is_too_old(cluster: Cluster) -> None:
    values = list(range(300))

    async def prepared(client: Client, run: Callable[..., Awaitable[object]], text: str) -> object:
        return await run(await client.prepare(text), values)

    async def main() -> list[object]:
        async with await dqlite.find_leader(cluster.servers, timeout_s=10) as client:
            await client.open("demo")
            select = "SELECT " + ", ".join("?" * 300)
            insert = "INSERT INTO wide VALUES " + ", ".join(["(?)"] * 300)
            await client.exec_sql("CREATE TABLE wide (n INTEGER)")
            for call in (
                lambda: client.query_sql(select, values),
                lambda: client.exec_sql(insert, values),
                lambda: prepared(client, client.query, select),
                lambda: prepared(client, client.exec, insert),
            ):
                try:
                    answers.append(await call())
                except ServerTooOld as error:
                    answers.append(error)
            return list((await client.query_sql("SELECT count(*), max(n) FROM wide")).rows)

    answers: list[object] = []
    rows = asyncio.run(main())

    is_old = cluster.library == "1.11.1"
    assert [isinstance(answer, ServerTooOld) for answer in answers] == [is_old] * 4
    assert rows == [(0, None) if is_old else (600, 299)]


def test_cluster_that_was_stopped_whole_serves_again_with_two_of_three(cluster: Cluster) -> None:
    sql(cluster.servers, "CREATE TABLE back (n INTEGER)")
    sql(cluster.servers, "INSERT INTO back VALUES (1)")
    for node in cluster.nodes:
        assert node.stop() == 0
    two = [
        cluster.programs.node(cluster.library, number, at=node, latency_ms=LATENCY_MS)
        for number, node in enumerate(cluster.nodes[:2], start=1)
    ]
    servers = [node.db for node in two]

    # Who asks at once waits until there is a leader.
    with closing(dqlite.connect(servers, "demo", timeout_s=20)) as db:
        db.execute("INSERT INTO back VALUES (2)")
        db.commit()
    assert sql(servers, "SELECT n FROM back ORDER BY n") == ((1,), (2,))
    third = cluster.programs.node(cluster.library, 3, at=cluster.nodes[2], latency_ms=LATENCY_MS)
    cluster.nodes[:] = [*two, third]


def test_null_of_a_time_column_is_none_although_servers_send_an_empty_text(
    cluster: Cluster,
) -> None:
    when = datetime(2024, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
    with closing(dqlite.connect(cluster.servers, "demo", timeout_s=20)) as db:
        db.execute("CREATE TABLE times (at DATETIME)")
        db.executemany("INSERT INTO times VALUES (?)", [(when,), (None,)])
        db.commit()

        assert db.execute("SELECT at FROM times ORDER BY rowid").fetchall() == [(when,), (None,)]


def test_query_of_what_has_no_columns_has_no_description_and_no_rows(cluster: Cluster) -> None:
    with closing(dqlite.connect(cluster.servers, "demo", timeout_s=20)) as db:
        cursor = db.execute("CREATE TABLE no_columns (n INTEGER)")
        assert cursor.description is None
        with pytest.raises(dqlite.Error):
            cursor.fetchall()
        db.rollback()


def test_mode_of_threads_can_be_set_until_sqlite_is_used(library: None) -> None:
    script = (
        "import dqlite\n"
        "dqlite.config_multi_thread()\n"
        "import sqlite3\n"
        "sqlite3.connect(':memory:').close()\n"
        "dqlite.config_multi_thread()\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("RuntimeError: SQLite is already initialized")
    assert "line 5" in done.stderr


def test_nodes_still_answer_a_client_of_before_1_0(cluster: Cluster) -> None:
    host, _, port = cluster.servers[0].rpartition(":")
    handshake = bytes.fromhex("e53f4360d74d1086")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(handshake + bytes.fromhex("0100000000000000" + "00" * 8))
        answer = connection.makefile("rb")
        words, kind = struct.unpack("<IBxxx", answer.read(8))
        body = answer.read(words * 8)
        answer.close()

    # The address of the leader alone, where a client of today hears its id, too.
    assert kind == 1
    assert body.rstrip(b"\0").decode() in cluster.servers
