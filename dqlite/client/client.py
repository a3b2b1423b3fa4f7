"""
Requests to one node, as methods; values in and out are plain Python.

Nothing is retried, and what would damage a server is refused before it is sent. Requests that
only a leader serves raise NotLeader elsewhere; `find_leader` finds it. Closing drops the
connection, and with it any open transaction.

Source: `dqlite/src/gateway.c`; go-dqlite `client/client.go`.
"""

from collections.abc import Sequence
from typing import Self, TypeVar

from dqlite import statements
from dqlite.client.connection import Connection, Dial, connect
from dqlite.errors import ProtocolError, Refused, Scope
from dqlite.values import Parameter
from dqlite.wire import schema
from dqlite.wire.schema import Member, Metadata, Request, Result, Role, Rows, Statement

_Answer = TypeVar("_Answer")

_SCHEMA_0_PARAMETERS_MAX = 255


class Client:
    """Speaks over one connection, which it owns; every request has the same time limit."""

    def __init__(self, connection: Connection, *, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._database: int | None = None

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
        return self._connection.is_open

    def close(self) -> None:
        """Drop the connection at once; idempotent."""
        self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    # Any node answers

    async def leader(self) -> schema.LeaderNode | None:
        """Return who leads, as this node believes; None if it knows nobody. Only voters know."""
        answer = await self._ask(schema.Leader(), schema.LeaderNode)
        return answer if answer.address else None

    async def register(self, client_id: int = 0) -> int:
        """Introduce this client; return the heartbeat timeout in ms, which nobody enforces."""
        answer = await self._ask(schema.Register(client_id), schema.Welcome)
        return answer.heartbeat_timeout_ms

    async def cluster(self) -> tuple[Member, ...]:
        """Return the members, as this node knows them; a fresh spare knows none."""
        return (await self._ask(schema.Cluster(), schema.Members)).members

    async def describe(self) -> Metadata:
        """Return failure domain and weight of this node."""
        return await self._ask(schema.Describe(), Metadata)

    async def weight(self, weight: int) -> None:
        """Set the weight of this node until it restarts; lower is preferred."""
        await self._ask(schema.Weight(weight), schema.Empty, Scope.MEMBERSHIP)

    async def dump(self, database: str) -> dict[str, bytes]:
        """
        Return the files of a database as this node has them: `name` and `name-wal`.

        Written side by side they open with sqlite3; leave out an empty WAL.

        Raises:
            ProtocolError: If the answer has other names: they are no paths that a node may choose.
        """
        name = statements.check_database_name(database)
        files = (await self._ask(schema.Dump(name), schema.Files)).files
        wanted = [name, f"{name}-wal"]
        if sorted(file.name for file in files) != wanted:
            names = [file.name[:100] for file in files]
            raise ProtocolError(f"expected the files {wanted} in a dump, got {names}")
        return dict(files)

    # The leader answers; code 1 is indeterminate here: read `cluster` to know

    async def add(self, node_id: int, address: str) -> None:
        """Add a node as a spare. The node need not run, and needs no message."""
        await self._ask(schema.Add(node_id, address), schema.Empty, Scope.MEMBERSHIP)

    async def assign(self, node_id: int, role: Role) -> None:
        """Give a member a role. A future voter must be up; this waits until it has caught up."""
        if role not in list(Role):
            raise Refused(f"expected a role from 0 to 2, got {role}: the server would hang")
        await self._ask(schema.Assign(node_id, Role(role)), schema.Empty, Scope.MEMBERSHIP)

    async def remove(self, node_id: int) -> None:
        """Remove a member."""
        await self._ask(schema.Remove(node_id), schema.Empty, Scope.MEMBERSHIP)

    async def transfer(self, node_id: int = 0) -> None:
        """Hand the leadership to a voter, 0 for any, and wait until this node leads no longer."""
        await self._ask(schema.Transfer(node_id), schema.Empty, Scope.MEMBERSHIP)

    # SQL: the leader answers

    async def open(self, database: str) -> None:
        """
        Open the one database of this connection. It proves no leadership before dqlite 1.18.2.

        On 1.11.1 no name of a database may be a prefix of another.
        """
        name = statements.check_database_name(database)
        self._database = (await self._ask(schema.Open(name), schema.Database)).id

    async def exec_sql(self, sql: str, parameters: Sequence[Parameter] = ()) -> Result:
        """
        Run SQL that gives no rows. The result means something after INSERT, UPDATE and DELETE only.

        Several statements commit one by one, and a failure among them is always Indeterminate.
        """
        is_single = statements.check(sql) <= 1
        if parameters and not is_single:
            raise Refused("servers disagree on which of several statements takes the parameters")
        values, version = _parameters(parameters)
        request = schema.ExecSql(self._opened(), sql, values, version)
        return await self._ask(request, Result, Scope.STATEMENT if is_single else Scope.SCRIPT)

    async def query_sql(self, sql: str, parameters: Sequence[Parameter] = ()) -> Rows:
        """Run one statement that gives rows, and return all of them."""
        _require_single(sql)
        values, version = _parameters(parameters)
        return await self._ask(schema.QuerySql(self._opened(), sql, values, version), Rows)

    async def prepare(self, sql: str) -> Statement:
        """Compile one statement; an id is used again after `finalize`."""
        _require_single(sql)
        return await self._ask(schema.Prepare(self._opened(), sql), Statement)

    async def exec(self, statement: Statement, parameters: Sequence[Parameter] = ()) -> Result:
        """Run a prepared statement that gives no rows."""
        values, version = _bind(statement, parameters)
        return await self._ask(
            schema.Exec(statement.database, statement.id, values, version), Result
        )

    async def query(self, statement: Statement, parameters: Sequence[Parameter] = ()) -> Rows:
        """Run a prepared statement that gives rows, and return all of them."""
        values, version = _bind(statement, parameters)
        return await self._ask(
            schema.Query(statement.database, statement.id, values, version), Rows
        )

    async def finalize(self, statement: Statement) -> None:
        """Forget a prepared statement."""
        await self._ask(schema.Finalize(statement.database, statement.id), schema.Empty)

    async def interrupt(self) -> None:
        """Interrupt between requests, a no-op of the server. To stop a running query, close."""
        await self._ask(schema.Interrupt(self._opened()), schema.Empty)

    async def _ask(
        self, request: Request, kind: type[_Answer], scope: Scope = Scope.STATEMENT
    ) -> _Answer:
        answer = await self._connection.request(request, timeout_s=self._timeout_s, scope=scope)
        if not isinstance(answer, kind):  # the session checked it; this tells the type checker
            raise ProtocolError(f"expected {kind.__name__}, got {type(answer).__name__}")
        return answer

    def _opened(self) -> int:
        if self._database is None:
            raise Refused("open a database first")
        return self._database


def _require_single(sql: str) -> None:
    if statements.check(sql) > 1:
        raise Refused("expected one statement, got several: use exec_sql")


def _parameters(parameters: Sequence[Parameter]) -> tuple[tuple[Parameter, ...], int]:
    """The values, and the schema that can count them; 1.11.1 knows schema 0 only."""
    return tuple(parameters), int(len(parameters) > _SCHEMA_0_PARAMETERS_MAX)


def _bind(
    statement: Statement, parameters: Sequence[Parameter]
) -> tuple[tuple[Parameter, ...], int]:
    if len(parameters) != statement.parameter_count:
        raise Refused(
            f"expected {statement.parameter_count} parameters, got {len(parameters)}: "
            "old servers would use those of the previous run"
        )
    return _parameters(parameters)
