"""dqlite on every node of a cluster, whatever runs the nodes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import dqlite
from dissever.harness.cluster.last_words import why_it_ended
from dissever.harness.plan import Options
from dissever.harness.system import Members, Replica, Role, Snapshot, Unseen
from dissever.harness.values import listed, reason
from dissever.harness.waiting import NotYet, disagreement, first_acknowledged, until, waiting
from dissever.systems.dqlite.database import DATABASE, TABLES, TICK
from dissever.systems.dqlite.hosts import PORT, DqliteHosts
from dissever.systems.dqlite.options import QUORUM, TOKENS, option, voters_of
from dissever.systems.dqlite.resolving import was_committed
from dissever.systems.dqlite.stores import STORES, Session
from dqlite.dbapi import tokens
from dqlite.wire.schema import LeaderNode

ASK_LIMIT_S = 1.0
"""How long a node may take to say who leads."""

FIND_LIMIT_S = 5.0

COMMIT_SHARE = 0.25
"""Of the operation limit, how much an answer may take where a lost one is then resolved."""

START_LIMIT_S = 30.0
DUMP_LIMIT_S = 10.0
_POLL_S = 0.05


class DqliteDeployment:
    """dqlite on every node of a cluster."""

    def __init__(
        self,
        hosts: DqliteHosts,
        options: Options,
        rng: Random,
        members: Callable[[DqliteDeployment], Members],
    ) -> None:
        self.hosts = hosts
        self.cluster = cluster = hosts.cluster
        self.rng = rng
        self._options = options
        self._addresses = {node: f"{cluster.address(node)}:{PORT}" for node in cluster.nodes}
        self._names = {address: node for node, address in self._addresses.items()}
        self._ids = {node: number for number, node in enumerate(cluster.nodes, start=1)}
        self._stand_bys = frozenset(cluster.nodes) - frozenset(voters_of(options))
        self.members = members(self)
        self.builds = hosts.builds(self.start_node)

    @property
    def peer_ports(self) -> tuple[int, ...]:
        return (PORT,)

    @property
    def client_ports(self) -> tuple[int, ...]:
        return (PORT,)

    async def start(self) -> None:
        """
        Start every node, make them one cluster of voters, and make the tables.

        Raises:
            TimeoutError: When that takes too long; the message says what is missing.
        """
        await asyncio.gather(*(self.start_node(node) for node in self.cluster.nodes))
        with waiting("forming one cluster", START_LIMIT_S):
            async with asyncio.timeout(START_LIMIT_S):
                await self._form()
        await self.await_ready(START_LIMIT_S)

    async def _form(self) -> None:
        """Make the nodes that run one cluster, with the tables."""
        await asyncio.gather(*(self._await_answer(node) for node in self.cluster.nodes))
        first, *others = self.cluster.nodes
        voters = voters_of(self._options)
        async with await dqlite.find_leader(
            [self._addresses[first]],
            dial=self.dial,
            timeout_s=START_LIMIT_S,
            deadline_s=START_LIMIT_S,
        ) as leader:
            for node in others:
                role = dqlite.Role.VOTER if node in voters else dqlite.Role.STANDBY
                await self._join(leader, node, role)
            await leader.open(DATABASE)
            has_tokens = option(self._options, "commits") == TOKENS
            for sql in (*TABLES, *(tokens.SCHEMA if has_tokens else ())):
                await leader.exec_sql(sql)

    async def lead(self, node: str, limit_s: float) -> dqlite.Client:
        """
        A client of the leader that a node names, with the database open; the caller closes it.

        Raises:
            dqlite.NotApplied: When the node does not answer, knows nobody, or names one who denies.
        """
        address = self._addresses[node]
        for _ in range(2):  # the node, and the one it names
            client = await dqlite.Client.connect(address, dial=self.dial, timeout_s=limit_s)
            try:
                async with asyncio.timeout(ASK_LIMIT_S):
                    leader = await client.leader()
                if leader is None and node in self._stand_bys:
                    leader = await self._named_by_voters()
                if leader is not None and leader.address == address:
                    await client.register()
                    await client.open(DATABASE)
                    return client
            except TimeoutError as error:
                client.close()
                raise dqlite.NoLeader(f"{node} does not say who leads") from error
            except dqlite.DqliteError as error:
                client.close()
                # Nothing of the operation was sent yet.
                raise dqlite.NoLeader(f"by way of {node}: {error}", error.code) from error
            except BaseException:
                client.close()
                raise
            client.close()
            if leader is None:
                raise dqlite.NoLeader(f"{node} knows no leader")
            address = leader.address
        named = self._names.get(address, address)
        raise dqlite.NoLeader(f"{node} says that {named} leads, and {named} denies it")

    async def primaries(self) -> tuple[str, ...]:
        leaders = await asyncio.gather(*(self._leader_of(node) for node in self.cluster.nodes))
        nodes = zip(self.cluster.nodes, leaders, strict=True)
        return tuple(node for node, leader in nodes if leader == node)

    async def answers(self, node: str) -> bool:
        try:
            await self._ask(node)
        except (dqlite.DqliteError, TimeoutError):
            return False
        return True

    async def snapshots(self) -> Mapping[str, frozenset[Snapshot]]:
        nodes = self.cluster.nodes
        held = await asyncio.gather(*(self.hosts.snapshots(node) for node in nodes))
        return dict(zip(nodes, held, strict=True))

    async def await_ready(self, timeout_s: float) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        late = f"not ready after {timeout_s:g} s"
        leader = await until(
            self._ready, timeout_s, _POLL_S, late=late, what="waiting for a leader"
        )
        return {"leader": leader, "waited_ms": round((loop.time() - start) * 1000)}

    async def _ready(self) -> str:
        """The leader that every node names, once it has acknowledged a write. Raises NotYet."""
        nodes = self.cluster.nodes
        leaders = await asyncio.gather(*(self._leader_of(node) for node in nodes))
        named = dict(zip(nodes, leaders, strict=True))
        leader = next(filter(None, leaders), None)
        if leader is None or not set(leaders) <= {leader, None}:
            raise NotYet(disagreement(named))
        if unaware := [node for node in nodes if named[node] is None]:
            await self._expect_stand_bys(unaware)
        try:
            await self._write(leader)
        except dqlite.DqliteError as error:
            raise NotYet(f"{leader} leads, but a write fails: {error}") from error
        return leader

    async def _expect_stand_bys(self, nodes: Sequence[str]) -> None:
        """From 1.18 on only voters know who leads. Raises NotYet for others than stand-bys."""
        try:
            roles = await self.members.roles()
        except OSError as error:
            raise NotYet(str(error)) from error
        for node in nodes:
            if roles.get(node) is Role.VOTER or not await self.answers(node):
                raise NotYet(f"{node} names no leader")

    async def _named_by_voters(self) -> LeaderNode | None:
        """Who leads, as the first of the voters says that answers and knows."""
        for node in voters_of(self._options):
            try:
                leader = await self._ask(node)
            except (dqlite.DqliteError, TimeoutError):
                continue
            if leader is not None:
                return leader
        return None

    async def await_progress(self, nodes: Sequence[str], timeout_s: float) -> Mapping[str, Any]:
        late = f"no write by way of {listed(nodes)} within {timeout_s:g} s"
        return await until(partial(self._progress, nodes), timeout_s, _POLL_S, late=late)

    async def _progress(self, nodes: Sequence[str]) -> Mapping[str, Any]:
        """By way of which node a write was acknowledged. Raises NotYet."""
        return await first_acknowledged(
            nodes, self._write, lambda error: isinstance(error, dqlite.DqliteError | TimeoutError)
        )

    async def replicas(self) -> Mapping[str, Replica]:
        digests = await asyncio.gather(*(self._digest(node) for node in self.cluster.nodes))
        return dict(zip(self.cluster.nodes, digests, strict=True))

    async def _digest(self, node: str) -> Replica:
        """Of all rows: the files of equal databases differ in salts and in unmerged pages."""
        try:
            async with asyncio.timeout(DUMP_LIMIT_S):
                async with await dqlite.Client.connect(
                    self._addresses[node], dial=self.dial, timeout_s=DUMP_LIMIT_S
                ) as client:
                    files = await client.dump(DATABASE)
        except (dqlite.DqliteError, TimeoutError) as error:
            return Unseen(reason(error))
        return await self.hosts.digest(node, files)

    async def open_store(self, store: str, node: str) -> Any:
        has_tokens = option(self._options, "commits") == TOKENS
        limit_s = self._options.operation_limit_s
        session = Session(
            partial(self.lead, node, limit_s * (COMMIT_SHARE if has_tokens else 1)),
            self.rng,
            is_quorum=option(self._options, "consistency") == QUORUM,
            begin=dqlite.Begin[option(self._options, "begin").upper()],
            was_committed=partial(was_committed, self.find_leader, limit_s) if has_tokens else None,
        )
        await session.connected()
        return STORES[store](session)

    async def _join(self, leader: dqlite.Client, node: str, role: dqlite.Role) -> None:
        node_id = self.id_of(node)
        await _again(lambda: leader.add(node_id, self._addresses[node]))
        await _again(lambda: leader.assign(node_id, role))

    async def start_node(self, node: str) -> None:
        """Start a node's process, with the id that it has now."""
        await self.hosts.start(node, self.id_of(node), self._addresses[node], self.builds)

    def id_of(self, node: str) -> int:
        """Raft's id of a node."""
        return self._ids[node]

    def renew_id(self, node: str) -> None:
        """Give a node an id that nobody ever had."""
        self._ids[node] = max(self._ids.values()) + 1

    def address_of(self, node: str) -> str:
        """Where a node listens, as the others know it."""
        return self._addresses[node]

    def name_of(self, address: str) -> str:
        """The node that listens there; the address itself when it is none of ours."""
        return self._names.get(address, address)

    async def find_leader(self) -> dqlite.Client:
        """
        A client of the leader; the caller closes it.

        Raises:
            dqlite.DqliteError: When nobody leads in time.
        """
        return await dqlite.find_leader(
            list(self._addresses.values()),
            dial=self.dial,
            timeout_s=ASK_LIMIT_S,
            deadline_s=FIND_LIMIT_S,
        )

    async def dial(self, address: str) -> socket.socket | dqlite.Attach:
        """
        A way to the node that listens at an address; a socket is the caller's to close.

        Raises:
            OSError: When it is none of this cluster, or there is no connection in time.
        """
        node = self._names.get(address)
        if node is None:
            raise OSError(f"expected an address of this cluster, got {address}")
        return await self.hosts.dial(node, ASK_LIMIT_S)

    async def _await_answer(self, node: str) -> None:
        while not await self.answers(node):
            status = await self.cluster.status(node)
            if status.exit_status is not None:
                raise RuntimeError(why_it_ended(self.cluster, node, status))
            await asyncio.sleep(0.02)

    async def _leader_of(self, node: str) -> str | None:
        """The name of the node that a node takes for its leader; None also when it is silent."""
        try:
            leader = await self._ask(node)
        except (dqlite.DqliteError, TimeoutError):
            return None
        return None if leader is None else self._names.get(leader.address)

    async def _ask(self, node: str) -> LeaderNode | None:
        """Who leads, as a node says. Raises DqliteError or TimeoutError."""
        async with asyncio.timeout(ASK_LIMIT_S):
            async with await dqlite.Client.connect(
                self._addresses[node], dial=self.dial, timeout_s=ASK_LIMIT_S
            ) as client:
                return await client.leader()

    async def _write(self, node: str) -> None:
        async with await self.lead(node, ASK_LIMIT_S) as client:
            await client.exec_sql(TICK)


async def _again(request: Callable[[], Awaitable[None]]) -> None:
    """A change of membership is refused while another is under way; nothing happened then."""
    while True:
        try:
            await request()
        except dqlite.Busy:
            await asyncio.sleep(0.02)
        else:
            return
