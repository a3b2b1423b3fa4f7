"""
A dqlite node in this process.

The class guards against what 1.11.1 does: a failed creation poisons the process, stopping a node
that never started crashes it, and two nodes may share one directory.

Source: `dqlite/include/dqlite.h`, `dqlite/src/server.c`.
"""

import fcntl
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dqlite.errors import NodeError
from dqlite.node import bindings
from dqlite.node.bindings import Capability, Library

LATENCY_MS_MAX = 3_600_000
_BLOCK_SIZES = tuple(512 << power for power in range(10))


@dataclass(frozen=True, slots=True)
class SnapshotParams:
    """
    How often a node takes a snapshot, and how much of its log it keeps.

    Attributes:
        threshold: Log entries between two snapshots.
        trailing: Log entries kept behind one; at least 4, and at least `threshold`.
    """

    threshold: int = 1024
    trailing: int = 8192

    def __post_init__(self) -> None:
        if not (0 < self.threshold <= self.trailing and self.trailing >= 4):
            raise ValueError(f"expected 0 < threshold <= trailing >= 4, got {self}")


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """
    How a node behaves; None leaves the library's default.

    Attributes:
        bind_address: Where to listen, `host:port`, `@name` or `@`; None for the node's address.
        network_latency_ms: One way; heartbeats go every 1.5 and elections start after 15 times it.
        auto_recovery: Set damaged segments aside at start. Hides data loss; on by default where it
            can be switched.
        block_size: 512 to 262144, a power of two.
        busy_timeout_ms: How long a writer waits for another.
    """

    bind_address: str | None = None
    network_latency_ms: int | None = None
    snapshot_params: SnapshotParams | None = None
    failure_domain: int | None = None
    auto_recovery: bool | None = None
    block_size: int | None = None
    busy_timeout_ms: int | None = None

    def __post_init__(self) -> None:
        latency_ms = self.network_latency_ms
        if latency_ms is not None and not 0 < latency_ms <= LATENCY_MS_MAX:
            raise ValueError(f"expected a latency of 1 to {LATENCY_MS_MAX} ms, got {latency_ms}")
        if self.block_size is not None and self.block_size not in _BLOCK_SIZES:
            raise ValueError(f"expected a block size in {_BLOCK_SIZES}, got {self.block_size}")


class Node:
    """Starts on `start` or `with`, stops on `close`, may be started again. Not to be forked."""

    def __init__(
        self,
        node_id: int,
        address: str,
        data_dir: str | os.PathLike[str],
        options: NodeOptions | None = None,
        *,
        library: Library | None = None,
    ) -> None:
        """
        Describe a node; nothing happens before `start`.

        Args:
            node_id: 1 founds a cluster in an empty directory; others wait to be added.
            address: Where other nodes and clients reach it: `host:port` with a numeric host.
            data_dir: Exists, and belongs to this node alone.
            library: None loads the default.
        """
        self.id = node_id
        self.address = address
        self.data_dir = Path(data_dir)
        self.options = options or NodeOptions()
        self._library = library
        self._node: Any = None  # cffi's pointer while the node runs
        self._lock: int | None = None

    @property
    def library(self) -> Library:
        """The library in use, loaded at need."""
        if self._library is None:
            self._library = bindings.load()
        return self._library

    @property
    def bind_address(self) -> str:
        """Where the node listens. Raises NodeError unless it runs."""
        if self._node is None:
            raise NodeError("the node does not run")
        return self._text(self.library.lib.dqlite_node_get_bind_address(self._node))

    def start(self) -> None:
        """
        Create and start the node; returns once it accepts connections. Idempotent.

        Raises:
            NodeError: If it cannot; everything is released again.
        """
        if self._node is not None:
            return
        if signal.getsignal(signal.SIGPIPE) is not signal.SIG_IGN:
            raise NodeError("libdqlite needs SIGPIPE ignored, as Python starts (libuv#1254)")
        self._lock = _lock_directory(self.data_dir)
        try:
            self._node = self._create()
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """
        Stop the node, release its directory; blocks until its connections are closed. Idempotent.

        Raises:
            NodeError: If it did not stop cleanly; it is released nevertheless.
        """
        node, self._node = self._node, None
        if node is None:
            return
        try:
            self._expect(self.library.lib.dqlite_node_stop(node), "stop", node)
        finally:
            self.library.lib.dqlite_node_destroy(node)
            self._unlock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _create(self) -> Any:
        library = self.library
        if library.is_poisoned:
            raise NodeError("an earlier node could not be created: use a new process")
        out = library.ffi.new("dqlite_node **")
        code = library.lib.dqlite_node_create(
            self.id, self.address.encode(), os.fsencode(self.data_dir), out
        )
        node = out[0]
        if code or not node:  # no errmsg, no destroy: the pointer may be NULL
            library.is_poisoned = True
            raise NodeError(f"cannot create node {self.id} in {self.data_dir}", code)
        try:
            self._configure(node)
            self._expect(library.lib.dqlite_node_start(node), "start", node)
        except BaseException:
            library.lib.dqlite_node_destroy(node)  # never stop: it did not start
            raise
        return node

    def _configure(self, node: Any) -> None:
        lib, options = self.library.lib, self.options
        bind = (options.bind_address or self.address).encode()
        self._expect(lib.dqlite_node_set_bind_address(node, bind), "bind address", node)
        if (latency_ms := options.network_latency_ms) is not None:
            self._expect(lib.dqlite_node_set_network_latency_ms(node, latency_ms), "latency", node)
        if (domain := options.failure_domain) is not None:
            self._expect(lib.dqlite_node_set_failure_domain(node, domain), "domain", node)
        if (snapshot := options.snapshot_params) is not None:
            self._expect(
                lib.dqlite_node_set_snapshot_params(node, snapshot.threshold, snapshot.trailing),
                "snapshot params",
                node,
            )
        self._set_optional(node, Capability.AUTO_RECOVERY, options.auto_recovery)
        self._set_optional(node, Capability.BLOCK_SIZE, options.block_size)
        if options.busy_timeout_ms != 0:  # 0 is what builds without the function do
            self._set_optional(node, Capability.BUSY_TIMEOUT, options.busy_timeout_ms)

    def _set_optional(self, node: Any, capability: Capability, value: int | None) -> None:
        if value is not None:
            self._expect(self.library.require(capability)(node, value), capability.value, node)

    def _expect(self, code: int, what: str, node: Any) -> None:
        if code:
            reason = self._text(self.library.lib.dqlite_node_errmsg(node))
            raise NodeError(f"node {self.id} at {self.address}: {what}: {reason}", code)

    def _text(self, pointer: Any) -> str:
        if not pointer:
            return ""
        return bytes(self.library.ffi.string(pointer)).decode(errors="replace")

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _lock_directory(path: Path) -> int:
    """Return the descriptor that holds the directory until it is closed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as cause:
        raise NodeError(f"cannot use the data directory {path}: {cause.strerror}") from cause
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        os.close(descriptor)
        raise NodeError(f"another node holds the data directory {path}") from cause
    if not os.access(path, os.W_OK | os.X_OK):
        os.close(descriptor)
        raise NodeError(f"cannot write to the data directory {path}")
    return descriptor
