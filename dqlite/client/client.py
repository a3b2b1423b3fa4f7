"""
Requests to one node, as methods; values in and out are plain Python.

Nothing is retried, and what would damage a server is refused before it is sent. Requests that
only a leader serves raise NotLeader elsewhere; `find_leader` finds it. Closing drops the
connection, and with it any open transaction.

Source: `dqlite/src/gateway.c`; go-dqlite `client/client.go`.
"""

import asyncio
from collections.abc import Sequence
from typing import Self, TypeVar

from dqlite.client import requests
from dqlite.client.connection import Connection, Dial, connect
from dqlite.client.requests import BUSY_PAUSE_S, Call
from dqlite.client.shared import Keep
from dqlite.client.streams import RowStream
from dqlite.errors import Busy, NotSent
from dqlite.values import Parameter
from dqlite.wire.codec import FRAME_BYTES_MAX
from dqlite.wire.schema import LeaderNode, Member, Metadata, Result, Role, Rows, Statement

_Value = TypeVar("_Value")


class Client:
    """
    Speaks over one connection, which it owns.

    Attributes:
        timeout_s: For each request from now on; it may be changed between requests.
    """

    def __init__(self, connection: Connection, *, timeout_s: float) -> None:
        self._connection = connection
        self.timeout_s = timeout_s
        self._database: int | None = None
        self._keep: Keep | None = None
        self._is_closed = False

    @classmethod
    async def connect(cls, address: str, *, dial: Dial | None = None, timeout_s: float) -> Self:
        """
        Connect to one node; `timeout_s` holds for the connection and for each request.

        Raises:
            NotSent: If there is no connection in time.
        """
        connection = await connect(address, dial=dial, timeout_s=timeout_s)
        return cls(connection, timeout_s=timeout_s)

    @property
    def address(self) -> str:
        """Of the node."""
        return self._connection.address

    @property
    def is_open(self) -> bool:
        """False once the connection is of no more use."""
        return not self._is_closed and self._connection.is_open

    def close(self) -> None:
        """Drop the connection at once, or give it back if it is shared; idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._keep is None or not self._keep(self._connection):
            self._connection.close()

    def share(self, keep: Keep) -> None:
        """Offer the connection to `keep` once this client is closed, unless it opens a database."""
        self._keep = keep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    # Any node answers

    async def leader(self) -> LeaderNode | None:
        """Return who leads, as this node believes; None if it knows nobody. Only voters know."""
        return await self._ask(requests.leader())

    async def register(self, client_id: int = 0) -> int:
        """Introduce this client; return the heartbeat timeout in ms, which nobody enforces."""
        return await self._ask(requests.register(client_id))

    async def cluster(self) -> tuple[Member, ...]:
        """Return the members, as this node knows them; a fresh spare knows none."""
        return await self._ask(requests.cluster())

    async def describe(self) -> Metadata:
        """Return failure domain and weight of this node."""
        return await self._ask(requests.describe())

    async def weight(self, weight: int) -> None:
        """Set the weight of this node until it restarts; lower is preferred."""
        await self._ask(requests.weight(weight))

    async def dump(self, database: str, *, bytes_max: int = FRAME_BYTES_MAX) -> dict[str, bytes]:
        """
        Return the files of a database as this node has them: `name` and `name-wal`.

        Written side by side they open with sqlite3, as `save_dump` does. The files are held in
        memory, some three times while they arrive.

        Args:
            bytes_max: Of both files together; a longer answer ends the connection.

        Raises:
            ProtocolError: If the answer is longer, or has other names: they are no paths that a
                node may choose.
        """
        return await self._ask(requests.dump(database, bytes_max))

    # The leader answers. Code 1 is indeterminate here: read `cluster` to know. Another change of
    # the configuration in progress is waited for, as long as the time limit of the request allows.

    async def add(self, node_id: int, address: str, role: Role = Role.SPARE) -> None:
        """
        Add a node, which need not run to become a spare, and give it its role.

        These are two requests: if the second one fails, the node is a spare.
        """
        assign = requests.assign(node_id, role)  # refuses what is no role before anything is sent
        await self._administer(requests.add(node_id, address))
        if role is not Role.SPARE:
            await self._administer(assign)

    async def assign(self, node_id: int, role: Role) -> None:
        """Give a member a role. A future voter must be up; this waits until it has caught up."""
        await self._administer(requests.assign(node_id, role))

    async def remove(self, node_id: int) -> None:
        """Remove a member."""
        await self._administer(requests.remove(node_id))

    async def transfer(self, node_id: int = 0) -> None:
        """Hand the leadership to a voter, 0 for any, and wait until this node leads no longer."""
        await self._administer(requests.transfer(node_id))

    # SQL: the leader answers

    async def open(self, database: str) -> None:
        """
        Open the one database of this connection. It proves no leadership before dqlite 1.18.2.

        On 1.11.1 no name of a database may be a prefix of another.
        """
        self._keep = None  # the server keeps the database, and its transaction, with the connection
        self._database = await self._ask(requests.open_database(database))

    async def exec_sql(self, sql: str, parameters: Sequence[Parameter] = ()) -> Result:
        """
        Run SQL that gives no rows. The result means something after INSERT, UPDATE and DELETE only.

        Several statements commit one by one, and a failure among them is always Indeterminate.
        """
        return await self._ask(requests.exec_sql(self._database, sql, parameters))

    async def query_sql(self, sql: str, parameters: Sequence[Parameter] = ()) -> Rows:
        """Run one statement that gives rows, and return all of them."""
        return await self._ask(requests.query_sql(self._database, sql, parameters))

    async def stream_sql(self, sql: str, parameters: Sequence[Parameter] = ()) -> RowStream:
        """Run one statement that gives rows, and return these part by part, as they come."""
        return await self._stream(requests.query_sql(self._database, sql, parameters))

    async def prepare(self, sql: str) -> Statement:
        """Compile one statement; an id is used again after `finalize`."""
        return await self._ask(requests.prepare(self._database, sql))

    async def prepare_first(self, sql: str) -> tuple[Statement, str]:
        """
        Compile the first statement of a script; return it and the rest, empty after the last one.

        Raises:
            ServerTooOld: By dqlite before 1.15, which does not say where a statement ends.
        """
        statement = await self._ask(requests.prepare_first(self._database, sql))
        if statement.schema == 0:
            await self.finalize(statement)
        return statement, requests.tail(sql, statement)

    async def exec(self, statement: Statement, parameters: Sequence[Parameter] = ()) -> Result:
        """Run a prepared statement that gives no rows."""
        return await self._ask(requests.exec_statement(statement, parameters))

    async def query(self, statement: Statement, parameters: Sequence[Parameter] = ()) -> Rows:
        """Run a prepared statement that gives rows, and return all of them."""
        return await self._ask(requests.query_statement(statement, parameters))

    async def stream(self, statement: Statement, parameters: Sequence[Parameter] = ()) -> RowStream:
        """Run a prepared statement that gives rows, and return these part by part."""
        return await self._stream(requests.query_statement(statement, parameters))

    async def finalize(self, statement: Statement) -> None:
        """Forget a prepared statement."""
        await self._ask(requests.finalize(statement))

    async def interrupt(self) -> None:
        """Interrupt between requests, a no-op of the server. To stop a running query, close."""
        await self._ask(requests.interrupt(self._database))

    def _usable(self) -> Connection:
        if self._is_closed:
            raise NotSent("the client is closed")
        return self._connection

    async def _stream(self, call: Call[Rows]) -> RowStream:
        database, timeout_s = requests.opened(self._database), self.timeout_s
        first = await self._usable().request_parts(call.request, timeout_s=timeout_s)
        return RowStream(self._connection, database, call.request, first, timeout_s=timeout_s)

    async def _ask(self, call: Call[_Value]) -> _Value:
        answer = await self._usable().request(
            call.request,
            timeout_s=self.timeout_s,
            scope=call.scope,
            answer_bytes_max=call.answer_bytes_max,
        )
        return call.take(answer)

    async def _administer(self, call: Call[None]) -> None:
        """Ask, and ask again while the server says that it did nothing because it is busy."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.timeout_s
        while True:
            try:
                return await self._ask(call)
            except Busy:
                if clock() + BUSY_PAUSE_S > deadline:
                    raise
                await asyncio.sleep(BUSY_PAUSE_S)
