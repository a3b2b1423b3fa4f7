"""dqlite's deployment and stores among scripted nodes: who leads, and what an error means."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, cast

import pytest

import dqlite
from dissever.harness.client import NotApplied
from dissever.harness.plan import Options
from dissever.harness.system import Unseen
from dissever.systems.dqlite import database, deployment, stores
from dissever.systems.dqlite.cluster import HostsCluster
from dissever.systems.dqlite.database import DATABASE, TICK, digest_of
from dissever.systems.dqlite.deployment import DqliteDeployment
from dissever.systems.dqlite.hosts import PORT, ProcessHosts
from dissever.systems.dqlite.members import DqliteMembers
from dqlite.wire import codec, schema
from dqlite.wire.schema import Failure, Request, Response

NODES = ("n1", "n2", "n3")

Answer: TypeAlias = Callable[[str, Request], Response | bytes | None]
"""What a node answers a request with: None closes the connection, no bytes are silence."""


class ScriptedCluster:
    """Nodes that answer as they are told to, in this process. Notes what each was asked."""

    nodes = NODES

    def __init__(self, directory: Path, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Request]] = []
        self._directory = directory
        self._tasks: list[asyncio.Task[None]] = []

    def address(self, node: str) -> str:
        return f"10.0.0.{NODES.index(node) + 1}"

    def directory(self, node: str) -> Path:
        return self._directory / node

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        assert (node in NODES, port, timeout_s > 0) == (True, PORT, True)
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        self._tasks.append(asyncio.create_task(self._serve(node, theirs)))
        return ours

    async def _serve(self, node: str, end: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.closing(end), contextlib.suppress(ConnectionError):
            await loop.sock_recv(end, len(codec.HANDSHAKE))
            while frame := await loop.sock_recv(end, 65_536):
                header = codec.decode_header(frame)
                request = codec.decode_request(header, frame[codec.HEADER_BYTES :])
                self.asked.append((node, request))
                answer = self.answer(node, request)
                if answer is None:
                    return
                await loop.sock_sendall(
                    end, answer if isinstance(answer, bytes) else codec.encode(answer)
                )

    def statements(self) -> list[tuple[str, str]]:
        """The SQL that was asked for, with the node that was asked."""
        sql = (schema.ExecSql, schema.QuerySql)
        return [(node, request.sql) for node, request in self.asked if isinstance(request, sql)]


def believing(leaders: Mapping[str, str | None], then: Answer | None = None) -> Answer:
    """Nodes that take these for their leaders, and otherwise answer `then`, or agree."""

    def answer(node: str, request: Request) -> Response | bytes | None:
        match request:
            case schema.Leader():
                leader = leaders[node]
                number = NODES.index(leader) + 1 if leader else 0
                return schema.LeaderNode(number, f"10.0.0.{number}:{PORT}" if number else "")
            case schema.Register():
                return schema.Welcome(15_000)
            case schema.Open():
                return schema.Database(0)
        if then is not None:
            return then(node, request)
        if isinstance(request, schema.QuerySql):
            return schema.Rows(("value",), ((5,),))
        return schema.Result(0, 1)

    return answer


def everyone(leader: str | None) -> dict[str, str | None]:
    return dict.fromkeys(NODES, leader)


Body: TypeAlias = Callable[[DqliteDeployment, ScriptedCluster], Awaitable[None]]


@pytest.fixture
def among(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a body among nodes that answer so."""
    monkeypatch.setattr(stores, "BUSY_WAIT_S", (0.0, 0.0))
    monkeypatch.setattr(deployment, "ASK_LIMIT_S", 0.2)
    for node in NODES:
        (tmp_path / node).mkdir()

    def run(answer: Answer, body: Body, **options: Any) -> None:
        async def main() -> None:
            cluster = ScriptedCluster(tmp_path, answer)
            asked = Options(system="dqlite", workload="register", nodes=NODES, **options)
            hosts = ProcessHosts(cast("HostsCluster", cluster), asked)
            await body(DqliteDeployment(hosts, asked, Random(1), DqliteMembers), cluster)

        asyncio.run(main())

    return run


# Who leads


@pytest.mark.parametrize(
    ("leaders", "primaries", "leader"),
    [
        (everyone("n1"), ("n1",), "n1"),
        (everyone("n2"), ("n2",), "n2"),
        (everyone("n3"), ("n3",), "n3"),
        ({"n1": "n1", "n2": "n2", "n3": "n2"}, ("n1", "n2"), None),
        ({"n1": None, "n2": "n3", "n3": None}, (), None),
        ({"n1": "n2", "n2": "n3", "n3": "n1"}, (), None),
        (everyone(None), (), None),
    ],
    ids=["first", "second", "third", "deposed", "unsure", "each-other", "none"],
)
def test_who_leads_is_who_says_so_of_itself(
    among: Callable[..., None],
    leaders: Mapping[str, str | None],
    primaries: tuple[str, ...],
    leader: str | None,
) -> None:
    async def body(nodes: DqliteDeployment, _cluster: ScriptedCluster) -> None:
        assert await nodes.primaries() == primaries
        assert await nodes.members.leader() == leader

    among(believing(leaders), body)


