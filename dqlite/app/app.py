"""
An application's own dqlite node: start it, and open replicated databases.

`App` puts the parts together: the files of the node, the node, the gateway before it where the
transport is not plain TCP, and a thread that joins the cluster and looks after the roles. All
methods block; they may be called from any thread.

Source: go-dqlite 3.0.4, `app/app.go`, `app/options.go`.
"""

import concurrent.futures
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from dqlite.app.background import Background
from dqlite.app.backup import backup
from dqlite.app.caretaker import Caretaker, Hook, Timing, probe
from dqlite.app.directory import Directory
from dqlite.app.health import HealthReport, diagnose
from dqlite.app.restoration import restore
from dqlite.app.roles import RolesConfig
from dqlite.app.transport import Gateway, Transport
from dqlite.client.blocking import BlockingClient
from dqlite.client.blocking_connector import BlockingConnector
from dqlite.client.connector import Connector
from dqlite.client.searching import ConnectorOptions
from dqlite.client.stores import NodeStore
from dqlite.errors import Closed, DqliteError, NodeError, NoLeader, NotApplied
from dqlite.node.bindings import Library
from dqlite.node.options import NodeOptions
from dqlite.node.server import Node

if TYPE_CHECKING:
    from dqlite.dbapi.database import Database
    from dqlite.dbapi.options import Settings

REQUEST_TIMEOUT_S = 60.0
"""Of the requests of role management: a node that becomes a voter has first to catch up."""

HANDOVER_TIMEOUT_S = 60.0
OPEN_TIMEOUT_S = 60.0
HEALTH_TIMEOUT_S = 5.0
BACKUP_TIMEOUT_S = 300.0
_PAUSE_S = 0.1


