"""
What dqlite's and go-dqlite's documentation promises, on real nodes of both libraries.

docs/dqlite/conformance.md lists the promises with the tests here.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.plan import Options
from dissever.systems.dqlite.system import DqliteSystem
from dqlite import Client, DqliteError, Indeterminate, NotApplied, NotLeader
from tests.dqlite.interop.tools import Programs, Running, at_leader, dump, leader, sql, until
from tests.dqlite.promises.cluster import LATENCY_MS, Cluster, founded


def at(node: Running, call: Callable[[Client], Awaitable[object]], timeout_s: float = 5) -> None:
    """Await what `call` returns for a client of one node, whatever its role."""

    async def main() -> None:
        async with await Client.connect(node.db, timeout_s=timeout_s) as client:
            await call(client)

    asyncio.run(main())


@pytest.mark.cluster
def test_write_at_a_node_that_does_not_lead_is_refused_and_never_applied(cluster: Cluster) -> None:
    sql(cluster.servers, "CREATE TABLE refused (n INTEGER)")
    leading = leader(cluster.servers)

    async def insert(client: Client) -> None:
        await client.open("demo")
        await client.exec_sql("INSERT INTO refused VALUES (7)")

    for node in cluster.nodes:
        if node.db != leading:
            with pytest.raises(NotLeader) as refusal:
                at(node, insert)
            assert (refusal.value.code, refusal.value.ambiguous) == (10250, False)

    sql(cluster.servers, "INSERT INTO refused VALUES (1)")
    assert sql(cluster.servers, "SELECT n FROM refused") == ((1,),)
    for address in cluster.servers:
        until(lambda address=address: b'"refused" VALUES(1)' in dump(address))  # type: ignore[misc]
        assert b'"refused" VALUES(7)' not in dump(address)


@pytest.mark.cluster
def test_what_is_not_deterministic_is_the_same_on_every_replica(cluster: Cluster) -> None:
    sql(cluster.servers, "CREATE TABLE r (a, b, c, d)")
    for _ in range(3):
        sql(
            cluster.servers,
            "INSERT INTO r VALUES (random(), hex(randomblob(8)), datetime('now'),"
            " strftime('%f', 'now'))",
        )
    sql(cluster.servers, "UPDATE r SET a = abs(random() % 1000000) WHERE rowid > 1")

    rows = sql(cluster.servers, "SELECT * FROM r")
    assert len({row[1] for row in rows}) == 3
    until(lambda: len({dump(address) for address in cluster.servers}) == 1)
    assert all(str(row[1]).encode() in dump(cluster.servers[-1]) for row in rows)


@pytest.mark.cluster
def test_write_without_a_quorum_ends_in_time_and_is_never_acknowledged(cluster: Cluster) -> None:
    sql(cluster.servers, "CREATE TABLE lonely (n INTEGER)")
    leading = leader(cluster.servers)
    outcomes: list[DqliteError] = []

    async def write(client: Client) -> None:
        await client.open("demo")
        for node in cluster.nodes:
            if node.db != leading:
                node.kill()
        # Either the client's time is over, or the leader has stepped down before.
        with pytest.raises((Indeterminate, NotApplied)) as failure:
            await client.exec_sql("INSERT INTO lonely VALUES (7)")
        outcomes.append(failure.value)

    at(next(node for node in cluster.nodes if node.db == leading), write, timeout_s=3)
    cluster.nodes[:] = [
        node
        if node.db == leading
        else cluster.programs.node(cluster.library, number, at=node, latency_ms=LATENCY_MS)
        for number, node in enumerate(cluster.nodes, start=1)
    ]

    # What was not acknowledged is there once, or not at all; what was refused is not there.
    ((count,),) = until(lambda: sql(cluster.servers, "SELECT count(*) FROM lonely"))
    assert count in ((0, 1) if outcomes[0].ambiguous else (0,))


@pytest.mark.cluster
def test_cluster_is_upgraded_node_by_node_and_keeps_what_it_acknowledged(
    programs: Programs,
) -> None:
    # Snapshots are taken all the time, so that each library reads those of the other.
    options = ("--snapshot-threshold", "8", "--snapshot-trailing", "8")
    nodes = founded(programs, "1.11.1", *options)
    servers = [node.db for node in nodes]
    sql(servers, "CREATE TABLE t (n INTEGER)")
    acknowledged, errors = [], []

    async def insert(client: Client) -> None:
        await client.open("demo")
        for number in range(len(acknowledged), len(acknowledged) + 20):
            await client.exec_sql("INSERT INTO t VALUES (?)", [number])
            acknowledged.append((number,))

    for upgraded in range(len(nodes) + 1):
        until(lambda: leader(servers))
        try:  # No write is repeated. One that fails does not count.
            at_leader(servers, insert)
        except DqliteError as error:
            errors.append(error)
        if upgraded < len(nodes):
            assert nodes[upgraded].stop() == 0
            assert any(nodes[upgraded].directory.glob("snapshot-*"))
            nodes[upgraded] = programs.node(
                "1.18.7", upgraded + 1, *options, at=nodes[upgraded], latency_ms=LATENCY_MS
            )

    until(lambda: leader(servers))
    assert {*acknowledged} <= {*sql(servers, "SELECT n FROM t")}
    assert len(acknowledged) >= 40
    assert all(error.ambiguous or isinstance(error, NotApplied) for error in errors)
    until(lambda: len({dump(address) for address in servers}) == 1)


@pytest.mark.parametrize(("consistency", "verdict"), [("leader", "invalid"), ("quorum", "valid")])
def test_reads_of_a_deposed_leader_are_stale_unless_they_need_a_quorum(
    consistency: str, verdict: str, tmp_path: Path
) -> None:
    options = Options(system="dqlite", workload="register", backend=SIMULATED)
    missing = DqliteSystem().probe(options)
    if missing is not None:
        pytest.skip(f"dqlite cannot be simulated here: {missing.reason}; {missing.remedy}")

    done = subprocess.run(
        [
            *(sys.executable, "-m", "dissever", "test", "dqlite", "--backend", "simulated"),
            *("-w", "register", "--consistency", consistency, "-f", "deposed-leader", "-n", "3"),
            *("-t", "4", "--rate", "30", "--fault-interval", "2", "--seed", "1"),
            *("--json", "-q", "--no-config", "--runs", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    (run,) = json.loads(done.stdout)["runs"]
    signatures = {finding["signature"] for finding in run["findings"]}

    assert run["verdict"] == verdict
    stale = {"dqlite/register/linearizable/stale-read/read@leader"}
    assert signatures == (stale if verdict == "invalid" else set())
