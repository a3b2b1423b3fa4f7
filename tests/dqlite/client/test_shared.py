"""The connection that a connector keeps: who gets it, and when it is given up."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any, TypeAlias

import pytest

from dqlite.client.blocking_connection import dial_blocking
from dqlite.client.blocking_connector import BlockingConnector
from dqlite.client.connection import dial_address
from dqlite.client.connector import Connector
from dqlite.client.searching import ConnectorOptions
from dqlite.client.shared import SharedConnection
from dqlite.client.stores import MemoryStore
from dqlite.errors import DqliteError, NotSent
from dqlite.wire import codec, schema

Behaviour: TypeAlias = Callable[[schema.Request], schema.Response | None]


def leads(request: schema.Request) -> schema.Response:
    if isinstance(request, schema.Leader):
        return schema.LeaderNode(1, "a")
    return schema.Database(0) if isinstance(request, schema.Open) else schema.Welcome(15_000)


def follows_nobody(_request: schema.Request) -> schema.Response:
    return schema.LeaderNode(0, "")


def redirects(_request: schema.Request) -> schema.Response:
    return schema.LeaderNode(2, "b")


class Node:
    """A scripted node, `a`; without a behaviour it is silent."""

    def __init__(self) -> None:
        self.behaviour: Behaviour | None = leads
        self.dialled = 0
        self.open_now = 0
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()

    def dial(self, _address: str, _timeout_s: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        with self._lock:
            self.dialled += 1
            self.open_now += 1
        self._ends.append(theirs)
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    async def dial_async(self, address: str) -> socket.socket:
        return self.dial(address, 0)

    def hang_up(self) -> None:
        """End all connections, and wait until they have ended."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.await_open(0)

    def await_open(self, count: int) -> None:
        """Wait until so many connections are open."""
        deadline = time.monotonic() + 10
        while self.open_now != count:
            assert time.monotonic() < deadline, f"{self.open_now} are open, not {count}"
            time.sleep(0.001)

    def _serve(self, end: socket.socket) -> None:
        with closing(end), suppress(OSError), closing(end.makefile("rb")) as file:
            file.read(len(codec.HANDSHAKE))
            while start := file.read(codec.HEADER_BYTES):
                header = codec.decode_header(start)
                request = codec.decode_request(header, file.read(header.body_bytes))
                if self.behaviour is not None:
                    end.sendall(codec.encode(self.behaviour(request) or schema.Empty()))
        with self._lock:
            self.open_now -= 1


class Face:
    """A connector of either kind and its clients, as if it waited."""

    def __init__(self, kind: str, options: ConnectorOptions) -> None:
        store = MemoryStore.of("a")
        self._loop = asyncio.new_event_loop()
        self._connector: Any = (Connector if kind == "asyncio" else BlockingConnector)(
            store, options
        )

    def connect(self) -> Any:
        return self.do(self._connector.connect(timeout_s=10))

    def do(self, answer: Any) -> Any:
        return self._loop.run_until_complete(answer) if asyncio.iscoroutine(answer) else answer

    def rest(self) -> None:
        """Let the loop see what has come meanwhile."""
        self._loop.run_until_complete(asyncio.sleep(0.01))

    def close(self) -> None:
        self._connector.close()
        self.rest()

    def end(self) -> None:
        self.close()
        self._loop.close()


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.hang_up()


@pytest.fixture(params=["asyncio", "blocking"])
def make(request: pytest.FixtureRequest, node: Node) -> Iterator[Callable[..., Face]]:
    faces = []

    def made(*, shares_connection: bool = True, dial_timeout_s: float = 5) -> Face:
        options = ConnectorOptions(
            dial=node.dial_async,
            dial_blocking=node.dial,
            dial_timeout_s=dial_timeout_s,
            retry_limit=0,
            shares_connection=shares_connection,
        )
        faces.append(Face(request.param, options))
        return faces[-1]

    yield made
    for each in faces:
        each.end()


