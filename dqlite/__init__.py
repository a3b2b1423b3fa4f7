"""
dqlite for Python: a client of the wire protocol, and nodes through libdqlite.

The client needs neither the library nor cffi. Names other than errors are imported when they are
first used, so a node does not load asyncio and a client does not load cffi.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dqlite.errors import (
    Abandoned,
    Busy,
    CapabilityMissing,
    Closed,
    ConnectionLost,
    ConstraintViolation,
    DatabaseError,
    DataError,
    DqliteError,
    Error,
    HandleLost,
    Indeterminate,
    IntegrityError,
    InterfaceError,
    InternalError,
    InvalidValue,
    LeadershipLost,
    LibraryNotFound,
    NodeError,
    NoLeader,
    NotApplied,
    NotLeader,
    NotSent,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    ProtocolError,
    Refused,
    ServerTooOld,
    StatementError,
    StoreError,
    TimedOut,
    Warning,  # noqa: A004 - PEP 249 names it
)

if TYPE_CHECKING:
    from dqlite.client.blocking import BlockingClient, BlockingDial
    from dqlite.client.client import Client
    from dqlite.client.connection import Attach, Connection, Dial, connect
    from dqlite.client.connector import BlockingConnector, Connector, ConnectorOptions
    from dqlite.client.leader import find_leader
    from dqlite.client.stores import (
        MemoryStore,
        NodeStore,
        SqliteStore,
        YamlStore,
        default_store,
    )
    from dqlite.client.transaction import Begin, transaction
    from dqlite.node.bindings import Capability, Library, LibraryIdentity, library_identity, load
    from dqlite.node.server import Node, NodeOptions, SnapshotParams
    from dqlite.values import Iso8601, Parameter, UnixTime, Value
    from dqlite.wire.schema import LeaderNode, Member, Metadata, Result, Role, Rows, Statement

_MODULES = {
    "node.bindings": ("Capability", "Library", "LibraryIdentity", "library_identity", "load"),
    "client.blocking": ("BlockingClient", "BlockingDial"),
    "client.client": ("Client",),
    "client.connection": ("Attach", "Connection", "Dial", "connect"),
    "client.connector": ("BlockingConnector", "Connector", "ConnectorOptions"),
    "client.leader": ("find_leader",),
    "client.stores": ("MemoryStore", "NodeStore", "SqliteStore", "YamlStore", "default_store"),
    "wire.schema": ("LeaderNode", "Member", "Metadata", "Result", "Role", "Rows", "Statement"),
    "node.server": ("Node", "NodeOptions", "SnapshotParams"),
    "client.transaction": ("Begin", "transaction"),
    "values": ("Iso8601", "Parameter", "UnixTime", "Value"),
}  # fmt: skip

__all__ = [  # noqa: RUF022 - grouped
    # Client
    "Attach", "Begin", "BlockingClient", "BlockingConnector", "BlockingDial", "Client",
    "Connection", "Connector", "ConnectorOptions", "Dial", "connect", "find_leader", "transaction",
    # Node stores
    "MemoryStore", "NodeStore", "SqliteStore", "YamlStore", "default_store",
    # Values
    "Iso8601", "LeaderNode", "Member", "Metadata", "Parameter", "Result", "Role", "Rows",
    "Statement", "UnixTime", "Value",
    # Node
    "Capability", "Library", "LibraryIdentity", "Node", "NodeOptions", "SnapshotParams",
    "library_identity", "load",
    # Errors: what a caller may conclude
    "Abandoned", "Busy", "CapabilityMissing", "Closed", "ConnectionLost", "ConstraintViolation",
    "DqliteError", "HandleLost", "Indeterminate", "InvalidValue", "LeadershipLost",
    "LibraryNotFound", "NoLeader", "NodeError", "NotApplied", "NotLeader", "NotSent",
    "ProtocolError", "Refused", "ServerTooOld", "StatementError", "StoreError", "TimedOut",
    # Errors: PEP 249
    "DataError", "DatabaseError", "Error", "IntegrityError", "InterfaceError", "InternalError",
    "NotSupportedError", "OperationalError", "ProgrammingError", "Warning",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"dqlite.{module}"), name)
    raise AttributeError(f"module 'dqlite' has no attribute {name!r}")