class App:
    """
    A node of a cluster, and the way to its databases.

    Starts on `start` or `with`, stops on `close`. A node that leaves for long should `handover`
    first: its roles go to others at once, without an election.

    Attributes:
        connector_options: For connectors of the user's own: they know the transport.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        address: str | None = None,
        cluster: Sequence[str] = (),
        voters: int = 3,
        standbys: int = 3,
        roles_interval_s: float = 30.0,
        roles_hook: Hook | None = None,
        transport: Transport | None = None,
        node_options: NodeOptions | None = None,
        concurrency: int | Callable[[], int] = 10,
        library: Library | None = None,
    ) -> None:
        """
        Describe a node; nothing happens before `start`.

        Args:
            directory: Exists, and belongs to this node alone. What a first start writes there
                decides about all later ones.
            address: `host:port`, where others reach the node; it cannot change later. None for the
                one in the directory, or for port 9000 of the first network interface.
            cluster: Addresses of members, at least one of them up, for a new node that joins.
                A new node without any founds a cluster. A node that has started before ignores
                them.
            voters: How many members should vote: odd, 3 or more.
            standbys: How many should hold the data without a vote: 0 or more.
            roles_interval_s: Between two looks at the roles.
            roles_hook: Called after each of them, in a thread, with the leader and the members; not
                while it still runs.
            transport: `Tls` or `External`; None for plain TCP.
            node_options: All else about the node, as its failure domain and network latency.
            concurrency: How many members are asked at a time who leads.
            library: None loads the default.

        Raises:
            ValueError: If an option is out of its range.
        """
        self._path = directory
        self._address = address
        self._cluster = tuple(cluster)
        self._config = RolesConfig(voters, standbys)
        self._timing = Timing(interval_s=roles_interval_s, retry_s=min(1.0, roles_interval_s))
        self._hook = roles_hook
        self._transport = transport
        self._node_options = node_options or NodeOptions()
        self._library = library
        self.connector_options = ConnectorOptions(
            dial=transport.dial_async if transport else None,
            dial_blocking=transport.dial if transport else None,
            concurrency=concurrency,
        )
        self._lock = threading.Lock()
        self._is_settled = threading.Event()  # ready, closed, or failed
        self._parts: _Parts | None = None

    @property
    def id(self) -> int:
        """Of the node. Raises Closed unless it runs."""
        return self._running().directory.member.id

    @property
    def address(self) -> str:
        """Where others reach the node. Raises Closed unless it runs."""
        return self._running().directory.member.address

    @property
    def store(self) -> NodeStore:
        """The members, as they were heard of last. Raises Closed unless the node runs."""
        return self._running().directory.store

    @property
    def is_running(self) -> bool:
        """Between `start` and `close`."""
        return self._parts is not None

    def start(self) -> None:
        """
        Start the node, which then joins its cluster by itself: wait for that with `ready`.

        Idempotent. A failure leaves nothing behind, neither a running part nor a file.

        Raises:
            NodeError: If the directory contradicts the options, or the node cannot start.
            StoreError: If a file of the directory cannot be read or written.
        """
        with self._lock:
            if self._parts is not None:
                return
            self._is_settled.clear()
            with contextlib.ExitStack() as undo:
                self._parts = self._start(undo)
                undo.pop_all()

    def close(self) -> None:
        """
        Stop the node at once, without a handover. Idempotent.

        Raises:
            NodeError: If the node did not stop cleanly; everything is released nevertheless.
        """
        with self._lock:
            parts, self._parts = self._parts, None
            self._is_settled.set()
            if parts is not None:
                parts.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ready(self, timeout_s: float | None = None) -> None:
        """
        Wait until the node is a member with its first role, so that `open` is quick.

        Args:
            timeout_s: None waits for ever: until a leader of the cluster answers.

        Raises:
            Closed: If the node does not run, or is closed meanwhile.
            NodeError: If it takes longer; the message says what went wrong last.
        """
        parts = self._running()
        is_settled = self._is_settled.wait(timeout_s)
        if self._parts is not parts:
            raise Closed("the application was closed before it was ready")
        if parts.run.done():
            parts.run.result()  # raises what ended the thread
        if not is_settled:
            why = parts.caretaker.trouble or "no leader has answered yet"
            raise NodeError(f"node {self.id} is not ready after {timeout_s} s: {why}")

    def open(
        self,
        name: str,
        timeout_s: float = OPEN_TIMEOUT_S,
        *,
        settings: "Settings | None" = None,
    ) -> "Database":
        """
        Return a database, which makes connections to the leader; it is created if it is missing.

        Args:
            timeout_s: For a leader that opens it.
            settings: Of the connections: the keyword arguments of `dqlite.connect`.

        Raises:
            NoLeader: If no leader opens it in time.
            Refused: If the name is no pure file name.
        """
        from dqlite.dbapi.database import Database

        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with self.leader(max(deadline - time.monotonic(), 0.001)) as client:
                    client.open(name)
            except NotApplied as error:
                if not error.retryable:
                    raise
                if time.monotonic() + _PAUSE_S > deadline:
                    raise NoLeader(f"cannot open {name} in {timeout_s} s: {error}") from error
                time.sleep(_PAUSE_S)
            else:
                return Database(
                    self.store, name, connector=self.connector_options, **(settings or {})
                )

    def leader(self, timeout_s: float = OPEN_TIMEOUT_S) -> BlockingClient:
        """
        Return a client of the leader, which the caller closes.

        Raises:
            NoLeader: If there is none in time.
            Closed: If the node does not run.
        """
        return self._running().connector.connect(timeout_s=timeout_s)

    def client(self, timeout_s: float = 5.0) -> BlockingClient:
        """
        Return a client of this very node, which the caller closes.

        Args:
            timeout_s: For the connection, and for each request.

        Raises:
            NotSent: If the node does not answer.
            Closed: If it does not run.
        """
        return BlockingClient.connect(self._running().node.bind_address, timeout_s=timeout_s)

    def handover(self, timeout_s: float = HANDOVER_TIMEOUT_S) -> None:
        """
        Give the role and the leadership of this node to others that are online; then it is a spare.

        To be called before `close` by a node that leaves for long. Where nobody can take them, they
        stay, and that is no error.

        Raises:
            NoLeader: If there is no leader in time.
            DqliteError: If no candidate took them, or not in time.
        """
        parts = self._running()
        parts.background.run(parts.caretaker.handover(timeout_s))

    def health(self, timeout_s: float = HEALTH_TIMEOUT_S) -> HealthReport:
        """
        Look at the cluster: who leads, who answers, how many voters may still fail.

        Takes up to `timeout_s` where there is no leader. Raises Closed unless the node runs.
        """
        parts = self._running()
        return parts.background.run(self._examine(parts, timeout_s))

    def backup(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        replace: bool = False,
        timeout_s: float = BACKUP_TIMEOUT_S,
    ) -> int:
        """
        Write a database, as the leader has it, to one clean SQLite file; return its size in bytes.

        See `dqlite.app.backup.backup`. Raises NoLeader if there is none in time.
        """
        with self.leader(timeout_s) as client:
            client.timeout_s = timeout_s
            return backup(client, name, path, replace=replace)

    def restore(
        self, name: str, path: str | os.PathLike[str], *, timeout_s: float = BACKUP_TIMEOUT_S
    ) -> None:
        """
        Fill an empty database from an SQLite file or a script of SQL.

        A large file goes in parts, across changes of the leader. See `dqlite.restore`. Raises
        NoLeader if there is none in time.
        """

        def leader() -> BlockingClient:
            client = self.leader(timeout_s)
            client.timeout_s = timeout_s
            return client

        with leader() as client:
            restore(client, name, path, next_leader=leader)

    def serve(self, connection: socket.socket) -> None:
        """
        Take over a connection that was accepted for this node, with the transport `External`.

        Returns at once; failures are logged.

        Raises:
            Closed: If the node does not run; the connection is closed.
        """
        try:
            gateway = self._running().gateway
        except Closed:
            connection.close()
            raise
        if gateway is None or gateway.listens:
            raise ValueError("this node takes its connections by itself: it is not External")
        gateway.serve(connection)

    def _start(self, undo: contextlib.ExitStack) -> "_Parts":
        """Start the parts in order; `undo` stops those that had started."""
        directory = Directory.prepare(self._path, address=self._address, cluster=self._cluster)
        undo.callback(directory.undo)
        member = directory.member
        gateway = Gateway(member, self._transport) if self._transport else None
        options = gateway.node_options(self._node_options) if gateway else self._node_options
        node = Node(member.id, member.address, directory.path, options, library=self._library)
        node.start()
        undo.callback(node.close)
        if gateway is not None:
            undo.callback(gateway.close)
            gateway.start(node.bind_address)
        background = Background(f"dqlite-app-{member.id}")
        undo.callback(background.close)
        caretaker = background.run(self._caretaker(directory))
        run = background.submit(caretaker.run())
        run.add_done_callback(lambda _: self._is_settled.set())
        directory.keep()
        connector = BlockingConnector(directory.store, self.connector_options)
        return _Parts(directory, node, gateway, background, caretaker, run, connector)

    async def _caretaker(self, directory: Directory) -> Caretaker:
        return Caretaker(
            directory,
            replace(self.connector_options, request_timeout_s=REQUEST_TIMEOUT_S),
            config=self._config,
            timing=self._timing,
            hook=self._hook,
            on_ready=self._is_settled.set,
        )

    async def _examine(self, parts: "_Parts", timeout_s: float) -> HealthReport:
        troubles: tuple[str, ...] = ()
        leader, members = None, parts.directory.store.get()
        connector = Connector(parts.directory.store, self.connector_options)
        try:
            async with await connector.connect(timeout_s=timeout_s) as client:
                leader, members = client.address, await client.cluster()
        except DqliteError as error:
            troubles = (str(error),)
        state = await probe(members, self.connector_options.dial)
        return diagnose(
            leader, state, self._config, node_id=parts.directory.member.id, troubles=troubles
        )

    def _running(self) -> "_Parts":
        parts = self._parts
        if parts is None:
            raise Closed("the application does not run: start it")
        return parts


@dataclass(frozen=True, slots=True)
class _Parts:
    """What runs between `start` and `close`."""

    directory: Directory
    node: Node
    gateway: Gateway | None
    background: Background
    caretaker: Caretaker
    run: concurrent.futures.Future[None]
    connector: BlockingConnector

    def close(self) -> None:
        """Stop everything, last started first; a node that does not stop cleanly raises last."""
        self.connector.close()
        self.background.close()
        if self.gateway is None:
            self.node.close()
            return
        self.gateway.stop_listening()
        try:
            self.node.close()
        finally:
            self.gateway.close()