def test_store_of_any_node_goes_to_the_leader(among: Callable[..., None]) -> None:
    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        for node in NODES:
            store = await nodes.open_store("registers", node)
            await store.write(1, 5)
            await store.close()

        assert {node for node, _ in cluster.statements()} == {"n3"}

    among(believing(everyone("n3")), body)


@pytest.mark.parametrize("leaders", [everyone(None), {"n1": "n2", "n2": "n3", "n3": "n3"}])
def test_node_without_a_leader_is_not_applied(
    among: Callable[..., None], leaders: Mapping[str, str | None]
) -> None:
    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        with pytest.raises(NotApplied):
            await nodes.open_store("registers", "n1")

        assert cluster.statements() == []

    among(believing(leaders), body)


@pytest.mark.parametrize(
    "leaders",
    [{"n1": "n1", "n2": "n2", "n3": "n2"}, {"n1": "n1", "n2": "n1", "n3": None}, everyone(None)],
)
def test_nodes_that_disagree_are_not_ready(
    among: Callable[..., None], leaders: Mapping[str, str | None]
) -> None:
    async def body(nodes: DqliteDeployment, _cluster: ScriptedCluster) -> None:
        with pytest.raises(TimeoutError, match="not ready"):
            await nodes.await_ready(0.01)

    among(believing(leaders), body)


def test_leader_that_cannot_write_is_not_ready(among: Callable[..., None]) -> None:
    async def body(nodes: DqliteDeployment, _cluster: ScriptedCluster) -> None:
        with pytest.raises(TimeoutError, match="a write fails"):
            await nodes.await_ready(0.01)

    among(believing(everyone("n2"), lambda *_: Failure(10, "disk I/O error")), body)


# What an error means

