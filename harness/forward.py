"""
Forwarders: loopback listeners through which ordinary drivers reach nodes.

A node's network cannot be reached from the machine, so a driver cannot dial it. It dials a
forwarder instead: a listener on 127.0.0.1 for one node and port. Each connection of the driver
becomes one connection to the node, made by `cluster.dial`. Bytes, half-closes and resets are passed
on in both directions. Nothing is retried.

Every client has forwarders of its own. So what was passed on for an operation is known: when not
one byte was, the operation never reached a node (`Forwarders.passed_nothing_since`).

A forwarder accepts before it has dialled. A driver whose node refuses is therefore not refused but
reset. At most `_BUFFER_BYTES` are held in each direction; then the sender has to wait.

Known gaps: TCP over IPv4 only; urgent data is not passed on.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from dissever.harness.cluster import Sockets
from dissever.harness.cluster.backends import Backend
from dissever.harness.cluster.connecting import reset_on_close

__all__ = ["Dialled", "Endpoint", "Forwarders", "Mark", "Traffic"]

LOOPBACK: Final = "127.0.0.1"

DIAL_LIMIT_S: Final = 10.0
"""How long a node may leave a connection unanswered; the driver's own limit is most often less."""

_BACKLOG: Final = 128
_BUFFER_BYTES: Final = 1 << 16
_FULL: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_FULL_S: Final = 0.1
"""How long nothing is accepted when the machine has no room for another connection."""


_had: set[int] = set()
"""
Every port that a forwarder of this process had.

A client that was given up may have a thread that dials its old port for ever. If another client
had that port now, an operation that was called `fail` would be sent to a node after all. Such a
thread lives as long as the process, and so do these.
"""

_had_lock: Final = threading.Lock()
_TURNED_DOWN_MAX: Final = 200


class Dialled(Sockets, Protocol):
    """What forwarders ask of the hosts: a part of `Cluster`, and `Sockets`."""

    @property
    def backend(self) -> Backend:
        """What its hosts are."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes, in order."""

    def address(self, node: str) -> str:
        """The IP address of a node."""


class Traffic(msgspec.Struct):
    """
    What passed through the forwarders of one node and port, over all clients.

    `connections` were made; `refused` and `unanswered` ones were not. `sent_bytes` went to the
    node, `received_bytes` came from it.
    """

    connections: int = 0
    refused: int = 0
    unanswered: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """What the forwarders of a client had passed on and received at one moment."""

    open: int
    attempts: int
    sent_bytes: int
    received_bytes: int


def _listener() -> socket.socket:
    """
    A listener at a port that no forwarder of this process had before, as long as there are such.

    Raises:
        OSError: When the machine has no port, or no room for a listener.
    """
    turned_down: list[socket.socket] = []  # They keep their ports, so that others come.
    try:
        while True:
            listener = socket.create_server((LOOPBACK, 0), backlog=_BACKLOG)
            port = listener.getsockname()[1]
            with _had_lock:
                if port not in _had or len(turned_down) == _TURNED_DOWN_MAX:
                    _had.add(port)
                    return listener
            turned_down.append(listener)
    finally:
        for each in turned_down:
            each.close()


class Endpoint:
    """
    Where a client finds its node: an address that any driver can connect to.

    Every method may be called from any thread. Asking for an address makes its forwarder.

    Raises, from every method: ConnectionError, once the client was closed.
    """

    def __init__(self, forwarders: Forwarders, node: str) -> None:
        self._forwarders = forwarders
        self.node: Final = node
        """The name of the node."""

    @property
    def host(self) -> str:
        """Always `127.0.0.1`."""
        return LOOPBACK

    @property
    def port(self) -> int:
        """The forwarder's port for the first of the system's client ports."""
        return self.port_of(self._forwarders.client_ports[0])

    @property
    def address(self) -> str:
        """`host:port`, such as `127.0.0.1:41234`."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:41234`."""
        return f"http://{self.address}"

    @property
    def nodes(self) -> Mapping[str, str]:
        """Each node of the cluster -> its `host:port`, for drivers that are given all of them."""
        return {name: next(iter(ports.values())) for name, ports in self.dialable().items()}

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the system's own by their names, with the values of this run."""
        return self._forwarders.options

    def cluster_address(self, node: str) -> str:
        """The IP address by which the nodes know one of them; it cannot be dialled from here."""
        return self._forwarders.cluster.address(node)

    def dialable(self) -> Mapping[str, Mapping[str, str]]:
        """
        Node -> `host:port` in the cluster, for each client port -> where that can be dialled.

        The nodes, and the ports of each, come in their order.
        """
        of, cluster = self._forwarders, self._forwarders.cluster
        return {
            node: {
                f"{cluster.address(node)}:{port}": f"{LOOPBACK}:{of.port(node, port)}"
                for port in of.client_ports
            }
            for node in cluster.nodes
        }

    def port_of(self, port: int, node: str | None = None) -> int:
        """
        The forwarder's port that leads to this port of the node, or of another node.

        Raises:
            ValueError: When there is no such node.
        """
        return self._forwarders.port(node or self.node, port)

    def translate(self, host: str, port: int) -> tuple[str, int]:
        """
        The (host, port) to dial for an address of the cluster, as nodes tell it to their clients.

        Args:
            host: The IP address of a node, or its name.

        Raises:
            ValueError: When no node has this address.
        """
        return LOOPBACK, self._forwarders.port(self._forwarders.node_at(host), port)

    def __repr__(self) -> str:
        return f"<Endpoint of {self.node}>"


