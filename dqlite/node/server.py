"""
A dqlite node in this process.

The class guards against what the library does to the process. In 1.11.1 a failed creation poisons
it, and the stop of a node that never started crashes it. Newer versions abort it when a name in the
directory is one that raft does not write, so the directory is looked at first. No version closes
the listener of a node that did not start.

Source: `dqlite/include/dqlite.h`, `dqlite/src/server.c`.
"""

import atexit
import os
import re
import signal
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dqlite.errors import NodeError
from dqlite.node import bindings, files, listeners, locks
from dqlite.node.bindings import Capability, Library
from dqlite.node.ids import FOUNDERS
from dqlite.node.membership import as_voters, check_address, reconfigure_membership_ext
from dqlite.node.options import NodeOptions, TrailingStrategy

if TYPE_CHECKING:
    from dqlite.wire.schema import Member

DIRECTORY_BYTES_MAX = 894
"""Of its path, as raft holds it."""


class Node:
    """
    Starts on `start` or `with`, stops on `close`, may be started again.

    A node that runs when Python ends is closed then. After a fork only the parent may use it.
    """

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
            node_id: 1 to 2^64 - 1. 1 and BOOTSTRAP_ID found a cluster in an empty directory; others
                wait to be added.
            address: Where other nodes and clients reach it: `host:port`, `[ipv6]:port`, `@name`, or
                what `dial` takes. If the host is a name, a numeric `bind_address` is needed.
            data_dir: Exists, and belongs to this node alone.
            library: None loads the default.

        Raises:
            ValueError: If the id or the address is none.
        """
        if not 0 < node_id < 1 << 64:
            raise ValueError(f"expected a node id of 1 to 2^64 - 1, got {node_id}")
        check_address(address)
        self.id = node_id
        self.address = address
        self.data_dir = Path(data_dir)
        self.options = options or NodeOptions()
        if self.options.bind_address is not None:
            check_address(self.options.bind_address)
        self._library = library
        self._node: Any = None  # cffi's pointer while the node runs
        self._dialler: Any = None  # the library calls it as long as the node runs
        self._lock: int | None = None
        self._pid = 0
        self._turn = threading.RLock()  # of threads that start, stop or use the node

    @property
    def library(self) -> Library:
        """The library in use, loaded at need."""
        if self._library is None:
            self._library = bindings.load()
        return self._library

    @property
    def is_running(self) -> bool:
        """Whether the node was started, and not closed since."""
        return self._node is not None

    @property
    def bind_address(self) -> str:
        """Where the node listens; `@` is resolved. Raises NodeError unless it runs."""
        return self._text(self.library.lib.dqlite_node_get_bind_address(self._running()))

    def start(self) -> None:
        """
        Create and start the node; returns once it accepts connections. Idempotent.

        Raises:
            NodeError: If it cannot; everything is released again.
            CapabilityMissing: If this libdqlite lacks what an option needs.
        """
        if self._node is not None:
            self._running()
            return
        if signal.getsignal(signal.SIGPIPE) is not signal.SIG_IGN:
            raise NodeError("libdqlite needs SIGPIPE ignored, as Python starts (libuv#1254)")
        with self._turn:
            if self._node is not None:
                return
            self._lock = locks.lock(self.data_dir)
            try:
                self._check_directory()
                self._node = self._create()
            except BaseException:
                self._release()
                raise
            self._pid = os.getpid()
            atexit.register(self._close_at_exit)

    def close(self) -> None:
        """
        Stop the node, release its directory; blocks until its connections are closed. Idempotent.

        Raises:
            NodeError: If it did not stop cleanly; it is released nevertheless.
        """
        if self._node is None:
            return
        self._running()  # before the lock: a child has it as it was at the fork
        with self._turn:
            node, self._node = self._node, None
            if node is None:
                return
            atexit.unregister(self._close_at_exit)
            try:
                self._expect(self.library.lib.dqlite_node_stop(node), "stop", node)
            finally:
                self.library.lib.dqlite_node_destroy(node)
                self._release()

    def handover(self) -> None:
        """
        Give leadership and vote to other nodes, as `App.handover` does; the library's own way.

        Blocks as long as the library tries.

        Raises:
            CapabilityMissing: Before libdqlite 1.15.0.
            NodeError: If it did not succeed; the node runs on.
        """
        self._running()
        with self._turn:
            node = self._running()
            self._expect(self.library.require(Capability.HANDOVER)(node), "hand over", node)

    def recover(self, members: "Sequence[Member]") -> None:
        """
        Make these members the cluster, all as voters; the node must not run.

        Deprecated, as in go-dqlite: use `reconfigure_membership_ext` or `recover_cluster`.
        """
        warnings.warn("use reconfigure_membership_ext", DeprecationWarning, stacklevel=2)
        reconfigure_membership_ext(self.data_dir, as_voters(members), library=self._library)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> Any:
        if self._node is None:
            raise NodeError("the node does not run")
        if self._pid != os.getpid():
            raise NodeError("a node cannot be used after a fork: start one in the child")
        return self._node

    def _close_at_exit(self) -> None:
        if self._pid == os.getpid():
            with suppress(NodeError):
                self.close()

    def _check_directory(self) -> None:
        path = self.data_dir
        if len(os.fsencode(path)) > DIRECTORY_BYTES_MAX:
            raise NodeError(f"expected a data directory of {DIRECTORY_BYTES_MAX} bytes, got {path}")
        if not self.options.check_files:
            return
        try:
            files.check(path, founds=self.id in FOUNDERS)
        except OSError as cause:
            raise NodeError(f"cannot read the data directory {path}: {cause.strerror}") from cause

    def _create(self) -> Any:
        lib = self.library.lib
        node = bindings.create(self.library, self.id, self.address, self.data_dir)
        listener = None
        try:
            self._configure(node)
            with self.library.binding:
                listener = listeners.listen(partial(self._bind, node))
            self._expect(lib.dqlite_node_start(node), "start", node)
        except BaseException:
            lib.dqlite_node_destroy(node)  # never stop: it did not start
            if listener is not None:
                listener.close()
            raise
        return node

    def _configure(self, node: Any) -> None:
        lib, options = self.library.lib, self.options
        if (latency_ms := options.network_latency_ms) is not None:
            self._expect(lib.dqlite_node_set_network_latency_ms(node, latency_ms), "latency", node)
        if (domain := options.failure_domain) is not None:
            self._expect(lib.dqlite_node_set_failure_domain(node, domain), "domain", node)
        if options.auto_recovery is not True:  # they all do it by default
            self._set(node, Capability.AUTO_RECOVERY, options.auto_recovery)
        self._set(node, Capability.BLOCK_SIZE, options.block_size)
        self._set(node, Capability.BUSY_TIMEOUT, options.busy_timeout_ms or None)
        self._set(node, Capability.SNAPSHOT_COMPRESSION, options.snapshot_compression)
        self._set(node, Capability.POOL_THREAD_COUNT, options.pool_threads)
        self._set_snapshots(node)
        if (roles := options.role_management) is not None:
            self._set(node, Capability.TARGET_VOTERS, roles.voters)
            self._set(node, Capability.TARGET_STANDBYS, roles.standbys)
            enable = self.library.require(Capability.ROLE_MANAGEMENT)
            self._expect(enable(node), "role management", node)
        if options.disk_mode:
            enable = self.library.require(Capability.DISK_MODE)
            self._expect(enable(node), "disk mode", node)
        self._set_dial(node)

    def _bind(self, node: Any) -> str:
        lib, bind = self.library.lib, self.options.bind_address or self.address
        code = lib.dqlite_node_set_bind_address(node, bind.encode())
        if code:
            reason = listeners.why_not(bind)
            raise NodeError(f"node {self.id}: cannot bind {bind}: {reason}", code)
        return self._text(lib.dqlite_node_get_bind_address(node))

    def _set(self, node: Any, capability: Capability, value: int | None) -> None:
        if value is not None:
            self._expect(self.library.require(capability)(node, value), capability.value, node)

    def _set_snapshots(self, node: Any) -> None:
        params = self.options.snapshot_params
        if params is None:
            return
        values = (params.threshold, params.trailing)
        if params.strategy is TrailingStrategy.STATIC:
            code = self.library.lib.dqlite_node_set_snapshot_params(node, *values)
        else:
            setter = self.library.require(Capability.SNAPSHOT_PARAMS_V2)
            code = setter(node, *values, params.strategy.value)
        self._expect(code, "snapshot params", node)

    def _set_dial(self, node: Any) -> None:
        dial = self.options.dial
        if dial is None and _is_dialled_by_library(self.address):
            return
        from dqlite.client.blocking_connection import dial_blocking
        from dqlite.node.dialling import Dialler

        ffi = self.library.ffi
        self._dialler = Dialler(ffi, dial or dial_blocking, self.options.dial_timeout_s)
        code = self.library.lib.dqlite_node_set_connect_func(node, self._dialler.callback, ffi.NULL)
        self._expect(code, "dial", node)

    def _expect(self, code: int, what: str, node: Any) -> None:
        if code:
            reason = self._text(self.library.lib.dqlite_node_errmsg(node)) or "no reason given"
            raise NodeError(f"node {self.id} at {self.address}: {what}: {reason}", code)

    def _text(self, pointer: Any) -> str:
        if not pointer:
            return ""
        return bytes(self.library.ffi.string(pointer)).decode(errors="replace")

    def _release(self) -> None:
        self._dialler = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _is_dialled_by_library(address: str) -> bool:
    """Whether the library can dial addresses like this: it reaches no IPv6, and no names."""
    return re.fullmatch(r"[0-9.]+(:[0-9]+)?", address) is not None
