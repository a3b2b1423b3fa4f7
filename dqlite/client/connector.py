"""
The leader connector: a client of the confirmed leader of the cluster that a store describes.

An attempt asks the last known leader first (the fast path), and then all stored nodes, voters
first. Attempts repeat with a growing pause until a leader is confirmed, or until the attempts or
the time are used up. Only a node that names itself is believed; a redirect is followed once.

`Connector` works in an event loop, `BlockingConnector` in the thread of the caller with a few
helper threads. They share the options, the order, the pauses, and what an answer means.

Source: go-dqlite `internal/protocol/connector.go`.
"""

import asyncio
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol, Self

from dqlite.client.blocking import BlockingClient
from dqlite.client.blocking_connection import BlockingConnection, BlockingDial
from dqlite.client.client import Client
from dqlite.client.connection import Attach, Connection, Dial
from dqlite.client.leader import (
    MayRedirect,
    Search,
    ask,
    ask_all,
    blamed,
    is_hopeless,
    not_confirmed,
    not_found,
    redirection,
)
from dqlite.client.shared import SharedConnection
from dqlite.client.stores import NodeStore
from dqlite.errors import DqliteError, InvalidValue, NoLeader, NotTrusted, Refused
from dqlite.wire.schema import LeaderNode, Member

log = logging.getLogger(__name__)


class Dialler(Protocol):
    """Connects for both kinds of client; `dqlite.Tls` does, and any other transport of an App."""

    def dial(self, address: str, timeout_s: float) -> socket.socket:
        """As `BlockingDial`."""

    async def dial_async(self, address: str) -> socket.socket | Attach:
        """As `Dial`."""


