"""The blocking client against the other one, peers that misbehave, and a real node."""

import asyncio
import inspect
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from random import Random
from typing import Any

import pytest

from dqlite import errors
from dqlite.client.blocking import BlockingClient
from dqlite.client.blocking_connection import BlockingConnection, dial_blocking
from dqlite.client.blocking_connector import BlockingConnector
from dqlite.client.client import Client
from dqlite.client.connection import dial_address
from dqlite.client.stores import MemoryStore
from dqlite.wire import codec, schema
from dqlite.wire.schema import Failure, Member, Response, Role, Rows
from dqlite.wire.session import Session

GARBAGE = 1_000
LEADER = codec.encode(schema.LeaderNode(1, "a"))


@contextmanager
def peer(behaviour: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """A connected socket, at whose other end a thread does as it likes, and then closes."""

    def run() -> None:
        with closing(theirs):
            behaviour(theirs)

    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    with closing(ours):
        yield ours
    thread.join(timeout=5)


def client(end: socket.socket, timeout_s: float = 5) -> BlockingClient:
    return BlockingClient(BlockingConnection("a", end), timeout_s=timeout_s)


def answering(*pieces: bytes, gap_s: float = 0) -> Callable[[socket.socket], None]:
    """Reads one request, sends the pieces, and waits for the end."""

    def behave(end: socket.socket) -> None:
        end.recv(65_536)
        try:
            for piece in pieces:
                end.sendall(piece)
                time.sleep(gap_s)
            end.recv(65_536)
        except OSError:
            pass

    return behave


def methods(of: type) -> dict[str, str]:
    """Public names, each with its parameters."""
    return {
        name: str(inspect.signature(value).replace(return_annotation=inspect.Signature.empty))
        for name, value in vars(of).items()
        if not name.startswith("_") and inspect.isfunction(value)
    }


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    assert methods(BlockingClient) == methods(Client)


def test_answer_is_returned_however_it_is_cut() -> None:
    pieces = [LEADER[i : i + 3] for i in range(0, len(LEADER), 3)]
    with peer(answering(*pieces, gap_s=0.001)) as end:
        assert client(end).leader() == schema.LeaderNode(1, "a")


def test_failure_is_raised_by_its_code_and_the_connection_stays_open() -> None:
    with peer(answering(codec.encode(Failure(10250, "not leader")))) as end:
        asked = client(end)
        with pytest.raises(errors.NotLeader):
            asked.remove(1)

        assert asked.is_open


def test_silence_is_a_timeout_and_closes() -> None:
    with peer(answering()) as end:
        asked = client(end, timeout_s=0.05)
        with pytest.raises(errors.TimedOut, match="Leader in"):
            asked.leader()

        assert not asked.is_open
        with pytest.raises(errors.NotSent):
            asked.leader()


def test_answer_that_drips_is_a_timeout_although_each_byte_comes_in_time() -> None:
    drops = [bytes([each]) for each in codec.encode(Rows(("n",), ((1,),) * 1000))]
    with peer(answering(*drops, gap_s=0.001)) as end:
        asked = client(end, timeout_s=0.1)
        asked._database = 0
        with pytest.raises(errors.TimedOut):
            asked.query_sql("SELECT n FROM t")


def test_deadline_holds_while_an_answer_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(session: Session) -> Response | None:
        time.sleep(0.02)
        return proceed(session)

    proceed = Session.proceed
    monkeypatch.setattr(Session, "proceed", slow)
    one = (1).to_bytes(8, "little")
    body = one + b"n".ljust(8, b"\0") + (one + one) * 500_000 + b"\xff" * 8
    header = (len(body) // 8).to_bytes(4, "little") + bytes([7, 0, 0, 0])
    with peer(answering(header + body)) as end:
        asked = client(end, timeout_s=0.2)
        asked._database = 0
        with pytest.raises(errors.TimedOut):
            asked.query_sql("SELECT n FROM t")


def test_end_of_stream_within_an_answer_is_indeterminate() -> None:
    def behave(end: socket.socket) -> None:
        end.recv(65_536)
        end.sendall(LEADER[:-1])

    with peer(behave) as end, pytest.raises(errors.ConnectionLost):
        client(end).leader()


def test_end_of_an_idle_connection_is_not_sent() -> None:
    ours, theirs = socket.socketpair()
    with closing(ours):
        theirs.close()
        asked = client(ours)
        with pytest.raises(errors.NotSent):
            asked.leader()

        assert not asked.is_open


def test_bytes_that_nobody_asked_for_end_the_connection_before_anything_is_sent() -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        theirs.sendall(LEADER)
        with pytest.raises(errors.NotSent):
            client(ours).leader()


def test_garbage_of_any_kind_is_an_error_within_the_deadline() -> None:
    rng = Random(14)
    sound = [
        Rows(("a", "b"), ((1, "x"), (None, b"y"))), Rows(("a",), (), is_last=False),
        Failure(5, "busy"), schema.LeaderNode(1, "a"),
    ]  # fmt: skip
    for _ in range(GARBAGE):
        answer = bytearray(codec.encode(rng.choice(sound)))
        answer[rng.randrange(len(answer))] = rng.choice([0, 1, 0x7F, 0xEE, 0xFF])
        ours, theirs = socket.socketpair()
        with closing(ours), closing(theirs):
            asked = client(ours, timeout_s=0.002)
            asked._database = 0
            asked._connection._idle.unregister(ours)  # the answer lies ready before the request
            theirs.sendall(bytes(answer))
            begun = time.monotonic()
            with suppress(errors.DqliteError):  # any other exception is a finding
                asked.query_sql("SELECT 1") if rng.random() < 0.5 else asked.leader()

            assert time.monotonic() - begun < 5


def test_interrupted_call_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting:
        def __init__(self, end: socket.socket) -> None:
            self._end = end

        def recv(self, _count: int) -> bytes:
            raise KeyboardInterrupt

        def __getattr__(self, name: str) -> Any:
            return getattr(self._end, name)

    with peer(answering()) as end:
        asked = client(end)
        asked._connection._socket = Interrupting(end)  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            asked.leader()

        assert not asked.is_open


def test_connection_is_of_no_use_in_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(answering(LEADER)) as end:
        asked = client(end)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(errors.NotSent, match="fork"):
            asked.leader()


@pytest.mark.parametrize("address", ["", "host", "host:port", "127.0.0.1:", "127.0.0.1:1"])
def test_address_that_nobody_serves_is_not_sent(address: str) -> None:
    with pytest.raises(errors.NotSent):
        BlockingClient.connect(address, timeout_s=5)


def test_abstract_and_ipv6_addresses_are_dialled(tmp_path: Any) -> None:
    name = f"@dqlite-test-{os.getpid()}"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind("\0" + name[1:])
        server.listen()
        with closing(dial_blocking(name, 5)) as end:
            assert end.getpeername() == b"\0" + name[1:].encode()
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 address here")
    address = f"[::1]:{listening.getsockname()[1]}"
    with closing(listening), closing(dial_blocking(address, 5)) as end:
        assert end.family == socket.AF_INET6


def test_more_parameters_than_an_old_server_counts_are_a_clear_error() -> None:
    with peer(answering(codec.encode(Failure(1005, "failed to parse")))) as end:
        asked = client(end)
        asked._database = 0
        with pytest.raises(errors.ServerTooOld, match=r"255 parameters need dqlite 1\.12"):
            asked.exec_sql("INSERT INTO t VALUES (1)", (1,) * 256)


@pytest.mark.parametrize("timeout_s", [0, -1])
def test_request_without_time_is_not_sent(timeout_s: float) -> None:
    with peer(answering(LEADER)) as end:
        asked = client(end, timeout_s=timeout_s)
        with pytest.raises(errors.NotSent, match="no time"):
            asked.leader()
        asked.timeout_s = float("inf")

        assert asked.leader() == schema.LeaderNode(1, "a")


def test_each_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` is often ::1 first, where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.9.9.9", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
        with closing(dial_blocking(f"name:{port}", 5)) as end:
            assert end.getpeername() == ("127.0.0.1", port)
        with closing(asyncio.run(dial_address(f"name:{port}"))) as other:
            assert other.getpeername() == ("127.0.0.1", port)


def test_busy_administration_is_asked_again_within_the_deadline() -> None:
    def behave(end: socket.socket) -> None:
        for answer in (Failure(5, "a configuration change is already in progress"),) * 2:
            end.recv(65_536)
            end.sendall(codec.encode(answer))
        end.recv(65_536)
        end.sendall(codec.encode(schema.Empty()))
        end.recv(65_536)

    with peer(behave) as end:
        client(end).assign(2, Role.VOTER)

    with peer(answering(codec.encode(Failure(5, "in progress")))) as end:
        asked = client(end, timeout_s=0.05)
        with pytest.raises(errors.Busy):
            asked.assign(2, Role.VOTER)


@pytest.mark.cluster
def test_real_node_is_found_asked_and_administered(program: Any) -> None:
    for node_id in (1, 2):
        program.start(node_id)
    one, two = program.addresses[1], program.addresses[2]
    connector = BlockingConnector(MemoryStore.of([two, one]))
    with connector.connect(timeout_s=20) as asked:
        assert asked.address == one
        assert asked.register() == 15_000
        asked.add(2, two)
        asked.assign(2, Role.VOTER)
        assert asked.cluster() == (Member(1, one, Role.VOTER), Member(2, two, Role.VOTER))
        asked.weight(123)
        assert asked.describe() == schema.Metadata(0, 123)
        asked.open("test")
        asked.exec_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        assert asked.exec_sql("INSERT INTO t VALUES (?, ?)", (1, "one")).rows_affected == 1
        insert = asked.prepare("INSERT INTO t VALUES (?, ?)")
        assert asked.exec(insert, (2, "two")).last_insert_id == 2
        asked.finalize(insert)
        asked.interrupt()
        assert asked.query_sql("SELECT * FROM t ORDER BY id").rows == ((1, "one"), (2, "two"))
        with suppress(errors.ServerTooOld):  # before 1.12
            many = asked.query_sql(f"SELECT {','.join('?' * 300)}", tuple(range(300))).rows
            assert many == (tuple(range(300)),)
        assert asked.dump("test").keys() == {"test", "test-wal"}
        asked.transfer(2)
    with connector.connect(timeout_s=20) as asked:
        assert asked.address == two
        asked.transfer(1)
    with connector.connect(timeout_s=20) as asked:
        asked.remove(2)
        assert len(asked.cluster()) == 1


@pytest.mark.cluster
def test_script_is_walked_by_its_tail_or_the_server_is_too_old(program: Any) -> None:
    program.start(1)
    sql = "SELECT 1; SELECT '\N{SNOWMAN};' -- \N{SNOWMAN}\n; SELECT 3 ;-- end"

    def walk() -> list[object]:
        rest, found = sql, []
        while rest:
            statement, rest = asked.prepare_first(rest)
            found.append(asked.query(statement).rows[0][0])
            asked.finalize(statement)
        return found

    connector = BlockingConnector(MemoryStore.of([program.addresses[1]]))
    with connector.connect(timeout_s=20) as asked:
        asked.open("test")
        try:
            assert walk() == [1, "\N{SNOWMAN};", 3]
        except errors.ServerTooOld:
            assert asked.prepare("SELECT 1").id == 0  # the one that was refused is finalized

    async def again() -> None:
        async with await Client.connect(program.addresses[1], timeout_s=5) as client_:
            await client_.open("test")
            try:
                assert (await client_.prepare_first(sql))[1].startswith(" SELECT '")
            except errors.ServerTooOld:
                assert (await client_.prepare("SELECT 1")).id == 0

    asyncio.run(again())
