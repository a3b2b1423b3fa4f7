"""Both connectors among scripted nodes: how they search, what they believe, and when they end."""

import asyncio
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice
from math import nan
from typing import Any, TypeAlias

import pytest

from dqlite.client.blocking_connector import BlockingConnector
from dqlite.client.connector import Connector
from dqlite.client.searching import ConnectorOptions, pauses
from dqlite.client.stores import MemoryStore
from dqlite.errors import InvalidValue, NoLeader, NotTrusted, Refused
from dqlite.wire import codec, schema
from dqlite.wire.schema import Member, Role

Behaviour: TypeAlias = Callable[[schema.Request], schema.Response | None]

QUICK = ConnectorOptions(backoff_factor_s=0.001, backoff_cap_s=0.002)
SHORT = replace(QUICK, attempt_timeout_s=0.4)
"""Where a silent node is waited for."""


class Nodes:
    """Scripted nodes, dialled by both kinds of connector; None as an answer is silence."""

    def __init__(self, behaviours: dict[str, Behaviour]) -> None:
        self.behaviours = behaviours
        self.refusals: dict[str, OSError] = {}
        self.dialled: list[str] = []
        self.open_now = 0
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()

    def dial(self, address: str, _timeout_s: float) -> socket.socket:
        with self._lock:
            self.dialled.append(address)
        if address in self.refusals:
            raise self.refusals[address]
        if address not in self.behaviours:
            raise ConnectionRefusedError(111, "Connection refused")
        ours, theirs = socket.socketpair()
        self._ends.append(theirs)
        threading.Thread(target=self._serve, args=(address, theirs), daemon=True).start()
        return ours

    async def dial_async(self, address: str) -> socket.socket:
        return self.dial(address, 0)

    def _serve(self, address: str, end: socket.socket) -> None:
        with self._lock:
            self.open_now += 1
        with closing(end), suppress(OSError), closing(end.makefile("rb")) as file:
            file.read(len(codec.HANDSHAKE))
            while start := file.read(codec.HEADER_BYTES):
                header = codec.decode_header(start)
                request = codec.decode_request(header, file.read(header.body_bytes))
                if (answer := self.behaviours[address](request)) is not None:
                    end.sendall(codec.encode(answer))
        with self._lock:
            self.open_now -= 1

    def close(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        while self.open_now:
            time.sleep(0.001)


def names(leader: str) -> Behaviour:
    def answer(request: schema.Request) -> schema.Response:
        if isinstance(request, schema.Leader):
            return schema.LeaderNode(1 if leader else 0, leader)
        return schema.Welcome(15_000)

    return answer


def silent(_request: schema.Request) -> None:
    return None


class Search:
    """One connector of either kind, with which a test connects again and again."""

    def __init__(self, kind: str, nodes: Nodes, store: MemoryStore, options: ConnectorOptions):
        options = replace(options, dial=nodes.dial_async, dial_blocking=nodes.dial)
        self._loop = asyncio.new_event_loop() if kind == "asyncio" else None
        self._asynchronous = Connector(store, options)
        self.blocking = BlockingConnector(store, options)

    def connect(self, timeout_s: float = 10) -> str:
        """Return whom it found."""
        if self._loop is None:
            with self.blocking.connect(timeout_s=timeout_s) as client:
                return client.address
        return self._loop.run_until_complete(self._connect(timeout_s))

    async def _connect(self, timeout_s: float) -> str:
        async with await self._asynchronous.connect(timeout_s=timeout_s) as client:
            return client.address

    def rest(self) -> None:
        """Let others work for a moment."""
        if self._loop is None:
            time.sleep(0.01)
        else:
            self._loop.run_until_complete(asyncio.sleep(0.01))

    def close(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()


@pytest.fixture(params=["asyncio", "blocking"])
def search(request: pytest.FixtureRequest) -> Iterator[Callable[..., Search]]:
    made: list[tuple[Search, Nodes]] = []

    def make(nodes: Nodes, *stored: str | Member, options: ConnectorOptions = QUICK) -> Search:
        store = MemoryStore(
            each if isinstance(each, Member) else Member(1, each, Role.VOTER) for each in stored
        )
        made.append((Search(request.param, nodes, store, options), nodes))
        return made[-1][0]

    yield make
    for each, nodes in made:
        nodes.close()
        each.close()


def test_first_search_asks_the_stored_nodes_and_the_next_one_the_last_leader(
    search: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "dqlite.client")
    nodes = Nodes({"a": names("b"), "b": names("b")})
    searching = search(nodes, "a")

    assert searching.connect() == "b"
    assert "connected on fallback path to b" in caplog.text
    assert "connected on fast path" not in caplog.text
    nodes.dialled.clear()
    assert searching.connect() == "b"
    assert "connected on fast path to b" in caplog.text
    assert nodes.dialled == ["b"]


def test_last_leader_that_leads_no_more_is_forgotten(search: Any) -> None:
    nodes = Nodes({"a": names("a"), "b": names("b")})
    searching = search(nodes, "a", "b", options=replace(QUICK, concurrency=1))
    assert searching.connect() == "a"
    nodes.behaviours["a"] = names("")

    assert searching.connect() == "b"
    nodes.dialled.clear()
    assert searching.connect() == "b"
    assert nodes.dialled == ["b"]


def test_last_leader_that_redirects_is_followed(search: Any) -> None:
    nodes = Nodes({"a": names("a"), "b": names("b")})
    searching = search(nodes, "a")
    assert searching.connect() == "a"
    nodes.behaviours["a"] = names("b")

    assert searching.connect() == "b"


@pytest.mark.parametrize(
    "behaviours",
    [
        {"a": names("")},
        {"a": names("gone")},
        {"a": names("b"), "b": names("c"), "c": names("c")},
        {"a": names("b"), "b": names("")},
        {"a": silent},
        {},
    ],
    ids=["election", "dead-leader", "stale-leader", "deposed-leader", "silent", "down"],
)
def test_limit_of_two_more_attempts_makes_three(search: Any, behaviours: Any) -> None:
    nodes = Nodes(behaviours)
    options = SHORT if silent in behaviours.values() else QUICK
    options = replace(options, retry_limit=2)
    with pytest.raises(NoLeader, match="no available dqlite leader server found: "):
        search(nodes, "a", options=options).connect()

    assert nodes.dialled.count("a") == 3


def distrust() -> ssl.SSLError:
    """As Python raises it for a certificate of somebody else."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    return error


def test_search_ends_at_once_if_no_node_is_trusted(search: Any) -> None:
    nodes = Nodes({})
    nodes.refusals = {"a": distrust(), "b": distrust()}
    with pytest.raises(NotTrusted, match=r"connect to a: .*self-signed certificate") as found:
        search(nodes, "a", "b").connect(timeout_s=1000)

    assert sorted(nodes.dialled) == ["a", "b"]
    assert not found.value.retryable


def test_node_that_is_not_trusted_keeps_nobody_from_the_others(search: Any) -> None:
    nodes = Nodes({"b": names("b")})
    nodes.refusals = {"a": distrust()}

    assert search(nodes, "a", "b").connect() == "b"


@pytest.mark.parametrize("other", [ssl.SSLEOFError(8, "EOF"), ConnectionResetError(), None])
def test_search_goes_on_while_a_node_may_become_the_leader(search: Any, other: Any) -> None:
    nodes = Nodes({} if other else {"b": names("")})
    nodes.refusals = {"a": distrust()} | ({"b": other} if other else {})
    with pytest.raises(NoLeader, match="self-signed certificate"):
        search(nodes, "a", "b", options=replace(QUICK, retry_limit=2)).connect()

    assert sorted(nodes.dialled) == ["a", "a", "a", "b", "b", "b"]


def test_error_of_a_search_names_the_node_whose_answer_is_wrong(search: Any) -> None:
    nodes = Nodes({"n1:9001": lambda _request: schema.Welcome(15_000)})
    with pytest.raises(NoLeader, match="found: n1:9001: expected LeaderNode, got Welcome"):
        search(nodes, "n1:9001", options=replace(QUICK, retry_limit=0)).connect()


def test_options_take_one_way_to_connect() -> None:
    nodes = Nodes({})
    options = ConnectorOptions().over(nodes)  # type: ignore[arg-type]

    assert (options.dial, options.dial_blocking) == (nodes.dial_async, nodes.dial)
    with pytest.raises(Refused, match="got both"):
        options.over(nodes)  # type: ignore[arg-type]


def test_election_in_progress_is_waited_for(search: Any) -> None:
    answers = iter(["", ""])
    nodes = Nodes({"a": lambda request: names(next(answers, "b"))(request), "b": names("b")})

    assert search(nodes, "a").connect() == "b"


def test_dead_leader_is_waited_for_until_another_is_known(search: Any) -> None:
    answers = iter(["gone", "gone"])
    nodes = Nodes({"a": lambda request: names(next(answers, "a"))(request)})

    assert search(nodes, "a").connect() == "a"


def test_silent_node_keeps_nobody_from_the_leader(search: Any) -> None:
    nodes = Nodes({"a": silent, "b": names("b")})

    assert search(nodes, "a", "b").connect() == "b"


def test_search_ends_at_its_deadline(search: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(NoLeader, match=r"0\.2 s"):
        search(Nodes({"a": names("")}), "a").connect(timeout_s=0.2)

    assert time.monotonic() - begun < 10


def test_silence_ends_at_the_deadline_too(search: Any) -> None:
    with pytest.raises(NoLeader):
        search(Nodes({"a": silent}), "a", options=ConnectorOptions()).connect(timeout_s=0.2)


def test_empty_store_is_no_leader_and_says_so(search: Any) -> None:
    with pytest.raises(NoLeader, match="store is empty"):
        search(Nodes({}), options=replace(QUICK, retry_limit=0)).connect()


def test_redirect_that_is_not_allowed_is_not_dialled(search: Any) -> None:
    nodes = Nodes({"a": names("evil"), "evil": names("evil")})
    options = replace(QUICK, retry_limit=0, may_redirect={"a", "b"}.__contains__)
    with pytest.raises(NoLeader, match="redirects to evil, which is not allowed"):
        search(nodes, "a", options=options).connect()

    assert nodes.dialled == ["a"]


def test_voters_are_asked_before_others(search: Any) -> None:
    nodes = Nodes(dict.fromkeys("abc", names("")))
    stored = (
        Member(1, "a", Role.SPARE), Member(2, "b", Role.STANDBY), Member(3, "c", Role.VOTER),
    )  # fmt: skip
    options = replace(QUICK, retry_limit=0, concurrency=1)
    with pytest.raises(NoLeader):
        search(nodes, *stored, options=options).connect()

    assert nodes.dialled == ["c", "b", "a"]


@pytest.mark.parametrize("limit", [1, 3, lambda: 3])
def test_no_more_nodes_are_asked_at_a_time_than_allowed(search: Any, limit: Any) -> None:
    addresses = [f"n{i}" for i in range(9)]
    nodes = Nodes(dict.fromkeys(addresses, silent))
    options = replace(SHORT, retry_limit=0, concurrency=limit)
    with pytest.raises(NoLeader):
        search(nodes, *addresses, options=options).connect()

    assert sorted(nodes.dialled) == addresses[: limit if isinstance(limit, int) else limit()]


def test_connections_that_did_not_win_are_closed(search: Any) -> None:
    nodes = Nodes({"a": silent, "b": names("b"), "c": names("b"), "d": silent})
    searching = search(nodes, *"abcd", options=SHORT)
    searching.connect()
    deadline = time.monotonic() + 10
    while nodes.open_now and time.monotonic() < deadline:
        searching.rest()

    assert nodes.open_now == 0


def test_hanging_dial_ends_in_time() -> None:
    async def dial(_address: str) -> socket.socket:
        await asyncio.Event().wait()
        raise AssertionError

    options = replace(QUICK, dial=dial, dial_timeout_s=0.01, retry_limit=0)
    with pytest.raises(NoLeader, match="cannot connect to a: TimeoutError"):
        asyncio.run(Connector(MemoryStore.of("a"), options).connect(timeout_s=10))


def test_dial_is_given_its_time_limit() -> None:
    limits: queue.SimpleQueue[float] = queue.SimpleQueue()

    def dial(_address: str, timeout_s: float) -> socket.socket:
        limits.put(timeout_s)
        raise TimeoutError

    options = replace(QUICK, dial_blocking=dial, dial_timeout_s=0.01, retry_limit=0)
    with pytest.raises(NoLeader, match="cannot connect to a: TimeoutError"):
        BlockingConnector(MemoryStore.of("a"), options).connect(timeout_s=10)

    assert limits.get() == 0.01


def test_cancelled_search_ends_at_once_also_in_its_pause() -> None:
    async def main() -> None:
        async def dial(_address: str) -> socket.socket:
            asked.set()
            raise ConnectionRefusedError

        asked = asyncio.Event()
        options = ConnectorOptions(dial=dial, backoff_factor_s=500, backoff_cap_s=1000)
        task = asyncio.ensure_future(
            Connector(MemoryStore.of("a"), options).connect(timeout_s=1000)
        )
        await asked.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.parametrize("behaviour", [names(""), silent], ids=["pause", "answer"])
def test_closed_connector_ends_its_searches(behaviour: Behaviour) -> None:
    nodes = Nodes({"a": behaviour})
    options = ConnectorOptions(
        dial_blocking=nodes.dial, backoff_factor_s=500, backoff_cap_s=1000, attempt_timeout_s=0.5
    )
    connector = BlockingConnector(MemoryStore.of("a"), options)
    timer = threading.Timer(0.05, connector.close)
    timer.start()
    with pytest.raises(NoLeader, match="closed"):
        connector.connect(timeout_s=1000)
    timer.join()
    nodes.close()


def test_pauses_double_up_to_their_cap_and_end_with_the_attempts() -> None:
    assert list(islice(pauses(ConnectorOptions()), 6)) == [0.2, 0.4, 0.8, 1, 1, 1]
    assert list(pauses(ConnectorOptions(retry_limit=2))) == [0.2, 0.4, None]
    assert list(pauses(ConnectorOptions(retry_limit=0))) == [None]
    assert next(islice(pauses(ConnectorOptions()), 5000, None)) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"dial_timeout_s": 0}, {"backoff_cap_s": -1}, {"retry_limit": -1}, {"attempt_timeout_s": nan}],
)
def test_option_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidValue, match=next(iter(wrong))):
        ConnectorOptions(**wrong)


def test_one_text_is_one_address() -> None:
    assert MemoryStore.of("a:1").get() == MemoryStore.of(["a:1"]).get()
