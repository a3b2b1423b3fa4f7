"""Connections of clients to the nodes of a simulator, as transports of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from dissever.harness.cluster.simulator import frames
from dissever.harness.cluster.simulator.answers import Closed, Opened, Received
from dissever.harness.cluster.simulator.frames import ClosedBy

Send: TypeAlias = Callable[[bytes], None]


class SimulatedConnection(asyncio.Transport):
    """
    Bytes to and from a node. Nothing is buffered: what is written is on its way at once.

    Args:
        send: Takes what the client writes.
        hang_up: Tells the simulator that the client has closed it.
    """

    def __init__(
        self, protocol: asyncio.BaseProtocol, send: Send, hang_up: Callable[[], None], peer: str
    ) -> None:
        super().__init__({"peername": (peer, 0)})
        self._protocol = protocol
        self._send = send
        self._hang_up = hang_up
        self._is_closing = False
        self._held: list[bytes] | None = None
        """What came while reading is paused; None: it is not."""

    # Of asyncio.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if not self._is_closing and data:
            self._send(bytes(data))

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def is_reading(self) -> bool:
        return self._held is None and not self._is_closing

    def pause_reading(self) -> None:
        if self._held is None:
            self._held = []

    def resume_reading(self) -> None:
        held, self._held = self._held or [], None
        for data in held:
            self.received(data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._hang_up()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    # Of the simulator.

    def received(self, data: bytes) -> None:
        """The node sent this."""
        if self._is_closing:
            return
        if self._held is not None:
            self._held.append(data)
        elif isinstance(self._protocol, asyncio.Protocol):
            self._protocol.data_received(data)

    def ended(self, by: ClosedBy) -> None:
        """It is closed, and the client did not do it."""
        if self._is_closing:
            return
        self._is_closing = True
        error = None if by is ClosedBy.NODE else ConnectionResetError("reset by the node")
        if error is None and isinstance(self._protocol, asyncio.Protocol):
            self._protocol.eof_received()
        self._protocol.connection_lost(error)


class Connections:
    """
    All connections of a run by their numbers, which count from 1 and are never used again.

    Args:
        say: Takes a frame for the simulator, and drops it when there is none any more.
    """

    def __init__(self, say: Send) -> None:
        self._say = say
        self._last = 0
        self._open: dict[int, asyncio.Future[None] | SimulatedConnection] = {}
        """A future is of one that is not accepted yet."""

    async def open(
        self, node: int, name: str, make: Callable[[], asyncio.BaseProtocol], timeout_s: float
    ) -> tuple[SimulatedConnection, asyncio.BaseProtocol]:
        """As `SimulatorCluster.connect`."""
        self._last += 1
        number = self._last
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open[number] = accepted
        self._say(frames.open_(number, node))
        try:
            async with asyncio.timeout(timeout_s):
                await accepted
        except BaseException:
            self._hang_up(number)
            raise
        protocol = make()
        connection = SimulatedConnection(
            protocol, partial(self._send, number), partial(self._hang_up, number), name
        )
        if number not in self._open:  # Closed by the node since it was accepted.
            raise ConnectionResetError(f"{name} closed the connection")
        self._open[number] = connection
        protocol.connection_made(connection)
        return connection, protocol

    def hear(self, event: Opened | Received | Closed) -> None:
        """Something happened to one of them."""
        match event:
            case Received():
                connection = self._open.get(event.connection)
                if isinstance(connection, SimulatedConnection):
                    connection.received(event.data)
            case Opened():
                accepted = self._open.get(event.connection)
                if isinstance(accepted, asyncio.Future) and not accepted.done():
                    accepted.set_result(None)
            case Closed():
                _close(self._open.pop(event.connection, None), event.by)

    def reset(self) -> None:
        """The simulator is gone, and all of them with it."""
        opened, self._open = self._open, {}
        for connection in opened.values():
            _close(connection, ClosedBy.RESET)

    def _send(self, number: int, data: bytes) -> None:
        self._say(frames.send(number, data))

    def _hang_up(self, number: int) -> None:
        if self._open.pop(number, None) is not None:
            self._say(frames.close(number))


def _close(connection: asyncio.Future[None] | SimulatedConnection | None, by: ClosedBy) -> None:
    if isinstance(connection, SimulatedConnection):
        connection.ended(by)
    elif connection is not None and not connection.done():
        if by is ClosedBy.REFUSED:
            connection.set_exception(ConnectionRefusedError("no process listens there"))
        else:
            connection.set_exception(ConnectionResetError("reset by the node"))
        connection.exception()  # Seen: nobody may wait any more.