@pytest.fixture
def face(make: Any) -> Face:
    made: Face = make()
    return made


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was said of kept connections and paths since the last call."""
    caplog.set_level(logging.DEBUG, "dqlite.client.connector")

    def take() -> list[str]:
        found = list(caplog.messages)
        caplog.clear()
        return found

    return take


FALLBACK = "connected on fallback path to a"
FAST = "connected on fast path to a"
REUSING = "reusing shared connection to a"
DISCARDING = "discarding shared connection to a"


def test_connector_goes_through_the_states_of_go(face: Face, node: Node, said: Any) -> None:
    first = face.connect()
    assert said() == [FALLBACK]
    second = face.connect()
    assert said() == [FAST]
    first.close()
    face.connect().close()
    assert said() == [REUSING]
    second.close()  # one is kept already
    face.rest()
    node.await_open(1)
    assert node.dialled == 2

    node.behaviour = follows_nobody
    with pytest.raises(DqliteError):
        face.connect()
    assert said()[0] == DISCARDING
    node.behaviour = leads
    face.connect().close()
    assert said() == [FALLBACK]
    face.connect().close()
    assert said() == [REUSING]


def test_nothing_is_kept_unless_asked_for(make: Any, node: Node, said: Any) -> None:
    face = make(shares_connection=False)
    face.connect().close()
    face.rest()
    node.await_open(0)
    face.connect().close()

    assert said() == [FALLBACK, FAST]


@pytest.mark.parametrize("behaviour", [redirects, follows_nobody, None])
def test_node_that_leads_no_more_is_discarded_and_its_connection_closed(
    make: Any, node: Node, said: Any, behaviour: Any
) -> None:
    face = make(dial_timeout_s=2 if behaviour is None else 20)
    face.connect().close()
    node.behaviour = behaviour
    said()
    with pytest.raises(DqliteError):
        face.do(face._connector.connect(timeout_s=3))
    face.rest()

    assert said()[0] == DISCARDING
    node.await_open(0)


def test_connection_that_ended_meanwhile_is_made_anew(face: Face, node: Node, said: Any) -> None:
    face.connect().close()
    node.hang_up()
    face.rest()
    said()
    client = face.connect()

    assert said() == [DISCARDING, FAST]
    assert client.is_open
    client.close()


def test_client_that_opened_a_database_keeps_its_connection_to_itself(
    face: Face, node: Node, said: Any
) -> None:
    client = face.connect()
    face.do(client.open("app"))
    client.close()
    face.rest()
    node.await_open(0)
    face.connect().close()

    assert said() == [FALLBACK, FAST]


def test_closed_client_has_no_hold_on_the_connection_of_the_next(face: Face, node: Node) -> None:
    first = face.connect()
    first.close()
    second = face.connect()
    first.close()

    assert not first.is_open
    with pytest.raises(NotSent, match="closed"):
        face.do(first.leader())
    assert face.do(second.leader()).address == "a"
    third = face.connect()
    assert node.dialled == 2  # the second client still has the first connection
    second.close()
    third.close()


def test_connection_in_use_is_not_kept(face: Face, node: Node) -> None:
    client = face.connect()
    link = getattr(client._connection, "_link", None)
    (link.session if link else client._connection._session).send(schema.Leader())
    client.close()
    face.rest()
    node.await_open(0)


def test_closed_connector_keeps_nothing(face: Face, node: Node) -> None:
    one, other = face.connect(), face.connect()
    one.close()
    face.close()
    face.rest()
    node.await_open(1)
    other.close()
    face.rest()

    node.await_open(0)


class Idle:
    def __init__(self, *, is_idle: bool = True) -> None:
        self.is_idle = is_idle
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_one_connection_is_kept_and_given_once() -> None:
    shared, one, two = SharedConnection[Any](), Idle(), Idle()

    assert (shared.keep(one), shared.keep(two)) == (True, False)
    assert (shared.take(), shared.take()) == (one, None)
    assert shared.keep(two)
    shared.close()
    assert (two.closed, shared.keep(one), shared.take()) == (1, False, None)


def test_connection_with_a_request_in_flight_is_not_kept() -> None:
    assert not SharedConnection[Any]().keep(Idle(is_idle=False))


def test_many_threads_never_get_the_same_connection() -> None:
    shared, lost = SharedConnection[Any](), []

    def work() -> None:
        mine = Idle()
        for _ in range(200):
            if not shared.keep(mine):
                continue
            if (taken := shared.take()) is None:
                mine = Idle()
                continue
            if taken.closed:
                lost.append(taken)
            taken.close()
            mine = Idle()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert lost == []


@pytest.mark.cluster
@pytest.mark.parametrize("kind", ["asyncio", "blocking"])
def test_real_leader_is_asked_over_one_connection_until_it_hands_over(
    program: Any, said: Any, kind: str
) -> None:
    for node_id in (1, 2):
        program.start(node_id)
    one, two = program.addresses[1], program.addresses[2]
    dialled: list[str] = []

    async def dial(address: str) -> socket.socket:
        dialled.append(address)
        return await dial_address(address)

    def dial_waiting(address: str, timeout_s: float) -> socket.socket:
        dialled.append(address)
        return dial_blocking(address, timeout_s)

    options = ConnectorOptions(dial=dial, dial_blocking=dial_waiting, shares_connection=True)
    face = Face(kind, options)
    face._connector._store = MemoryStore.of([one])
    client = face.connect()
    face.do(client.add(2, two, schema.Role.VOTER))
    client.close()
    for _ in range(3):
        client = face.connect()
        assert len(face.do(client.cluster())) == 2
        client.close()
    assert dialled == [one]
    assert said()[-1] == f"reusing shared connection to {one}"

    client = face.connect()
    face.do(client.transfer(2))
    client.close()
    client = face.connect()
    assert client.address == two
    assert f"discarding shared connection to {one}" in said()
    client.close()
    face.end()
