"""
A system that runs on a cluster and is known by way of its clients, whatever kind they are.

Whether a node answers, who leads and whether a write goes through is asked with clients of the
user's, made for the question and closed after it. What such a client has no method for, the
deployment does not offer: without `is_leader` it has no `primaries`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import Any, Final, Protocol

from dissever.harness import store as files
from dissever.harness.bugs import is_bug
from dissever.harness.client import NotApplied
from dissever.harness.cluster import Cluster, NodeProcesses, NodeState, Program, Sockets
from dissever.harness.cluster.last_words import why_it_ended
from dissever.harness.forward import Forwarders, Traffic, written
from dissever.harness.runner import CannotRun
from dissever.harness.system import (
    Digest,
    Members,
    Membership,
    Primaries,
    Replica,
    Replicas,
    Unseen,
)
from dissever.harness.values import listed, reason
from dissever.harness.waiting import NotYet, first_acknowledged, until, waiting
from dissever.systems.clients import ClientKind, gives
from dissever.systems.clients.members import ClientsMembers
from dissever.workloads import transactions

__all__ = ["PROBE_KEY", "ClientsCluster", "ClientsDeployment"]

log = logging.getLogger(__name__)

PROBE_KEY: Final = 999_999_999
"""What is read and written to see whether nodes serve: workloads count their keys from 0."""

ASK_LIMIT_S: Final = 1.0
DIGEST_LIMIT_S: Final = 10.0
_POLL_S: Final = 0.1

_SERVES: Final = "waiting until every node serves"

_GREETINGS: Final = ("ping", "begin", "transaction", "read", "elements")
"""What a node is asked to see whether it answers; without any of them, it must accept."""

_LOOKS: Final[Mapping[str, tuple[int, ...]]] = {
    "read_list": (PROBE_KEY,),
    "read": (PROBE_KEY,),
    "select": (PROBE_KEY, 1, 0),
}
"""Methods that read in a transaction, and what they are asked to see whether a node answers."""

FORWARDER: Final = "forwarder.json"
"""In the folder of each node: what passed through the forwarders of each port."""


class ClientsCluster(Cluster, NodeProcesses, Sockets, Protocol):
    """What is asked of the hosts."""


class ClientsDeployment:
    """
    Implements `Deployment` and `Ports`, and what clients have the methods for.

    `is_leader` gives it `Primaries`, `digest` `Replicas`, and `members`, `add_member`,
    `remove_member` and `transfer` give it `Membership`.
    """

    primaries: Callable[[], Awaitable[tuple[str, ...]]]
    replicas: Callable[[], Awaitable[Mapping[str, Replica]]]
    members: Members

    def __init__(
        self,
        cluster: ClientsCluster,
        clients: ClientKind,
        *,
        client_ports: Sequence[int],
        peer_ports: Sequence[int] = (),
        programs: Callable[[str, tuple[str, ...]], Program] | None = None,
        not_ready: Callable[[ClientsDeployment], Awaitable[str]] | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """
        Make it; nothing is started.

        Args:
            client_ports: At least one; `Endpoint.address` leads to the first.
            peer_ports: None, if it is not known where nodes hear each other.
            programs: (node, joins) -> what it runs; `joins` are the members that it is to join,
                itself among them, and empty when it begins with all others. None: the cluster
                knows what its nodes run.
            not_ready: What else is missing until the system serves, in words; empty when nothing.
            options: What clients get to know as `Endpoint.options`.
        """
        self.cluster: Final = cluster
        self.client_ports: Final = tuple(client_ports)
        self.peer_ports: Final = tuple(peer_ports)
        self.traffic: dict[tuple[str, int], Traffic] = {}
        self._clients = clients
        self._programs = programs
        self._options = options
        self._not_ready = not_ready or _all_is_there
        self._numbers = count(1)
        self._closing: set[asyncio.Task[None]] = set()
        if gives(clients.has, Primaries):
            self.primaries = self._leading
        if gives(clients.has, Replicas):
            self.replicas = self._digests
        if gives(clients.has, Membership):
            self.members = ClientsMembers(self)

    @asynccontextmanager
    async def running(
        self, name: str, timeout_s: float, form: Callable[[ClientsDeployment], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """
        Start every node, have them form one cluster, and wait until the system serves.

        In the end, what passed through forwarders is written into the folder of each node.

        Args:
            name: The system's, for the message.

        Raises:
            CannotRun: When a node ends, with its last words; and when it takes longer than
                `timeout_s`, with what is missing.
        """
        try:
            await asyncio.gather(*(self.start_node(node) for node in self.cluster.nodes))
            with waiting("forming one cluster", timeout_s):
                await form(self)
            await self._await_ready(timeout_s, is_starting=True)
        except (OSError, RuntimeError) as error:
            raise CannotRun(f"{name} did not start: {error}") from error
        try:
            yield
        finally:
            self._keep_traffic()

    async def start_node(self, node: str, joins: tuple[str, ...] = ()) -> None:
        """Start a node's process; `joins` are the members that it is to join, if it is new."""
        program = None if self._programs is None else self._programs(node, joins)
        await self.cluster.start(node, program)

    def forwarders(self, node: str) -> Forwarders:
        """Forwarders for one more client of a node; the caller closes them."""
        return Forwarders(self.cluster, node, self.client_ports, self.traffic, self._options)

    async def open_store(self, store: str, node: str) -> Any:
        """A client of a node."""
        return await self._opened(store, node, self.forwarders(node))

    async def answers(self, node: str) -> bool:
        return await self._silence(node) is None

    async def _silence(self, node: str) -> str | None:
        """Why a node gave no answer; None when bytes of its own came back, whatever they said."""
        forwarders = self.forwarders(node)
        mark = forwarders.mark()
        if not any(map(self._clients.has, _GREETINGS)):
            return await self._refusal(node, self.client_ports[0])
        why = "its client sent it nothing"
        try:
            await self.ask(node, self._greeting, forwarders=forwarders)
        except Exception as error:
            if is_bug(error):
                raise
            why = reason(error)
        return None if forwarders.received_since(mark) else why

    async def _refusal(self, node: str, port: int) -> str | None:
        """Why a node accepts no connection at a port; None when it does."""
        try:
            (await self.cluster.dial(node, port, ASK_LIMIT_S)).close()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else reason(error)
            return f"{self.cluster.address(node)}:{port} accepts no connection: {why}"
        return None

    async def await_ready(self, timeout_s: float) -> Mapping[str, Any]:
        return await self._await_ready(timeout_s, is_starting=False)

    async def _await_ready(self, timeout_s: float, *, is_starting: bool) -> Mapping[str, Any]:
        start = asyncio.get_running_loop().time()
        ready = partial(self._ready, is_starting=is_starting)
        late = f"not ready after {timeout_s:g} s"
        what = "waiting for a leader" if self._clients.has("is_leader") else _SERVES
        found = await until(ready, timeout_s, _POLL_S, late=late, what=what)
        waited_ms = round((asyncio.get_running_loop().time() - start) * 1000)
        return {**found, "waited_ms": waited_ms}

    async def _ready(self, *, is_starting: bool) -> Mapping[str, Any]:
        """Who leads, if anybody can say so, and who acknowledged a change. Raises NotYet."""
        nodes = self.cluster.nodes
        reasons = await asyncio.gather(*(self._silence(node) for node in nodes))
        silent = {node: why for node, why in zip(nodes, reasons, strict=True) if why}
        if is_starting and not silent:
            silent = await self._closed_ports()
        leading = await self._leading() if self._clients.has("is_leader") else None
        if silent:
            first, why = next(iter(silent.items()))
            if is_starting:
                await self._fail_if_ended(tuple(silent))
                why = await self._refusal(first, self.client_ports[0]) or why
            raise NotYet(f"no answer from {listed(silent)}: {why}")
        if leading is not None and len(leading) != 1:
            both = f"{listed(leading)} each say that they lead"
            raise NotYet(both if leading else "no node says that it leads")
        by = await self._progress(nodes)
        if missing := await self._not_ready(self):
            raise NotYet(missing)
        return {**({"leader": leading[0]} if leading else {}), **by}

    async def _closed_ports(self) -> dict[str, str]:
        """Node -> which of its ports for clients accepts nothing, and why; the first was asked."""
        ports = [(node, port) for node in self.cluster.nodes for port in self.client_ports[1:]]
        refusals = await asyncio.gather(*(self._refusal(*each) for each in ports))
        return {node: why for (node, _), why in zip(ports, refusals, strict=True) if why}

    async def await_progress(self, nodes: Sequence[str], timeout_s: float) -> Mapping[str, Any]:
        late = f"no write by way of {listed(nodes)} within {timeout_s:g} s"
        return await until(partial(self._progress, nodes), timeout_s, _POLL_S, late=late)

    def _keep_traffic(self) -> None:
        for node in self.cluster.nodes:
            ports = written(self.traffic, node)
            folder = self.cluster.directory(node)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                files.write_text(folder / FORWARDER, json.dumps(ports, indent=2) + "\n")
            except OSError as error:  # Nothing is judged by it.
                log.warning("%s of %s could not be written: %s", FORWARDER, node, reason(error))

    async def _progress(self, nodes: Sequence[str]) -> Mapping[str, Any]:
        """By way of which node a change was acknowledged. Raises NotYet."""
        return await first_acknowledged(
            nodes, lambda node: self.ask(node, self._change), lambda error: not is_bug(error)
        )

    async def _greeting(self, client: Any) -> None:
        """Something that every node answers. A refusal is an answer, too."""
        with suppress(NotApplied):
            if self._clients.has("ping"):
                await client.ping()
            elif self._clients.has("begin") and (read := self._first(_LOOKS)):
                await client.begin()
                await getattr(client, read)(*_LOOKS[read])
                await client.rollback()
            elif self._clients.has("transaction"):
                await client.transaction([[transactions.READ, PROBE_KEY, None]])
            elif self._clients.has("read"):
                await client.read(PROBE_KEY)
            elif self._clients.has("elements"):
                await client.elements()

    async def _change(self, client: Any) -> None:
        """A change that no workload sees; a read, where there can be none."""
        has, number = self._clients.has, next(self._numbers)
        changes = {
            "append": (PROBE_KEY, number),
            "write": (PROBE_KEY, number),
            "insert": (PROBE_KEY, PROBE_KEY + number, number),
        }
        if has("tick"):
            await client.tick()
        elif has("begin") and (change := self._first(changes)):
            await client.begin()
            await getattr(client, change)(*changes[change])
            await client.commit()
        elif has("write"):
            await client.write(*changes["write"])
        elif has("ping"):
            await client.ping()
        elif has("transaction"):
            await client.transaction([[transactions.READ, PROBE_KEY, None]])
        elif has("elements"):
            await client.elements()

    def _first(self, methods: Iterable[str]) -> str | None:
        """The first of these methods that clients have."""
        return next(filter(self._clients.has, methods), None)

    async def _leading(self) -> tuple[str, ...]:
        nodes = self.cluster.nodes
        claims = await asyncio.gather(*(self._leads(node) for node in nodes))
        return tuple(node for node, leads in zip(nodes, claims, strict=True) if leads)

    async def _leads(self, node: str) -> bool:
        try:
            return bool(await self.ask(node, lambda client: client.is_leader()))
        except Exception as error:  # It says nothing, so it does not say that it leads.
            if is_bug(error):
                raise
            return False

    async def _digests(self) -> Mapping[str, Replica]:
        nodes = self.cluster.nodes
        digests = await asyncio.gather(*(self._digest(node) for node in nodes))
        return dict(zip(nodes, digests, strict=True))

    async def _digest(self, node: str) -> Replica:
        try:
            ask = self.ask(node, lambda client: client.digest(), limit_s=DIGEST_LIMIT_S)
            return Digest(str(await ask))
        except Exception as error:
            if is_bug(error):
                raise
            return Unseen(reason(error))

    async def ask(
        self,
        node: str,
        ask: Callable[[Any], Awaitable[Any]],
        *,
        limit_s: float = ASK_LIMIT_S,
        forwarders: Forwarders | None = None,
    ) -> Any:
        """What a new client of a node answers. Raises what it raises, or TimeoutError."""
        forwarders = forwarders or self.forwarders(node)
        try:
            async with asyncio.timeout(limit_s), self._client(node, forwarders) as client:
                return await ask(client)
        except TimeoutError as error:
            raise TimeoutError(f"{reason(error)} within {limit_s:g} s") from error

    async def insist(
        self, node: str, ask: Callable[[Any], Awaitable[Any]], timeout_s: float
    ) -> Any:
        """
        What a client of a node answers once it does not raise any more: for `form`.

        Raises:
            RuntimeError: When the node has ended; the message has its last words.
            TimeoutError: When the time is up, with what the last client raised.
        """

        async def asked() -> Any:
            try:
                return await self.ask(node, ask)
            except Exception as error:
                if is_bug(error):
                    raise
                await self._fail_if_ended((node,))
                raise NotYet(reason(error)) from error

        late = f"{node} did not do what was asked within {timeout_s:g} s"
        return await until(asked, timeout_s, _POLL_S, late=late)

    @asynccontextmanager
    async def _client(self, node: str, forwarders: Forwarders) -> AsyncIterator[Any]:
        client = None
        try:
            client = await self._opened("", node, forwarders)
            yield client
        finally:
            forwarders.reset()
            if client is not None:  # Nobody waits for what takes long to close.
                closing = asyncio.get_running_loop().create_task(client.close())
                self._closing.add(closing)
                closing.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("closing a client: %s", reason(error))

    async def _fail_if_ended(self, nodes: Sequence[str]) -> None:
        """Raise RuntimeError when a node ended though nobody asked it to."""
        for node in nodes:
            status = await self.cluster.status(node)
            if status.state is NodeState.GONE:
                raise RuntimeError(why_it_ended(self.cluster, node, status))

    async def _opened(self, store: str, node: str, forwarders: Forwarders) -> Any:
        directory = self.cluster.directory(node)
        return await self._clients.open(forwarders, store=store, directory=directory)


async def _all_is_there(_: ClientsDeployment) -> str:
    """Nothing is missing."""
    return ""