class Forwarders:
    """The forwarders of one client, which it gets to know as an `Endpoint`."""

    def __init__(
        self,
        cluster: Dialled,
        node: str,
        client_ports: Sequence[int],
        traffic: dict[tuple[str, int], Traffic],
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """
        None is made yet. Needs the running event loop, which passes the bytes on.

        Args:
            client_ports: Where nodes serve clients; `Endpoint.address` leads to the first.
            traffic: (node, port) -> what passed; entries are added, and shared by all clients.
            options: What `Endpoint.options` is.
        """
        self.options: Final = options
        self.cluster: Final = cluster
        self.client_ports: Final = tuple(client_ports)
        self.endpoint: Final = Endpoint(self, node)
        self._loop = asyncio.get_running_loop()
        self._traffic = traffic
        self._lock = threading.Lock()
        self._listeners: dict[tuple[str, int], socket.socket] = {}
        self._connections: set[_Connection] = set()
        self._is_closed = False
        self._attempts = self._sent_bytes = self._received_bytes = 0

    def port(self, node: str, port: int) -> int:
        """
        The port on loopback that leads to a node's; from any thread.

        Raises:
            ValueError: When there is no such node.
            ConnectionError: After `reset`.
        """
        if node not in self.cluster.nodes:
            raise ValueError(
                f"expected a node out of {', '.join(self.cluster.nodes)}, got {node!r}"
            )
        with self._lock:
            if self._is_closed:
                raise ConnectionAbortedError(f"the client of {self.endpoint.node} was closed")
            listener = self._listeners.get((node, port))
            if listener is None:
                listener = _listener()
                listener.setblocking(False)
                self._listeners[node, port] = listener
                self._loop.call_soon_threadsafe(self._listen, listener, node, port)
            bound: int = listener.getsockname()[1]
            return bound

    def node_at(self, host: str) -> str:
        """The node with this name or IP address. Raises ValueError when there is none."""
        addresses = {self.cluster.address(node): node for node in self.cluster.nodes}
        node = host if host in self.cluster.nodes else addresses.get(host)
        if node is None:
            known = ", ".join(f"{name} ({address})" for address, name in addresses.items())
            raise ValueError(f"expected an address of the cluster out of {known}, got {host!r}")
        return node

    def mark(self) -> Mark:
        """What was passed on so far."""
        return Mark(len(self._connections), self._attempts, self._sent_bytes, self._received_bytes)

    def passed_nothing_since(self, mark: Mark) -> bool:
        """
        Whether a connection of the client was there since, and no byte of it went to a node.

        Only after `reset` this stays so: until then a byte may be on its way.
        """
        had_one = mark.open > 0 or self._attempts > mark.attempts
        return had_one and self._sent_bytes == mark.sent_bytes

    def received_since(self, mark: Mark) -> bool:
        """Whether a node sent something to the client since."""
        return self._received_bytes > mark.received_bytes

    def reset(self) -> None:
        """
        Reset every connection and listen no more; from then on no byte is passed on. Idempotent.

        A driver's call that waits for an answer ends with an error of its own.
        """
        with self._lock:
            self._is_closed = True
            listeners = list(self._listeners.values())
            self._listeners.clear()
        for listener in listeners:
            self._loop.remove_reader(listener)
            self._turn_away(listener)
            listener.close()
        for connection in tuple(self._connections):
            connection.reset()

    def renewed(self) -> Forwarders:
        """New ones for a client that takes the place of this one."""
        node = self.endpoint.node
        return Forwarders(self.cluster, node, self.client_ports, self._traffic, self.options)

    def _turn_away(self, listener: socket.socket) -> None:
        """Reset those that have connected and were not accepted yet: the client had them, too."""
        with suppress(OSError):
            while True:
                waiting, _ = listener.accept()
                self._attempts += 1
                reset_on_close(waiting)
                waiting.close()

    def _listen(self, listener: socket.socket, node: str, port: int) -> None:
        if not self._is_closed:
            self._loop.add_reader(listener, self._accept, listener, node, port)

    def _accept(self, listener: socket.socket, node: str, port: int) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError as error:
            if error.errno in _FULL:  # It would be tried again at once, and for ever.
                self._loop.remove_reader(listener)
                self._loop.call_later(_FULL_S, self._listen, listener, node, port)
            return  # Or it went away.
        accepted.setblocking(False)
        self._attempts += 1
        _Connection(self, accepted, node, port)

    # What connections tell.

    def traffic(self, node: str, port: int) -> Traffic:
        """The entry of a node and port."""
        return self._traffic.setdefault((node, port), Traffic())

    def opened(self, connection: _Connection) -> None:
        self._connections.add(connection)

    def ended(self, connection: _Connection) -> None:
        self._connections.discard(connection)

    def passed(self, traffic: Traffic, size: int, *, to_node: bool) -> None:
        """Bytes are about to be passed on."""
        if to_node:
            self._sent_bytes += size
            traffic.sent_bytes += size
        else:
            self._received_bytes += size
            traffic.received_bytes += size


class _Connection:
    """One connection of a driver, and the one to the node that it became."""

    def __init__(self, owner: Forwarders, accepted: socket.socket, node: str, port: int) -> None:
        self._owner = owner
        self._traffic = owner.traffic(node, port)
        self._driver = _Side(self, owner, self._traffic, to_node=True)
        self._node = _Side(self, owner, self._traffic, to_node=False)
        self._driver.other, self._node.other = self._node, self._driver
        self._sockets = [accepted]
        self._is_reset = False
        owner.opened(self)
        self._opening = asyncio.get_running_loop().create_task(self._open(accepted, node, port))
        self._opening.add_done_callback(self._let_go)

    def reset(self) -> None:
        """End both connections with a reset."""
        self._is_reset = True
        self._owner.ended(self)
        self._opening.cancel()
        for each in self._sockets:
            with suppress(OSError):
                reset_on_close(each)
        for side in (self._driver, self._node):
            if side.transport is not None:
                side.transport.abort()

    async def _open(self, accepted: socket.socket, node: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            dialled = await self._owner.cluster.dial(node, port, DIAL_LIMIT_S)
            self._sockets.append(dialled)
            self._traffic.connections += 1
            await loop.create_connection(lambda: self._node, sock=dialled)
            await loop.connect_accepted_socket(lambda: self._driver, accepted)
            self._node.begin()
            self._driver.begin()
        except TimeoutError:
            self._traffic.unanswered += 1
            self.reset()
        except OSError:
            self._traffic.refused += 1
            self.reset()

    def _let_go(self, opening: asyncio.Task[None]) -> None:
        """It is done, or was cancelled, perhaps before it began."""
        if self._is_reset:
            for each in self._sockets:
                each.close()

    def lost(self, error: BaseException | None) -> None:
        """One side is gone; the other has nobody to talk to."""
        if error is not None:
            self.reset()
        elif self._driver.is_lost and self._node.is_lost:
            self._owner.ended(self)

    def said_all(self) -> None:
        """One side sends nothing more. When neither does, both end."""
        sides = (self._driver, self._node)
        if all(side.has_ended for side in sides):
            for side in sides:
                if side.transport is not None:
                    side.transport.close()


class _Side(asyncio.Protocol):
    """One of the two connections; what it receives goes to the other."""

    def __init__(
        self, connection: _Connection, owner: Forwarders, traffic: Traffic, *, to_node: bool
    ) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.has_ended = False
        self.is_lost = False
        self._connection = connection
        self._owner = owner
        self._traffic = traffic
        self._to_node = to_node

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        transport.pause_reading()  # Until there is somebody to pass it on to.

    def begin(self) -> None:
        """Both sides are there."""
        if self.transport is not None:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        other = self._other()
        if other is not None:
            self._owner.passed(self._traffic, len(data), to_node=self._to_node)
            other.write(data)

    def eof_received(self) -> bool:
        self.has_ended = True
        other = self._other()
        if other is not None:
            other.write_eof()
        self._connection.said_all()
        return True  # The other direction goes on.

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.is_lost = True
        self._connection.lost(exc)

    def _other(self) -> asyncio.Transport | None:
        other = self.other.transport if self.other is not None else None
        return None if other is None or other.is_closing() else other


def written(traffic: Mapping[tuple[str, int], Traffic], node: str) -> dict[str, Any]:
    """Port -> what passed there for a node, as a file holds it."""
    return {
        str(port): msgspec.to_builtins(each)
        for (name, port), each in sorted(traffic.items())
        if name == node
    }
