"""
How a node behaves, checked before any of it reaches the library.

libdqlite takes unsigned numbers and checks some of them: a negative number, or one above 32 bits,
would arrive as another number. So ranges are checked here, in the units that the names say.

Source: `dqlite/include/dqlite.h`, `dqlite/src/server.c`.
"""

import warnings
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dqlite.client.blocking_connection import BlockingDial

LATENCY_MS_MAX = 3_600_000
BLOCK_SIZES = tuple(512 << power for power in range(10))
POOL_THREADS_MAX = 1024
DIAL_TIMEOUT_S = 5.0
"""Of go-dqlite, too."""

_UINT_MAX = (1 << 32) - 1
_UINT64_MAX = (1 << 64) - 1
_INT_MAX = (1 << 31) - 1


class TrailingStrategy(IntEnum):
    """How many log entries stay behind a snapshot."""

    STATIC = 0  # `trailing` of them
    DYNAMIC = 1  # as many as are smaller than the snapshot, `trailing` at most


@dataclass(frozen=True, slots=True)
class SnapshotParams:
    """
    How often a node takes a snapshot, and how much of its log it keeps.

    Attributes:
        threshold: Log entries between two snapshots.
        trailing: Log entries kept behind one; at least 4, and at least `threshold`.
        strategy: DYNAMIC needs libdqlite 1.18.2.
    """

    threshold: int = 1024
    trailing: int = 8192
    strategy: TrailingStrategy = TrailingStrategy.STATIC

    def __post_init__(self) -> None:
        if not (0 < self.threshold <= self.trailing <= _UINT_MAX and self.trailing >= 4):
            raise ValueError(f"expected 0 < threshold <= trailing >= 4, got {self}")
        TrailingStrategy(self.strategy)


@dataclass(frozen=True, slots=True)
class RoleManagement:
    """
    The library's own role management: leaders promote and demote members. `dqlite.App` has ours.

    Attributes:
        voters, standbys: How many members shall have these roles.
    """

    voters: int = 3
    standbys: int = 0

    def __post_init__(self) -> None:
        _check("voters", self.voters, 1, _INT_MAX)
        _check("standbys", self.standbys, 0, _INT_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """
    How a node behaves; None leaves the library's default.

    What a build of libdqlite cannot do raises CapabilityMissing when the node starts; the version
    that can is in parentheses.

    Attributes:
        bind_address: Where to listen: `host:port`, `[ipv6]:port`, `@name` (an abstract socket, for
            this process alone) or `@` (such a name is chosen); the host is numeric. None for the
            node's address.
        dial: Connects to other nodes, each time on a thread of its own. The socket is plain: raft
            reads and writes its descriptor, so TLS needs a proxy. None for the library's own dial,
            or for ours if the library cannot dial addresses like the node's (a name, IPv6).
        dial_timeout_s: How long `dial` may take; a dial that takes longer is given up.
        network_latency_ms: One way, 1 to 3,600,000; heartbeats go every 1.5 and elections start
            after 15 times it (default: 500 ms and 3,000 ms).
        failure_domain: A tag, 0 to 2^64 - 1, which role management spreads voters over.
        auto_recovery: Set damaged segments aside at start. Hides data loss. On by default; False
            needs a library that can switch it (1.16.0).
        block_size: Bytes of a write to the log: 512 to 262,144, a power of two (1.15.0).
        busy_timeout_ms: How long a writer waits for another; 0 is the default, others need 1.18.2.
        snapshot_compression: On by default. A node of 1.18.7 starts on no other snapshots than it
            would write (1.16.2).
        pool_threads: Threads for SQLite's work, 1 to 1024 (1.16.5).
        role_management: (1.15.0).
        disk_mode: Deprecated: keep databases on disk (1.13.0 to 1.18.2 only).
        check_files: Look at the data directory before the library does, which crashes the process
            on some damage. False where the process is the node's alone.
    """

    bind_address: str | None = None
    dial: "BlockingDial | None" = None
    dial_timeout_s: float = DIAL_TIMEOUT_S
    network_latency_ms: int | None = None
    snapshot_params: SnapshotParams | None = None
    failure_domain: int | None = None
    auto_recovery: bool | None = None
    block_size: int | None = None
    busy_timeout_ms: int | None = None
    snapshot_compression: bool | None = None
    pool_threads: int | None = None
    role_management: RoleManagement | None = None
    disk_mode: bool = False
    check_files: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.dial_timeout_s < 3600:
            raise ValueError(f"expected a dial timeout up to 3600 s, got {self.dial_timeout_s}")
        _check("latency in ms", self.network_latency_ms, 1, LATENCY_MS_MAX)
        _check("failure domain", self.failure_domain, 0, _UINT64_MAX)
        _check("busy timeout in ms", self.busy_timeout_ms, 0, _UINT_MAX)
        _check("number of pool threads", self.pool_threads, 1, POOL_THREADS_MAX)
        if self.block_size is not None and self.block_size not in BLOCK_SIZES:
            raise ValueError(f"expected a block size in {BLOCK_SIZES}, got {self.block_size}")
        if self.disk_mode:
            warnings.warn("dqlite gave disk mode up in 1.18.3", DeprecationWarning, stacklevel=3)


def _check(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise ValueError(f"expected a {name} of {least} to {most}, got {value}")
