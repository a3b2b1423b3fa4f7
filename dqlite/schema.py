"""
The messages of the wire protocol as data: one dataclass per message, one table for their bytes.

Requests and responses are described alike, so the same codec serves a client and a fake server.

Source: `dqlite/src/protocol.h`, `dqlite/src/request.h`, `dqlite/src/response.h`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import TypeAlias

from dqlite.values import Parameter, Value

VERSION = 1
"""Protocol version; its word is the handshake, and has no answer."""


class Role(IntEnum):
    """What a member does in raft."""

    VOTER = 0
    STANDBY = 1  # replicates, does not vote
    SPARE = 2  # does neither


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the cluster as its configuration knows it."""

    id: int
    address: str
    role: Role


# Requests


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads? Voters know; others answer id 0 and an empty address."""


@dataclass(frozen=True, slots=True)
class Register:
    """Introduce the client (CLIENT in the protocol)."""

    id: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """Open the one database of this connection."""

    name: str


@dataclass(frozen=True, slots=True)
class Prepare:
    """Compile a statement; schema 1 asks for the offset of what follows it."""

    database: int
    sql: str
    schema: int = 0


@dataclass(frozen=True, slots=True)
class Exec:
    """Run a prepared statement that gives no rows."""

    database: int
    statement: int
    parameters: tuple[Parameter, ...] = ()
    schema: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """Run a prepared statement that gives rows."""

    database: int
    statement: int
    parameters: tuple[Parameter, ...] = ()
    schema: int = 0


@dataclass(frozen=True, slots=True)
class Finalize:
    """Forget a prepared statement; its id is free again."""

    database: int
    statement: int


@dataclass(frozen=True, slots=True)
class ExecSql:
    """Run SQL that gives no rows."""

    database: int
    sql: str
    parameters: tuple[Parameter, ...] = ()
    schema: int = 0


@dataclass(frozen=True, slots=True)
class QuerySql:
    """Run one SQL statement that gives rows."""

    database: int
    sql: str
    parameters: tuple[Parameter, ...] = ()
    schema: int = 0


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Abort the pending query, if any."""

    database: int


@dataclass(frozen=True, slots=True)
class Add:
    """Add a spare."""

    id: int
    address: str


@dataclass(frozen=True, slots=True)
class Assign:
    """Give a member a role."""

    id: int
    role: Role


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a member."""

    id: int


@dataclass(frozen=True, slots=True)
class Dump:
    """Read the files of a database, as this node has them."""

    name: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """List the members, as this node knows them."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand the leadership to a voter; id 0 lets raft choose."""

    id: int


@dataclass(frozen=True, slots=True)
class Describe:
    """Read the metadata of this node."""


@dataclass(frozen=True, slots=True)
class Weight:
    """Set the weight of this node; lower is preferred; lost on restart."""

    weight: int


# Responses


@dataclass(frozen=True, slots=True)
class Failure:
    """The request failed; what a query had encoded before is cut off."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class LeaderNode:
    """The leader, or id 0 and an empty address (NODE in the protocol)."""

    id: int
    address: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """Answer to Register."""

    heartbeat_timeout_ms: int


@dataclass(frozen=True, slots=True)
class Members:
    """The configuration (NODES in the protocol)."""

    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Database:
    """The id of the opened database: always 0 (DB in the protocol)."""

    id: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A prepared statement; `tail_offset` (bytes of SQL) only with schema 1 (STMT)."""

    database: int
    id: int
    parameter_count: int
    tail_offset: int = 0
    schema: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement did; after anything but DML both are left over from an earlier one."""

    last_insert_id: int
    rows_affected: int


@dataclass(frozen=True, slots=True)
class Rows:
    """A result, or one part of it: `is_last` is False while more follow."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class Empty:
    """Done."""


@dataclass(frozen=True, slots=True)
class Files:
    """Names and contents of a dump: the database and its WAL."""

    files: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """Answer to Describe."""

    failure_domain: int
    weight: int


Request: TypeAlias = (
    Leader | Register | Open | Prepare | Exec | Query | Finalize | ExecSql | QuerySql | Interrupt
    | Add | Assign | Remove | Dump | Cluster | Transfer | Describe | Weight
)  # fmt: skip
Response: TypeAlias = (
    Failure | LeaderNode | Welcome | Members | Database | Statement | Result | Rows | Empty
    | Files | Metadata
)  # fmt: skip
Message: TypeAlias = Request | Response


