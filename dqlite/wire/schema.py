"""
The messages of the wire protocol as data: one dataclass per message; `codec` has their bytes.

Source: `dqlite/src/protocol.h`, `dqlite/src/request.h`, `dqlite/src/response.h`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from dqlite.values import Parameter, Value

VERSION = 1
"""Protocol version; its word is the handshake, and has no answer."""

LEGACY_VERSION = 0x86104DD760433FE5
"""Of the protocol before 1.0."""


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
class Heartbeat:
    """Say that the client lives. No server implements it, and dqlite 1.11 never answers."""

    timestamp: int


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
class Connect:
    """From node to node: what follows on the connection is raft, and no answer."""

    id: int
    address: str


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
    """List the members, as this node knows them; format 0 leaves out their roles."""

    format: int = 1


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
class LeaderAddress:
    """The leader, or an empty address: NODE after the handshake of before 1.0."""

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
class Addresses:
    """The configuration without roles: NODES in answer to Cluster of format 0."""

    nodes: tuple[LeaderNode, ...]


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


class File(NamedTuple):
    """A file of a database."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Files:
    """A dump: the database and its WAL."""

    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """Answer to Describe."""

    failure_domain: int
    weight: int


Request: TypeAlias = (
    Leader | Register | Heartbeat | Open | Prepare | Exec | Query | Finalize | ExecSql | QuerySql
    | Interrupt | Connect | Add | Assign | Remove | Dump | Cluster | Transfer | Describe
    | Weight
)  # fmt: skip
Response: TypeAlias = (
    Failure | LeaderNode | LeaderAddress | Welcome | Members | Addresses | Database | Statement
    | Result | Rows | Empty | Files | Metadata
)  # fmt: skip
Message: TypeAlias = Request | Response