WRITES: Mapping[str, Callable[[Any], Awaitable[object]]] = {
    "write": lambda store: store.write(1, 5),
    "cas": lambda store: store.compare_and_set(1, 5, 6),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("code", [10506, 8458, 4, 7, 9, 10, 778, 100, 9999, 0])
def test_error_that_may_have_been_applied_is_unknown_and_asked_once(
    among: Callable[..., None], code: int, write: Callable[[Any], Awaitable[object]]
) -> None:
    """Of leadership that was lost, of a disk, and of every code without an entry."""

    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        store = await nodes.open_store("registers", "n1")
        with pytest.raises(dqlite.Indeterminate):
            await write(store)
        await asyncio.sleep(0)

        assert len(cluster.statements()) == 1
        await store.close()

    among(believing(everyone("n2"), lambda *_: Failure(code, "x")), body)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize(
    "answer", [None, b"", b"\x01", b"HTTP/1.1 500 Internal"], ids=["end", "silence", "cut", "noise"]
)
def test_lost_connection_is_unknown_and_asked_once(
    among: Callable[..., None],
    answer: bytes | None,
    write: Callable[[Any], Awaitable[object]],
) -> None:
    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        store = await nodes.open_store("registers", "n1")
        with pytest.raises((dqlite.Indeterminate, dqlite.ProtocolError)):
            await write(store)

        assert len(cluster.statements()) == 1
        await store.close()

    among(believing(everyone("n2"), lambda *_: answer), body, operation_limit_s=0.1)


def test_added_element_of_a_lost_connection_is_unknown_too(among: Callable[..., None]) -> None:
    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        store = await nodes.open_store("elements", "n3")
        with pytest.raises(dqlite.Indeterminate):
            await store.add(7)

        assert len(cluster.statements()) == 1

    among(believing(everyone("n2"), lambda *_: None), body)


@pytest.mark.parametrize("code", [1, 12, 10250, 2067])
def test_error_that_excludes_an_effect_is_not_applied(
    among: Callable[..., None], code: int
) -> None:
    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        store = await nodes.open_store("registers", "n1")
        with pytest.raises(NotApplied):
            await store.write(1, 5)

        assert len(cluster.statements()) == 1
        await store.close()

    among(believing(everyone("n2"), lambda *_: Failure(code, "x")), body)


def test_busy_alone_is_asked_again_and_in_the_end_not_applied(among: Callable[..., None]) -> None:
    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        store = await nodes.open_store("registers", "n1")
        with pytest.raises(NotApplied):
            await store.write(1, 5)

        assert len(cluster.statements()) == stores.BUSY_TRIES
        await store.close()

    among(believing(everyone("n2"), lambda *_: Failure(5, "busy")), body)


def test_busy_then_lost_is_unknown(among: Callable[..., None]) -> None:
    answers = iter([Failure(5, "busy"), Failure(5, "busy"), Failure(10506, "leadership lost")])

    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        store = await nodes.open_store("registers", "n1")
        with pytest.raises(dqlite.LeadershipLost):
            await store.write(1, 5)

        assert len(cluster.statements()) == 3
        await store.close()

    among(believing(everyone("n2"), lambda *_: next(answers)), body)


def test_store_asks_who_leads_again_after_leadership_was_lost(among: Callable[..., None]) -> None:
    leaders = everyone("n2")

    def deposed(_node: str, _request: Request) -> Response:
        if leaders["n1"] == "n2":
            leaders.update(everyone("n3"))
            return Failure(10506, "leadership lost")
        return schema.Result(0, 1)

    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        store = await nodes.open_store("registers", "n1")
        with pytest.raises(dqlite.LeadershipLost):
            await store.write(1, 5)
        await store.write(1, 6)

        assert [node for node, _ in cluster.statements()] == ["n2", "n3"]
        await store.close()

    among(believing(leaders, deposed), body)


def test_read_that_fails_in_whatever_way_is_not_applied(among: Callable[..., None]) -> None:
    for answer in (Failure(10506, "x"), Failure(9999, "x"), None):

        async def body(nodes: DqliteDeployment, _cluster: ScriptedCluster) -> None:
            store = await nodes.open_store("registers", "n1")
            with pytest.raises(NotApplied):
                await store.read(1)
            await store.close()

        among(believing(everyone("n2"), lambda *_, answer=answer: answer), body)  # type: ignore[misc]


@pytest.mark.parametrize(("consistency", "before"), [("quorum", [TICK]), ("leader", [])])
def test_read_of_a_quorum_writes_before_on_the_same_connection(
    among: Callable[..., None], consistency: str, before: list[str]
) -> None:
    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        store = await nodes.open_store("registers", "n1")

        assert await store.read(1) == 5
        asked = cluster.statements()
        assert [sql for _, sql in asked[:-1]] == before
        assert {node for node, _ in asked} == {"n2"}
        assert asked[-1][1].startswith("SELECT")
        await store.close()

    among(believing(everyone("n2")), body, system_options={"consistency": consistency})


@pytest.mark.parametrize(("rows", "is_set"), [(1, True), (0, False)])
def test_compare_and_set_is_what_the_server_counted(
    among: Callable[..., None], rows: int, is_set: bool
) -> None:
    async def body(nodes: DqliteDeployment, _cluster: ScriptedCluster) -> None:
        store = await nodes.open_store("registers", "n1")

        assert await store.compare_and_set(1, 5, 6) is is_set
        await store.close()

    among(believing(everyone("n2"), lambda *_: schema.Result(0, rows)), body)


def test_leader_at_an_address_of_nobody_is_not_dialled(among: Callable[..., None]) -> None:
    """A node can name any address: it must not send the harness elsewhere."""

    def elsewhere(node: str, request: Request) -> Response | bytes | None:
        if isinstance(request, schema.Leader):
            return schema.LeaderNode(9, "192.0.2.1:22")
        return believing(everyone(None))(node, request)

    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        with pytest.raises(NotApplied, match="address of this cluster"):
            await nodes.open_store("registers", "n1")

        assert await nodes.primaries() == ()
        assert cluster.statements() == []

    among(elsewhere, body)


# What a node gives of itself


def test_dump_writes_nothing_but_the_database_and_its_wal(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "made"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE register (key INTEGER PRIMARY KEY, value INTEGER)")
        made.commit()
    files = {DATABASE: path.read_bytes(), f"{DATABASE}-wal": b""}
    hostile = {"../../escaped": b"x", str(tmp_path / "absolute"): b"x", "dissever-shm": b"x"}
    before = sorted(tmp_path.rglob("*"))

    assert digest_of({**files, **hostile}, tmp_path / "folder") == digest_of(files, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "dissever-shm", "dissever-WAL"])
def test_dump_with_another_name_is_no_dump(among: Callable[..., None], name: str) -> None:
    def dumping(_node: str, _request: Request) -> Response:
        return schema.Files((schema.File(DATABASE, b"x"), schema.File(name, b"x")))

    async def body(nodes: DqliteDeployment, cluster: ScriptedCluster) -> None:
        before = sorted(cluster.directory("n1").parent.rglob("*"))
        replicas = await nodes.replicas()

        assert all(isinstance(held, Unseen) for held in replicas.values())
        assert all("expected the files" in str(held) for held in replicas.values())
        assert sorted(cluster.directory("n1").parent.rglob("*")) == before

    among(believing(everyone("n2"), dumping), body)


def test_database_that_would_take_for_ever_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its values are made up while they are read."""
    monkeypatch.setattr(database, "_WORK_MAX", 10)
    path = tmp_path / "made"
    large = "length(hex(zeroblob(20000000))) > 0"
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 60000)"
    for sql in (
        [f"CREATE TABLE t (a INT CHECK ({large}))", "INSERT INTO t VALUES (1)"],
        ["CREATE TABLE t (a)", f"INSERT INTO t {many} SELECT i FROM n"],
    ):
        path.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as made:
            for each in sql:
                made.execute(each)
            made.commit()

        assert isinstance(digest_of({DATABASE: path.read_bytes()}, tmp_path), Unseen)