@dataclass(frozen=True, slots=True)
class ConnectorOptions:
    """
    How a leader is looked for; times are in seconds.

    Raises InvalidValue for a time that is not above 0, and for a negative limit.

    Attributes:
        dial: How `Connector` connects; None for TCP and abstract unix sockets.
        dial_blocking: How `BlockingConnector` connects.
        dial_timeout_s: For one connection.
        attempt_timeout_s: For one attempt: all nodes asked once.
        backoff_factor_s: Attempt n is followed by a pause of this times 2**n,
        backoff_cap_s: but of no more than this.
        retry_limit: How many attempts follow a failed first one; None for no limit.
        concurrency: How many nodes are asked at a time; a function is asked at each attempt.
        may_redirect: Whether an address that a node names as its leader may be connected to; None
            allows all.
        request_timeout_s: Of the client that is found, for each request.
        shares_connection: Whether the connection of a client that is closed is kept for the next
            one, if no database was opened on it. Close such a connector in the end.
    """

    dial: Dial | None = None
    dial_blocking: BlockingDial | None = None
    dial_timeout_s: float = 5
    attempt_timeout_s: float = 15
    backoff_factor_s: float = 0.1
    backoff_cap_s: float = 1
    retry_limit: int | None = None
    concurrency: int | Callable[[], int] = 10
    may_redirect: MayRedirect | None = None
    request_timeout_s: float = 15
    shares_connection: bool = False

    def __post_init__(self) -> None:
        for name in (
            "dial_timeout_s", "attempt_timeout_s", "request_timeout_s", "backoff_factor_s",
            "backoff_cap_s",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise InvalidValue(f"expected a {name} above 0, got {getattr(self, name)!r}")
        if self.retry_limit is not None and self.retry_limit < 0:
            raise InvalidValue(f"expected a retry_limit of 0 or more, got {self.retry_limit!r}")

    def over(self, dialler: Dialler) -> Self:
        """
        Return these options with all connections made by `dialler`.

        Raises:
            Refused: If they say already how connections are made.
        """
        if self.dial is not None or self.dial_blocking is not None:
            raise Refused("expected a dial or TLS, got both")
        return replace(self, dial=dialler.dial_async, dial_blocking=dialler.dial)


class Connector:
    """Finds the leader for tasks of one event loop; remembers who led last."""

    def __init__(self, store: NodeStore, options: ConnectorOptions | None = None) -> None:
        self._store = store
        self._options = options or ConnectorOptions()
        self._leader: str | None = None
        self._shared = SharedConnection[Connection]()

    def close(self) -> None:
        """Close the connection that is kept; idempotent. Searches go on."""
        self._shared.close()

    async def connect(self, *, timeout_s: float) -> Client:
        """
        Return a client of the confirmed leader, which the caller closes.

        Raises:
            NoLeader: If none is confirmed within `timeout_s` and the limit of attempts.
            NotTrusted: If TLS is in the way at every node; that is known after one attempt.
            StoreError: If the store cannot be read.
        """
        failures: list[DqliteError] = []
        try:
            async with asyncio.timeout(timeout_s):
                if (client := await self._ask_shared()) is not None:
                    return self._lent(client)
                for pause_s in pauses(self._options):
                    if (client := await self._attempt(failures)) is not None:
                        return self._lent(client)
                    if is_hopeless(failures):
                        break
                    if pause_s is not None:
                        await asyncio.sleep(pause_s)
        except TimeoutError:
            failures.append(NoLeader(f"{timeout_s} s are over"))
        raise _no_leader(failures)

    def _lent(self, client: Client) -> Client:
        if self._options.shares_connection:
            client.share(self._shared.keep)
        return client

    async def _ask_shared(self) -> Client | None:
        """Return a client over the connection that was kept, if its node still leads."""
        if (connection := self._shared.take()) is None:
            return None
        client = Client(connection, timeout_s=self._options.dial_timeout_s)
        try:
            leader = await client.leader()
        except DqliteError:
            leader = None
        if not _is_reusable(client.address, leader):
            client.close()
            return None
        self._leader = client.address
        client.timeout_s = self._options.request_timeout_s
        return client

    async def _attempt(self, failures: list[DqliteError]) -> Client | None:
        """Ask everyone once; without a leader, say why not."""
        options = self._options
        search = Search(
            options.dial,
            options.dial_timeout_s,
            options.attempt_timeout_s,
            options.request_timeout_s,
            options.may_redirect,
            _concurrency(options),
        )
        failures.clear()
        try:
            async with asyncio.timeout(options.attempt_timeout_s):
                if (client := await self._ask_last(search)) is not None:
                    return client
                members = ordered(self._store.get())
                client, why = await ask_all([member.address for member in members], search)
                failures.extend(why)
        except TimeoutError:
            failures.append(NoLeader(f"nobody confirmed in {options.attempt_timeout_s} s"))
            return None
        if client is not None:
            log.debug("connected on fallback path to %s", client.address)
            self._leader = client.address
        return client

    async def _ask_last(self, search: Search) -> Client | None:
        """Ask who led last, and forget it if it does so no more."""
        if self._leader is None:
            return None
        address, self._leader = self._leader, None
        try:
            client = await ask(address, search)
        except DqliteError as error:
            log.debug("no leader on fast path: %s", error)
            return None
        log.debug("connected on fast path to %s", client.address)
        self._leader = client.address
        return client


class BlockingConnector:
    """Finds the leader for the threads of a process; remembers who led last."""

    def __init__(self, store: NodeStore, options: ConnectorOptions | None = None) -> None:
        self._store = store
        self._options = options or ConnectorOptions()
        self._leader: str | None = None
        self._shared = SharedConnection[BlockingConnection]()
        self._closed = threading.Event()

    def close(self) -> None:
        """Wake whoever waits in `connect`, which then raises; keep no connection. Idempotent."""
        self._closed.set()
        self._shared.close()

    def connect(self, *, timeout_s: float) -> BlockingClient:
        """
        Return a client of the confirmed leader, which the caller closes.

        Raises:
            NoLeader: If none is confirmed within `timeout_s` and the limit of attempts, or `close`
                was called.
            NotTrusted: If TLS is in the way at every node; that is known after one attempt.
            StoreError: If the store cannot be read.
        """
        deadline = time.monotonic() + timeout_s
        failures: list[DqliteError] = []
        if (client := self._ask_shared(deadline)) is not None:
            return self._lent(client)
        for pause_s in pauses(self._options):
            if (client := self._attempt(deadline, failures)) is not None:
                return self._lent(client)
            if is_hopeless(failures):
                break
            if pause_s is not None and self._closed.wait(min(pause_s, _left(deadline))):
                failures.append(NoLeader("closed"))
                break
            if _left(deadline) <= 0:
                failures.append(NoLeader(f"{timeout_s} s are over"))
                break
        raise _no_leader(failures)

    def _lent(self, client: BlockingClient) -> BlockingClient:
        if self._options.shares_connection:
            client.share(self._shared.keep)
        return client

    def _ask_shared(self, deadline: float) -> BlockingClient | None:
        """Return a client over the connection that was kept, if its node still leads."""
        if (connection := self._shared.take()) is None:
            return None
        limit_s = min(self._options.dial_timeout_s, max(_left(deadline), 0.001))
        client = BlockingClient(connection, timeout_s=limit_s)
        try:
            leader = client.leader()
        except DqliteError:
            leader = None
        if not _is_reusable(client.address, leader):
            client.close()
            return None
        self._leader = client.address
        client.timeout_s = self._options.request_timeout_s
        return client

    def _attempt(self, deadline: float, failures: list[DqliteError]) -> BlockingClient | None:
        """Ask everyone once; without a leader, say why not."""
        options = self._options
        until = min(deadline, time.monotonic() + options.attempt_timeout_s)
        failures.clear()
        if (client := self._ask_last(until)) is not None:
            return client
        addresses = [member.address for member in ordered(self._store.get())]
        client = _Round(addresses, options, until, self._closed).first(failures)
        if client is not None:
            log.debug("connected on fallback path to %s", client.address)
            self._leader = client.address
        return client

    def _ask_last(self, until: float) -> BlockingClient | None:
        """Ask who led last, and forget it if it does so no more."""
        if (address := self._leader) is None:
            return None
        try:
            client = _ask(address, self._options, until)
        except DqliteError as error:
            log.debug("no leader on fast path: %s", error)
            self._leader = None
            return None
        log.debug("connected on fast path to %s", client.address)
        self._leader = client.address
        return client


class _Round:
    """All nodes asked once, by a few threads that outlive it by the time limit of a request."""

    def __init__(
        self,
        addresses: Sequence[str],
        options: ConnectorOptions,
        until: float,
        closed: threading.Event,
    ) -> None:
        self._options = options
        self._until = until
        self._closed = closed
        self._addresses = iter(addresses)
        self._count = len(addresses)
        self._lock = threading.Lock()
        self._is_over = False
        self._answers: queue.SimpleQueue[BlockingClient | DqliteError] = queue.SimpleQueue()

    def first(self, failures: list[DqliteError]) -> BlockingClient | None:
        """Return the first confirmed leader; else None, and why each node led to none."""
        for _ in range(min(_concurrency(self._options), self._count)):
            threading.Thread(target=self._work, name="dqlite-leader", daemon=True).start()
        try:
            for _ in range(self._count):
                answer = self._next_answer()
                if isinstance(answer, BlockingClient):
                    return answer
                failures.append(answer)
                if self._closed.is_set():
                    break
            return None
        except queue.Empty:
            failures.append(NoLeader("nobody else answered in time"))
            return None
        finally:
            self._end()

    def _next_answer(self) -> BlockingClient | DqliteError:
        """Wait for an answer, and look now and then whether the connector was closed."""
        while (left := _left(self._until)) > 0:
            try:
                return self._answers.get(timeout=min(left, 0.1))
            except queue.Empty:
                if self._closed.is_set():
                    return NoLeader("closed")
        raise queue.Empty

    def _work(self) -> None:
        while True:
            with self._lock:
                is_over = self._is_over or _left(self._until) <= 0
                address = None if is_over else next(self._addresses, None)
            if address is None:
                return
            answer: BlockingClient | DqliteError
            try:
                answer = _ask(address, self._options, self._until)
            except DqliteError as error:
                answer = error
            with self._lock:
                if not self._is_over:
                    self._answers.put(answer)
                    continue
            if isinstance(answer, BlockingClient):
                answer.close()

    def _end(self) -> None:
        """Close what else was found, now or later."""
        with self._lock:
            self._is_over = True
        while not self._answers.empty():
            answer = self._answers.get()
            if isinstance(answer, BlockingClient):
                answer.close()


def _ask(address: str, options: ConnectorOptions, until: float) -> BlockingClient:
    """Return a client of the leader that this node names; `leader.ask` without an event loop."""
    for _ in range(2):  # the node, and where it redirects to
        client = BlockingClient.connect(
            address,
            dial=options.dial_blocking,
            timeout_s=min(options.dial_timeout_s, max(_left(until), 0.001)),
        )
        try:
            client.timeout_s = max(_left(until), 0.001)
            redirect = redirection(address, client.leader(), options.may_redirect)
            if redirect is None:
                client.register()
                client.timeout_s = options.request_timeout_s
                return client
        except DqliteError as error:
            client.close()
            raise blamed(address, error) from error
        except BaseException:
            client.close()
            raise
        client.close()
        address = redirect
    raise not_confirmed(address)


def _is_reusable(address: str, leader: LeaderNode | None) -> bool:
    """Whether the node at the other end of a kept connection still names itself; in Go's words."""
    is_leader = leader is not None and leader.address == address
    log.debug("%s shared connection to %s", "reusing" if is_leader else "discarding", address)
    return is_leader


def ordered(members: Sequence[Member]) -> list[Member]:
    """Voters first, then stand-bys, then spares: only voters know who leads."""
    return sorted(members, key=lambda member: member.role)


def pauses(options: ConnectorOptions) -> Iterator[float | None]:
    """Yield for each attempt how many seconds to wait after it failed; None after the last."""
    for attempt in count(1):
        if options.retry_limit is not None and attempt > options.retry_limit:
            yield None
            return
        yield min(options.backoff_cap_s, options.backoff_factor_s * 2.0 ** min(attempt, 60))


def _concurrency(options: ConnectorOptions) -> int:
    value = options.concurrency
    return max(1, value() if callable(value) else value)


def _left(deadline: float) -> float:
    return deadline - time.monotonic()


def _no_leader(failures: Sequence[DqliteError]) -> NoLeader | NotTrusted:
    """Go's text first: tools look for it."""
    return not_found("no available dqlite leader server found", failures, "the node store is empty")
