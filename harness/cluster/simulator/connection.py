"""Connections of clients to the nodes of a simulator, as transports of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
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
        self._to_simulator = say
        self._last = 0
        self._open: dict[int, asyncio.Future[None] | SimulatedConnection] = {}
        """A future is of one that is not accepted yet."""
        self._nodes: dict[int, int] = {}
        """The node of each."""
        self._cuts: dict[int, _Cut] = {}
        """Node -> how clients are cut off from it."""

    async def open(
        self, node: int, name: str, make: Callable[[], asyncio.BaseProtocol], timeout_s: float
    ) -> tuple[SimulatedConnection, asyncio.BaseProtocol]:
        """As `SimulatorCluster.connect`."""
        async with asyncio.timeout(timeout_s):
            await self._reachable(node)
            number = await self._accepted(node)
        protocol = make()
        connection = SimulatedConnection(
            protocol, partial(self._send, number), partial(self._hang_up, number), name
        )
        if number not in self._open:  # Closed by the node since it was accepted.
            raise ConnectionResetError(f"{name} closed the connection")
        self._open[number] = connection
        protocol.connection_made(connection)
        return connection, protocol

    async def _reachable(self, node: int) -> None:
        """Wait until what a client sends arrives: its first packet is sent again until then."""
        while (cut := self._cuts.get(node)) is not None and cut.to_node:
            healed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            cut.held.append(partial(_wake, healed))
            await healed

    async def _accepted(self, node: int) -> int:
        """The number of a new connection, once the node has accepted it."""
        self._last += 1
        number = self._last
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open[number] = accepted
        self._nodes[number] = node
        self._say(number, frames.open_(number, node))
        try:
            await accepted
        except BaseException:
            self._hang_up(number)
            raise
        return number

    def hear(self, event: Opened | Received | Closed) -> None:
        """Something happened to one of them."""
        cut = self._cuts.get(self._nodes.get(event.connection, -1))
        if cut is not None and cut.from_node:
            cut.held.append(partial(self.hear, event))
            return
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
                self._nodes.pop(event.connection, None)
                _close(self._open.pop(event.connection, None), event.by)

    def reset(self) -> None:
        """The simulator is gone, and all of them with it."""
        opened, self._open = self._open, {}
        self._cuts.clear()
        for connection in opened.values():
            _close(connection, ClosedBy.RESET)

    def cut(self, node: int, *, to_node: bool, from_node: bool) -> None:
        """
        Drop what goes between clients and a node in these directions; neither: heal.

        As by TCP, what was dropped is sent again once it is healed, in order.
        """
        before = self._cuts.pop(node, None)
        if to_node or from_node:
            self._cuts[node] = _Cut(to_node, from_node)
        for again in before.held if before is not None else ():
            again()

    def dropped(self, node: int) -> int | None:
        """How much was dropped since clients were cut off from a node; None: they are not."""
        cut = self._cuts.get(node)
        return None if cut is None else len(cut.held)

    def reset_those_of(self, node: int) -> int:
        """Reset every connection with a node; how many there were."""
        numbers = [number for number in self._open if self._nodes.get(number) == node]
        for number in numbers:
            connection = self._open[number]
            self._hang_up(number)
            _close(connection, ClosedBy.RESET)
        return len(numbers)

    def _say(self, number: int, frame: bytes) -> None:
        cut = self._cuts.get(self._nodes.get(number, -1))
        if cut is not None and cut.to_node:
            cut.held.append(partial(self._say, number, frame))
        else:
            self._to_simulator(frame)

    def _send(self, number: int, data: bytes) -> None:
        self._say(number, frames.send(number, data))

    def _hang_up(self, number: int) -> None:
        if self._open.pop(number, None) is not None:
            self._say(number, frames.close(number))


@dataclass(slots=True)
class _Cut:
    """Which directions are cut, and what was dropped, to be sent again."""

    to_node: bool
    from_node: bool
    held: list[Callable[[], None]] = field(default_factory=list)


async def fate(connect: Callable[..., Awaitable[Any]], limit_s: float) -> str:
    """What becomes of a connection in that time: `open`, `reset`, `closed`, or why none is."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + limit_s
    try:
        transport, waiting = await connect(_Waiting, limit_s)
    except OSError as error:  # A TimeoutError is one.
        return str(error) or "no answer"
    await asyncio.wait([waiting.lost], timeout=max(0.0, until_s - loop.time()))
    if waiting.lost.done():
        return str(waiting.lost.result())
    transport.close()
    return "open"


class _Waiting(asyncio.Protocol):
    """The client of a connection that says nothing, and hears how it ends."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result("closed" if error is None else "reset")


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _close(connection: asyncio.Future[None] | SimulatedConnection | None, by: ClosedBy) -> None:
    if isinstance(connection, SimulatedConnection):
        connection.ended(by)
    elif connection is not None and not connection.done():
        if by is ClosedBy.REFUSED:
            connection.set_exception(ConnectionRefusedError("no process listens there"))
        else:
            connection.set_exception(ConnectionResetError("reset by the node"))
        connection.exception()  # Seen: nobody may wait any more.