WHOLE = "*"
"""Name of the one field of a message that is read and written as a whole."""


class Kind(Enum):
    """How a field is written."""

    U64 = auto()
    I64 = auto()
    U32 = auto()
    TEXT = auto()
    ROLE = auto()
    PARAMETERS = auto()  # counted in 8 bits with schema 0, in 32 with schema 1
    MEMBERS = auto()
    FILES = auto()
    ROWS = auto()  # the whole body of a Rows
    FAILURE = auto()  # the whole body of a Failure


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a body.

    Attributes:
        name: Of the attribute; `WHOLE` for the message itself; empty for `constant`, not read.
        schema: The least schema that has this field.
    """

    kind: Kind
    name: str
    constant: int | str = 0
    schema: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Type code and body of a message, the answer to expect, and the highest schema it knows."""

    code: int
    fields: tuple[Field, ...]
    answer: type[Response] | None = None
    schema_max: int = 0


_PAD = Field(Kind.U64, "")
_ID = Field(Kind.U64, "id")
_DATABASE = Field(Kind.U64, "database")
_HANDLES = (Field(Kind.U32, "database"), Field(Kind.U32, "statement"))
_SQL = Field(Kind.TEXT, "sql")
_PARAMETERS = Field(Kind.PARAMETERS, "parameters")
_NAME = Field(Kind.TEXT, "name")
_ADDRESS = Field(Kind.TEXT, "address")

REQUESTS: Mapping[type[Request], Layout] = {
    Leader: Layout(0, (_PAD,), LeaderNode),
    Register: Layout(1, (_ID,), Welcome),
    Open: Layout(3, (_NAME, _PAD, Field(Kind.TEXT, "", "volatile")), Database),
    Prepare: Layout(4, (_DATABASE, _SQL), Statement, schema_max=1),
    Exec: Layout(5, (*_HANDLES, _PARAMETERS), Result, schema_max=1),
    Query: Layout(6, (*_HANDLES, _PARAMETERS), Rows, schema_max=1),
    Finalize: Layout(7, _HANDLES, Empty),
    ExecSql: Layout(8, (_DATABASE, _SQL, _PARAMETERS), Result, schema_max=1),
    QuerySql: Layout(9, (_DATABASE, _SQL, _PARAMETERS), Rows, schema_max=1),
    Interrupt: Layout(10, (_DATABASE,), Empty),
    Add: Layout(12, (_ID, _ADDRESS), Empty),
    Assign: Layout(13, (_ID, Field(Kind.ROLE, "role")), Empty),
    Remove: Layout(14, (_ID,), Empty),
    Dump: Layout(15, (_NAME,), Files),
    Cluster: Layout(16, (Field(Kind.U64, "", 1),), Members),
    Transfer: Layout(17, (_ID,), Empty),
    Describe: Layout(18, (_PAD,), Metadata),
    Weight: Layout(19, (Field(Kind.U64, "weight"),), Empty),
}

RESPONSES: Mapping[type[Response], Layout] = {
    Failure: Layout(0, (Field(Kind.FAILURE, WHOLE),)),
    LeaderNode: Layout(1, (_ID, _ADDRESS)),
    Welcome: Layout(2, (Field(Kind.U64, "heartbeat_timeout_ms"),)),
    Members: Layout(3, (Field(Kind.MEMBERS, "members"),)),
    Database: Layout(4, (Field(Kind.U32, "id"), Field(Kind.U32, ""))),
    Statement: Layout(
        5,
        (
            Field(Kind.U32, "database"),
            Field(Kind.U32, "id"),
            Field(Kind.U64, "parameter_count"),
            Field(Kind.U64, "tail_offset", schema=1),
        ),
        schema_max=1,
    ),
    Result: Layout(6, (Field(Kind.I64, "last_insert_id"), Field(Kind.U64, "rows_affected"))),
    Rows: Layout(7, (Field(Kind.ROWS, WHOLE),)),
    Empty: Layout(8, (_PAD,)),
    Files: Layout(9, (Field(Kind.FILES, "files"),)),
    Metadata: Layout(10, (Field(Kind.U64, "failure_domain"), Field(Kind.U64, "weight"))),
}
