"""
dqlite for Python: PEP 249, a client of the wire protocol, and nodes through libdqlite.

This is a module of PEP 249 (`connect`); `dqlite.aio` is the same for asyncio. The client needs
neither the library nor cffi. Names other than errors are imported when they are
first used, so a node does not load asyncio and a client does not load cffi.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dqlite.errors import (
    Abandoned,
    BackupError,
    Busy,
    CapabilityMissing,
    Closed,
    ConnectionLost,
    ConstraintViolation,
    DamagedFiles,
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
    NotTrusted,
    OperationalError,
    ProgrammingError,
    ProtocolError,
    Refused,
    ServerTooOld,
    StatementError,
    StoreError,
    TimedOut,
    TokenExpired,
    Warning,  # noqa: A004 - PEP 249 names it
)

if TYPE_CHECKING:
    from dqlite import aio
    from dqlite.app.app import App
    from dqlite.app.backup import backup
    from dqlite.app.health import HealthReport
    from dqlite.app.roles import RolesConfig
    from dqlite.app.tls import Tls, simple_tls_config
    from dqlite.app.transport import External, Transport
    from dqlite.client.blocking import BlockingClient
    from dqlite.client.blocking_connection import BlockingDial
    from dqlite.client.blocking_connector import BlockingConnector
    from dqlite.client.client import Client
    from dqlite.client.connection import Attach, Dial
    from dqlite.client.connector import Connector
    from dqlite.client.dumps import save_dump
    from dqlite.client.leader import find_leader
    from dqlite.client.searching import ConnectorOptions
    from dqlite.client.stores import (
        MemoryStore,
        NodeStore,
        SqliteStore,
        YamlStore,
        default_store,
    )
    from dqlite.client.streams import BlockingRowStream, RowStream
    from dqlite.client.transaction import transaction
    from dqlite.dbapi.connection import Connection, Cursor, Transaction
    from dqlite.dbapi.database import Database, connect
    from dqlite.dbapi.options import Consistency
    from dqlite.dbapi.values import (
        BINARY,
        DATETIME,
        NUMBER,
        ROWID,
        STRING,
        Binary,
        Date,
        DateFromTicks,
        Time,
        TimeFromTicks,
        Timestamp,
        TimestampFromTicks,
    )
    from dqlite.node.bindings import (
        Capability,
        Library,
        LibraryIdentity,
        config_multi_thread,
        config_single_thread,
        library_identity,
        load,
    )
    from dqlite.node.files import LastEntryInfo
    from dqlite.node.ids import BOOTSTRAP_ID, generate_id
    from dqlite.node.membership import (
        read_last_entry_info,
        reconfigure_membership,
        reconfigure_membership_ext,
    )
    from dqlite.node.options import NodeOptions, RoleManagement, SnapshotParams, TrailingStrategy
    from dqlite.node.recovery import Recovered, recover_cluster
    from dqlite.node.server import Node
    from dqlite.values import Begin, Iso8601, Parameter, UnixTime, Value
    from dqlite.wire.schema import LeaderNode, Member, Metadata, Result, Role, Rows, Statement

_MODULES = {
    "app.app": ("App",),
    "app.backup": ("backup",),
    "app.restoration": ("restore",),
    "app.health": ("HealthReport",),
    "app.roles": ("RolesConfig",),
    "app.tls": ("Tls", "simple_tls_config"),
    "app.transport": ("External", "Transport"),
    "node.bindings": (
        "Capability", "Library", "LibraryIdentity", "config_multi_thread", "config_single_thread",
        "library_identity", "load",
    ),
    "client.blocking": ("BlockingClient",),
    "client.blocking_connection": ("BlockingDial",),
    "client.streams": ("BlockingRowStream", "RowStream"),
    "client.client": ("Client",),
    "client.connection": ("Attach", "Dial"),
    "client.blocking_connector": ("BlockingConnector",),
    "client.connector": ("Connector",),
    "client.searching": ("ConnectorOptions",),
    "client.dumps": ("save_dump",),
    "client.leader": ("find_leader",),
    "dbapi.connection": ("Connection", "Cursor", "Transaction"),
    "dbapi.database": ("Database", "connect"),
    "dbapi.options": ("Consistency",),
    "dbapi.values": (
        "BINARY", "DATETIME", "NUMBER", "ROWID", "STRING", "Binary", "Date", "DateFromTicks",
        "Time", "TimeFromTicks", "Timestamp", "TimestampFromTicks",
    ),
    "client.stores": ("MemoryStore", "NodeStore", "SqliteStore", "YamlStore", "default_store"),
    "wire.schema": ("LeaderNode", "Member", "Metadata", "Result", "Role", "Rows", "Statement"),
    "node.files": ("LastEntryInfo",),
    "node.ids": ("BOOTSTRAP_ID", "generate_id"),
    "node.membership": (
        "read_last_entry_info", "reconfigure_membership", "reconfigure_membership_ext",
    ),
    "node.options": ("NodeOptions", "RoleManagement", "SnapshotParams", "TrailingStrategy"),
    "node.recovery": ("Recovered", "recover_cluster"),
    "node.server": ("Node",),
    "client.transaction": ("transaction",),
    "values": ("Begin", "Iso8601", "Parameter", "UnixTime", "Value"),
}  # fmt: skip

apilevel = "2.0"
threadsafety = 1
"""Threads may share the module, but no connection."""
paramstyle = "qmark"

__all__ = [  # noqa: RUF022 - grouped
    # PEP 249
    "Connection", "Consistency", "Cursor", "Database", "Transaction", "aio", "apilevel", "connect",
    "paramstyle", "threadsafety",
    "BINARY", "DATETIME", "NUMBER", "ROWID", "STRING",
    "Binary", "Date", "DateFromTicks", "Time", "TimeFromTicks", "Timestamp", "TimestampFromTicks",
    # Application
    "App", "External", "HealthReport", "RolesConfig", "Tls", "Transport", "backup", "restore",
    "simple_tls_config",
    # Client
    "Attach", "Begin", "BlockingClient", "BlockingConnector", "BlockingDial", "BlockingRowStream",
    "Client", "Connector", "ConnectorOptions", "Dial", "RowStream", "find_leader", "save_dump",
    "transaction",
    # Node stores
    "MemoryStore", "NodeStore", "SqliteStore", "YamlStore", "default_store",
    # Values
    "Iso8601", "LeaderNode", "Member", "Metadata", "Parameter", "Result", "Role", "Rows",
    "Statement", "UnixTime", "Value",
    # Node
    "BOOTSTRAP_ID", "Capability", "Library", "LibraryIdentity", "Node", "NodeOptions",
    "RoleManagement", "SnapshotParams", "TrailingStrategy", "config_multi_thread",
    "config_single_thread", "generate_id", "library_identity", "load",
    # Recovery
    "LastEntryInfo", "Recovered", "read_last_entry_info", "reconfigure_membership",
    "reconfigure_membership_ext", "recover_cluster",
    # Errors: what a caller may conclude
    "Abandoned", "BackupError", "Busy", "CapabilityMissing", "Closed", "ConnectionLost",
    "ConstraintViolation", "DamagedFiles", "DqliteError", "HandleLost", "Indeterminate",
    "InvalidValue", "LeadershipLost", "LibraryNotFound", "NoLeader", "NodeError", "NotApplied",
    "NotLeader", "NotSent", "NotTrusted",
    "ProtocolError", "Refused", "ServerTooOld", "StatementError", "StoreError", "TimedOut",
    "TokenExpired",
    # Errors: PEP 249
    "DataError", "DatabaseError", "Error", "IntegrityError", "InterfaceError", "InternalError",
    "NotSupportedError", "OperationalError", "ProgrammingError", "Warning",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "aio":
        return import_module("dqlite.aio")
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"dqlite.{module}"), name)
    raise AttributeError(f"module 'dqlite' has no attribute {name!r}")
