"""
What each request is, once for all clients: its message, what is refused, what the answer gives.

`Client` and `BlockingClient` send these calls and add only the way to wait. Nothing here does I/O,
and a request that would damage a server never becomes a call.

Source: `dqlite/src/gateway.c`; go-dqlite `client/client.go`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from dqlite import errors, statements
from dqlite.errors import DqliteError, NotSent, ProtocolError, Refused, Scope, ServerTooOld
from dqlite.values import Parameter
from dqlite.wire import schema
from dqlite.wire.codec import FRAME_BYTES_MAX
from dqlite.wire.schema import Member, Metadata, Request, Result, Role, Rows, Statement

_Value = TypeVar("_Value")

_SCHEMA_0_PARAMETERS_MAX = 255

_PARSE = 1005
"""Code of a request that the server cannot read."""

LEAVE_BYTES_MAX = 1024 * 1024
"""How much of a result that is left early is passed over; beyond it a new connection is cheaper."""

BUSY_PAUSE_S = 0.1
"""Before administration is asked for again that another change of the configuration refused."""


def _same(answer: Any) -> Any:
    return answer


class Call(NamedTuple, Generic[_Value]):
    """
    A request that may be sent, and how to read its answer.

    Attributes:
        take: The answer, whose type the session has checked, to what the caller gets.
        scope: What the request can change, which decides what a failure means.
        answer_bytes_max: How long a dump may be.
    """

    request: Request
    take: Callable[[Any], _Value] = _same
    scope: Scope = Scope.STATEMENT
    answer_bytes_max: int = FRAME_BYTES_MAX


def refused(request: Request, failure: schema.Failure, scope: Scope) -> DqliteError:
    """Return the exception for a failure in answer to a request."""
    if failure.code == _PARSE and getattr(request, "schema", 0) == 1:
        return ServerTooOld(
            f"more than {_SCHEMA_0_PARAMETERS_MAX} parameters need dqlite 1.12 or newer: "
            f"{failure.message}",
            failure.code,
        )
    return errors.failure(failure.code, failure.message, scope)


def require_time(timeout_s: float) -> None:
    """Raise NotSent if no time is left: what is sent now could only time out, and be ambiguous."""
    if timeout_s <= 0:
        raise NotSent(f"no time is left: {timeout_s} s")


def part(request: Request, answer: schema.Response) -> Rows:
    """Return the part of a result, or raise the failure that ended it."""
    if isinstance(answer, schema.Failure):
        raise refused(request, answer, Scope.STATEMENT)
    if not isinstance(answer, Rows):  # the session checked it; this tells the type checker
        raise ProtocolError(f"expected Rows, got {type(answer).__name__}")
    return answer


# Any node answers


def leader() -> Call[schema.LeaderNode | None]:
    """Who leads; None if the node knows nobody."""
    return Call(schema.Leader(), lambda answer: answer if answer.address else None)


def register(client_id: int) -> Call[int]:
    """Introduce the client; the heartbeat timeout in ms."""
    return Call(schema.Register(client_id), lambda answer: answer.heartbeat_timeout_ms)


def cluster() -> Call[tuple[Member, ...]]:
    """The members."""
    return Call(schema.Cluster(), lambda answer: answer.members)


def describe() -> Call[Metadata]:
    """Failure domain and weight."""
    return Call(schema.Describe())


def weight(value: int) -> Call[None]:
    """Set the weight."""
    return Call(schema.Weight(value), _nothing, Scope.MEMBERSHIP)


def dump(database: str, bytes_max: int) -> Call[dict[str, bytes]]:
    """The two files of a database, by the two names that they may have."""
    name = statements.check_database_name(database)
    wanted = [name, f"{name}-wal"]

    def take(answer: schema.Files) -> dict[str, bytes]:
        if sorted(file.name for file in answer.files) != wanted:
            names = [file.name[:100] for file in answer.files]
            raise ProtocolError(f"expected the files {wanted} in a dump, got {names}")
        return dict(answer.files)

    return Call(schema.Dump(name), take, answer_bytes_max=bytes_max)


# The leader answers


def add(node_id: int, address: str) -> Call[None]:
    """Add a spare."""
    return Call(schema.Add(node_id, address), _nothing, Scope.MEMBERSHIP)


def assign(node_id: int, role: Role) -> Call[None]:
    """Give a member a role."""
    if role not in list(Role):
        raise Refused(f"expected a role from 0 to 2, got {role}: the server would hang")
    return Call(schema.Assign(node_id, Role(role)), _nothing, Scope.MEMBERSHIP)


def remove(node_id: int) -> Call[None]:
    """Remove a member."""
    return Call(schema.Remove(node_id), _nothing, Scope.MEMBERSHIP)


def transfer(node_id: int) -> Call[None]:
    """Hand over the leadership."""
    return Call(schema.Transfer(node_id), _nothing, Scope.MEMBERSHIP)


def open_database(database: str) -> Call[int]:
    """Open the one database of the connection; its id."""
    return Call(schema.Open(statements.check_database_name(database)), lambda answer: answer.id)


def exec_sql(database: int | None, sql: str, parameters: Sequence[Parameter]) -> Call[Result]:
    """Run SQL that gives no rows."""
    is_single = statements.check(sql) <= 1
    if parameters and not is_single:
        raise Refused("servers disagree on which of several statements takes the parameters")
    values, version = _parameters(parameters)
    request = schema.ExecSql(opened(database), sql, values, version)
    return Call(request, scope=Scope.STATEMENT if is_single else Scope.SCRIPT)


def query_sql(database: int | None, sql: str, parameters: Sequence[Parameter]) -> Call[Rows]:
    """Run one statement that gives rows."""
    _require_single(sql)
    values, version = _parameters(parameters)
    return Call(schema.QuerySql(opened(database), sql, values, version))


def prepare(database: int | None, sql: str) -> Call[Statement]:
    """Compile one statement."""
    _require_single(sql)
    return Call(schema.Prepare(opened(database), sql))


def prepare_first(database: int | None, sql: str) -> Call[Statement]:
    """Compile the first statement of a script."""
    statements.check(sql)
    return Call(schema.Prepare(opened(database), sql, schema=1))


def tail(sql: str, statement: Statement) -> str:
    """
    Return what follows the statement that `prepare_first` compiled; empty without a statement.

    Raises:
        ServerTooOld: If the answer does not say where that begins.
    """
    if statement.schema == 0:
        raise ServerTooOld("a script is walked by dqlite 1.15 or newer: prepare its statements")
    encoded = sql.encode()
    if statement.tail_offset > len(encoded):
        raise ProtocolError(
            f"expected an offset within {len(encoded)} bytes of SQL, got {statement.tail_offset}"
        )
    rest = encoded[statement.tail_offset :].decode(errors="replace")
    return rest if statements.check(rest) else ""


def exec_statement(statement: Statement, parameters: Sequence[Parameter]) -> Call[Result]:
    """Run a prepared statement that gives no rows."""
    values, version = _bind(statement, parameters)
    return Call(schema.Exec(statement.database, statement.id, values, version))


def query_statement(statement: Statement, parameters: Sequence[Parameter]) -> Call[Rows]:
    """Run a prepared statement that gives rows."""
    values, version = _bind(statement, parameters)
    return Call(schema.Query(statement.database, statement.id, values, version))


def finalize(statement: Statement) -> Call[None]:
    """Forget a prepared statement."""
    return Call(schema.Finalize(statement.database, statement.id), _nothing)


def interrupt(database: int | None) -> Call[None]:
    """Interrupt between requests."""
    return Call(schema.Interrupt(opened(database)), _nothing)


def _nothing(_answer: schema.Empty) -> None:
    return None


def opened(database: int | None) -> int:
    """Return the id of the open database; raises Refused if there is none."""
    if database is None:
        raise Refused("open a database first")
    return database


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
