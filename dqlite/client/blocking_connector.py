"""
The leader connector without an event loop: in the thread of the caller, with a few helper threads.

It looks for the leader as `connector` does.

Source: go-dqlite `internal/protocol/connector.go`.
"""

import queue
import threading
import time
from collections.abc import Sequence

from dqlite.client.blocking import BlockingClient
from dqlite.client.blocking_connection import BlockingConnection
from dqlite.client.leader import blamed, is_hopeless, not_confirmed, redirection
from dqlite.client.searching import (
    ConnectorOptions,
    Memory,
    concurrency,
    no_leader,
    ordered,
    pauses,
)
from dqlite.client.stores import NodeStore
from dqlite.errors import DqliteError, NoLeader


class BlockingConnector:
    """Finds the leader for the threads of a process; remembers who led last."""

    def __init__(self, store: NodeStore, options: ConnectorOptions | None = None) -> None:
        self._store = store
        self._options = options or ConnectorOptions()
        self._memory = Memory[BlockingConnection](self._options)
        self._closed = threading.Event()

    def close(self) -> None:
        """Wake whoever waits in `connect`, which then raises; keep no connection. Idempotent."""
        self._closed.set()
        self._memory.shared.close()

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
            return self._memory.lent(client)
        for pause_s in pauses(self._options):
            if (client := self._attempt(deadline, failures)) is not None:
                return self._memory.lent(client)
            if is_hopeless(failures):
                break
            if pause_s is not None and self._closed.wait(min(pause_s, _left(deadline))):
                failures.append(NoLeader("closed"))
                break
            if _left(deadline) <= 0:
                failures.append(NoLeader(f"{timeout_s} s are over"))
                break
        raise no_leader(failures)

    def _ask_shared(self, deadline: float) -> BlockingClient | None:
        """Return a client over the connection that was kept, if its node still leads."""
        if (connection := self._memory.shared.take()) is None:
            return None
        limit_s = min(self._options.dial_timeout_s, max(_left(deadline), 0.001))
        client = BlockingClient(connection, timeout_s=limit_s)
        try:
            leader = client.leader()
        except DqliteError:
            leader = None
        return self._memory.reused(client, leader)

    def _attempt(self, deadline: float, failures: list[DqliteError]) -> BlockingClient | None:
        """Ask everyone once; without a leader, say why not."""
        options = self._options
        until = min(deadline, time.monotonic() + options.attempt_timeout_s)
        failures.clear()
        if (client := self._ask_last(until)) is not None:
            return client
        addresses = [member.address for member in ordered(self._store.get())]
        client = _Round(addresses, options, until, self._closed).first(failures)
        return client and self._memory.found(client, "fallback")

    def _ask_last(self, until: float) -> BlockingClient | None:
        """Ask who led last, and forget it if it does so no more."""
        if (address := self._memory.leader) is None:
            return None
        try:
            return self._memory.found(_ask(address, self._options, until), "fast")
        except DqliteError as error:
            self._memory.forget(error)
            return None


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
        for _ in range(min(concurrency(self._options), self._count)):
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


def _left(deadline: float) -> float:
    return deadline - time.monotonic()
