"""
The leader connector: a client of the confirmed leader of the cluster that a store describes.

An attempt asks the last known leader first (the fast path), and then all stored nodes, voters
first. Attempts repeat with a growing pause until a leader is confirmed, or until the attempts or
the time are used up. Only a node that names itself is believed; a redirect is followed once.

`Connector` works in an event loop; `blocking_connector` has its twin for threads.

Source: go-dqlite `internal/protocol/connector.go`.
"""

import asyncio

from dqlite.client.client import Client
from dqlite.client.connection import Connection
from dqlite.client.leader import Search, ask, ask_all, is_hopeless
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


class Connector:
    """Finds the leader for tasks of one event loop; remembers who led last."""

    def __init__(self, store: NodeStore, options: ConnectorOptions | None = None) -> None:
        self._store = store
        self._options = options or ConnectorOptions()
        self._memory = Memory[Connection](self._options)

    def close(self) -> None:
        """Close the connection that is kept; idempotent. Searches go on."""
        self._memory.shared.close()

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
                    return self._memory.lent(client)
                for pause_s in pauses(self._options):
                    if (client := await self._attempt(failures)) is not None:
                        return self._memory.lent(client)
                    if is_hopeless(failures):
                        break
                    if pause_s is not None:
                        await asyncio.sleep(pause_s)
        except TimeoutError:
            failures.append(NoLeader(f"{timeout_s} s are over"))
        raise no_leader(failures)

    async def _ask_shared(self) -> Client | None:
        """Return a client over the connection that was kept, if its node still leads."""
        if (connection := self._memory.shared.take()) is None:
            return None
        client = Client(connection, timeout_s=self._options.dial_timeout_s)
        try:
            leader = await client.leader()
        except DqliteError:
            leader = None
        return self._memory.reused(client, leader)

    async def _attempt(self, failures: list[DqliteError]) -> Client | None:
        """Ask everyone once; without a leader, say why not."""
        options = self._options
        search = Search(
            options.dial,
            options.dial_timeout_s,
            options.attempt_timeout_s,
            options.request_timeout_s,
            options.may_redirect,
            concurrency(options),
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
        return client and self._memory.found(client, "fallback")

    async def _ask_last(self, search: Search) -> Client | None:
        """Ask who led last, and forget it if it does so no more."""
        if (address := self._memory.leader) is None:
            return None
        self._memory.leader = None  # also if this is cancelled
        try:
            return self._memory.found(await ask(address, search), "fast")
        except DqliteError as error:
            self._memory.forget(error)
            return None
