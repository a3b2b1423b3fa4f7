"""
How the nodes of a cluster and their clients reach each other, where it is not by plain TCP.

The node then listens at an abstract unix socket of this process, and a gateway stands before it:
what comes from elsewhere is copied to that socket, and what the node dials is copied to a
connection that the transport makes.

Source: go-dqlite 3.0.4, `app/app.go`, `app/dial.go`.
"""

import asyncio
import concurrent.futures
import contextlib
import os
import secrets
import socket
import ssl
import threading
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Protocol

from dqlite.app.background import in_thread
from dqlite.app.proxy import Proxies
from dqlite.client import addresses
from dqlite.client.blocking_connection import BlockingDial
from dqlite.client.connection import Attach
from dqlite.errors import Closed, NodeError
from dqlite.node.options import NodeOptions
from dqlite.wire.schema import Member

DIAL_TIMEOUT_S = 5.0
"""Of a connection that a node makes, and of the greeting of one that it takes."""

SWITCHING_PROTOCOLS = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: dqlite\r\n\r\n"

_CLOSE_S = 2.0
_BACKLOG = 128


class Transport(Protocol):
    """Makes and takes connections; `Tls` and `External` are the two."""

    listens: ClassVar[bool]
    """Whether the gateway listens at the address of the node; else the user accepts for it."""

    def dial(self, address: str, timeout_s: float) -> socket.socket:
        """Return a connection to a member; raises an OSError."""

    async def dial_async(self, address: str) -> socket.socket | Attach:
        """The same in an event loop."""

    def greet(self, connection: socket.socket) -> socket.socket:
        """Take over an accepted connection, and return it ready; raises an OSError."""


@dataclass(frozen=True, slots=True)
class External:
    """
    Connections that the user makes and takes, such as those of a web server; see `App.serve`.

    Attributes:
        dialer: Address and time limit in seconds to a connected socket, plain or of TLS.
        upgrades: Answer a connection over TCP or TLS with `101 Switching Protocols`, as go-dqlite
            does: `dialer` has sent a request for it, and reads that answer.
    """

    listens: ClassVar[bool] = False

    dialer: BlockingDial
    upgrades: bool = True

    def dial(self, address: str, timeout_s: float) -> socket.socket:
        """Return what the user's function makes of an address."""
        return self.dialer(address, timeout_s)

    async def dial_async(self, address: str) -> socket.socket | Attach:
        """The same in a thread; TLS is copied, since an event loop cannot adopt its socket."""
        dialled = in_thread(partial(self.dialer, address, DIAL_TIMEOUT_S), "dqlite-dial")
        try:
            opened = await asyncio.wrap_future(dialled)
        except asyncio.CancelledError:
            dialled.add_done_callback(_dismiss)
            raise
        if not isinstance(opened, ssl.SSLSocket):
            return opened
        return Proxies("client").through(address, opened)

    def greet(self, connection: socket.socket) -> socket.socket:
        """Answer the upgrade."""
        if self.upgrades and connection.family != socket.AF_UNIX:
            connection.settimeout(DIAL_TIMEOUT_S)
            connection.sendall(SWITCHING_PROTOCOLS)
        return connection


class Gateway:
    """What stands between one node and all others; starts after the node, and closes after it."""

    def __init__(self, member: Member, transport: Transport) -> None:
        self._member = member
        self._transport = transport
        self._proxies = Proxies(f"node {member.id}")
        self._bind_address: str | None = None
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def listens(self) -> bool:
        """Whether the gateway accepts connections by itself."""
        return self._transport.listens

    def node_options(self, options: NodeOptions) -> NodeOptions:
        """
        Return the options of a node behind this gateway.

        Raises:
            ValueError: If they say already where the node listens, or how it dials.
        """
        if options.bind_address is not None or options.dial is not None:
            raise ValueError("a transport decides on bind_address and dial: leave them out")
        bind_address = abstract_address(self._member.id)
        return replace(options, bind_address=bind_address, dial=self._dial)

    def start(self, bind_address: str) -> None:
        """
        Take connections for the node, which listens at an abstract address.

        Raises:
            NodeError: If the address of the node cannot be listened at.
        """
        self._bind_address = bind_address
        if not self._transport.listens:
            return
        self._listener = _listen(self._member.address)
        self._thread = threading.Thread(
            target=self._accept, name=f"dqlite-accept-{self._member.id}", daemon=True
        )
        self._thread.start()

    def serve(self, connection: socket.socket) -> None:
        """
        Hand a connection over to the node; returns at once. Failures are logged.

        Raises:
            Closed: If the node does not run; the connection is closed.
        """
        bind_address = self._bind_address
        if bind_address is None:
            connection.close()
            raise Closed(f"node {self._member.id} does not run")
        peer = _peer(connection)
        try:
            self._proxies.start(
                peer, connection, self._transport.greet, partial(_to_node, bind_address)
            )
        except OSError as error:
            self._proxies.warn(peer, str(error))

    def stop_listening(self) -> None:
        """Take no more connections; idempotent. Those that are open go on."""
        self._bind_address = None
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
            listener.close()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)

    def close(self) -> None:
        """End all connections; idempotent."""
        self.stop_listening()
        self._proxies.close(_CLOSE_S)

    def _accept(self) -> None:
        listener = self._listener
        while listener is not None and self._bind_address is not None:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._listener is None:
                    return
                self._proxies.warn("accept", str(error))
                threading.Event().wait(0.1)  # no descriptors are left: others may end
                continue
            with contextlib.suppress(Closed):
                self.serve(connection)

    def _dial(self, address: str, timeout_s: float = DIAL_TIMEOUT_S) -> socket.socket:
        """Return a plain socket that leads to another node; the node calls this from threads."""
        return self._proxies.through(address, self._transport.dial(address, timeout_s))


def abstract_address(node_id: int) -> str:
    """
    Return an abstract unix address for a node of this process, which nobody else has.

    In a snap it has the prefix that AppArmor lets it use. The random end keeps apart the nodes of
    two clusters with one id: each cluster has a bootstrap node.
    """
    snap = os.environ.get("SNAP_INSTANCE_NAME")
    prefix = f"@snap.{snap}." if snap else "@"
    return f"{prefix}dqlite-{node_id}-{secrets.token_hex(4)}"


def _dismiss(dialled: "concurrent.futures.Future[socket.socket]") -> None:
    """Close a connection that nobody waits for any longer."""
    if dialled.exception() is None:
        dialled.result().close()


def _listen(address: str) -> socket.socket:
    try:
        host, port = addresses.split(address)
        family, kind, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(target)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, ValueError) as cause:
        raise NodeError(f"cannot listen at {address}: {cause}") from cause
    return listener


def _to_node(bind_address: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect("\0" + bind_address.removeprefix("@"))
    except OSError as cause:
        connection.close()
        raise OSError(f"the node at {bind_address} does not answer: {cause}") from cause
    return connection


def _peer(connection: socket.socket) -> str:
    """Who is at the other end, for the log."""
    try:
        name = connection.getpeername()
    except OSError:
        return "a lost connection"
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "a local connection"
