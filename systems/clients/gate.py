"""
A way to nodes that misbehaves when it should: for the conformance test of clients.

It stands between the forwarders of clients and the nodes, one connection to one. Unlike forwarders
it looks at what passes, so it finds out a client that sends an operation again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from functools import partial
from typing import Final, TypeAlias

from dissever.harness.cluster.backends import NAMESPACES
from dissever.harness.cluster.connecting import connected, reset_on_close

Dial: TypeAlias = Callable[[], Awaitable[socket.socket]]
"""Makes a connection to one port of a node, non-blocking; the caller closes it."""

_CHUNK_BYTES: Final = 1 << 16
_SEEN_BYTES_MAX: Final = 1 << 20
"""Of one connection, since the last mark."""


class Mode(Enum):
    """What becomes of connections, and of what nodes answer."""

    PASS = auto()
    REFUSE = auto()
    """Nobody listens. Connections that there were, are reset."""

    RESET = auto()
    """What a client sends arrives. The first answer becomes a reset; after it, PASS."""

    STALL = auto()
    """What a client sends arrives. No answer comes back."""


class Gate:
    """
    Nodes with a door before each of their ports: what forwarders are given as the hosts.

    Args:
        addresses: Node -> its IP address, in order.
        dials: (node, port) -> how to connect there.
    """

    backend: Final = NAMESPACES  # As where nothing passes the forwarders by.

    def __init__(self, addresses: Mapping[str, str], dials: Mapping[tuple[str, int], Dial]) -> None:
        self.nodes: Final = tuple(addresses)
        self._addresses = addresses
        self._mode = Mode.PASS
        self._doors = {where: socket.create_server(("127.0.0.1", 0)) for where in dials}
        self._dials = dials
        self._sent: dict[socket.socket, bytearray] = {}
        self._gone: list[bytearray] = []
        self._serving: dict[socket.socket, asyncio.Task[None]] = {}
        self._accepting: list[asyncio.Task[None]] = []
        self._listen()

    def address(self, node: str) -> str:
        """The IP address of a node."""
        return self._addresses[node]

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        """A connection to the door of a port. Raises OSError."""
        connection = socket.socket()
        return await connected(connection, self._doors[node, port].getsockname())

    @property
    def sent(self) -> list[bytes]:
        """What came from clients since the last mark, of each connection that sent something."""
        return [bytes(each) for each in (*self._gone, *self._sent.values()) if each]

    def mark(self) -> None:
        """Forget what clients have sent."""
        self._gone.clear()
        for seen in self._sent.values():
            seen.clear()

    def set(self, mode: Mode) -> None:
        """Change what becomes of connections from now on."""
        before, self._mode = self._mode, mode
        if mode is Mode.REFUSE and before is not Mode.REFUSE:
            for task in self._accepting:
                task.cancel()
            for door in self._doors.values():
                door.shutdown(socket.SHUT_RDWR)  # It keeps its port.
            self.reset()
        if mode is not Mode.REFUSE and before is Mode.REFUSE:
            self._listen()

    def reset(self) -> None:
        """Reset every connection of a client."""
        for client, task in list(self._serving.items()):
            reset_on_close(client)
            task.cancel()

    async def close(self) -> None:
        """Close everything."""
        tasks = [*self._accepting, *self._serving.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for door in self._doors.values():
            door.close()

    def _listen(self) -> None:
        self._accepting.clear()
        for where, door in self._doors.items():
            door.setblocking(False)
            door.listen()
            self._accepting.append(asyncio.ensure_future(self._accept(door, self._dials[where])))

    async def _accept(self, door: socket.socket, dial: Dial) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(door)
            self._sent[client] = bytearray()
            task = asyncio.ensure_future(self._serve(client, dial))
            self._serving[client] = task
            task.add_done_callback(partial(self._served, client))

    def _served(self, client: socket.socket, _: object) -> None:
        """It is done, or was cancelled, perhaps before it began."""
        del self._serving[client]
        self._gone.append(self._sent.pop(client))
        client.close()

    async def _serve(self, client: socket.socket, dial: Dial) -> None:
        """One connection of a client, until both sides have ended it or one was reset."""
        seen = self._sent[client]
        node: socket.socket | None = None
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            node = await dial()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._to_node(client, node, seen))
                both.create_task(self._to_client(node, client, seen))
        except* OSError:
            reset_on_close(client)
        finally:
            if node is not None:
                node.close()

    async def _to_node(self, client: socket.socket, node: socket.socket, seen: bytearray) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(client, _CHUNK_BYTES):
            seen += data[: max(0, _SEEN_BYTES_MAX - len(seen))]
            await loop.sock_sendall(node, data)
        with contextlib.suppress(OSError):
            node.shutdown(socket.SHUT_WR)

    async def _to_client(self, node: socket.socket, client: socket.socket, seen: bytearray) -> None:
        """What comes before the client has asked for anything, such as a greeting, passes."""
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(node, _CHUNK_BYTES):
            if self._mode is Mode.RESET and seen:
                self._mode = Mode.PASS
                raise ConnectionResetError
            if self._mode is not Mode.STALL:
                await loop.sock_sendall(client, data)
        if self._mode is not Mode.STALL:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
