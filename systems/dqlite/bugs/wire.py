"""
Requests to one node that the client of package `dqlite` refuses, because they damage a server.

Answers come as they are on the wire, which shows what a simpler client would make of them.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Self

from dissever.systems.dqlite.database import DATABASE
from dissever.systems.dqlite.deployment import DqliteDeployment
from dqlite.client.connection import Attach
from dqlite.wire import codec, schema
from dqlite.wire.schema import Failure, Request, Response
from dqlite.wire.words import TEXT, U64

__all__ = ["Answer", "Wire"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and the body that it was read from."""

    response: Response
    body: bytes

    @property
    def read_from_the_start(self) -> tuple[int, str]:
        """The code and the message that a client finds that takes the whole body for a failure."""
        code, offset = U64.read(self.body, 0)
        return code, TEXT.read(self.body, offset)[0]

    def __str__(self) -> str:
        match self.response:
            case Failure(code, message):
                return f"failure {code} {message!r}"
            case schema.Rows(rows=rows):
                return f"{len(rows)} rows" if len(rows) != 1 else f"the row {rows[0]}"
        return type(self.response).__name__.lower()


class Wire:
    """One connection; made by `open` with the database open, or by `connect` with nothing said."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_s

    @classmethod
    async def connect(cls, deployment: DqliteDeployment, node: str, timeout_s: float) -> Self:
        """
        Connect to a node, and say nothing yet.

        Raises:
            OSError: When there is no connection.
        """
        opened = await deployment.dial(deployment.address_of(node))
        return cls(*await _streams(opened), timeout_s)

    @classmethod
    async def open(cls, deployment: DqliteDeployment, node: str, timeout_s: float) -> Self:
        """
        Connect to a node, and open the database.

        Raises:
            OSError: When there is no connection, or the node does not open the database.
        """
        wire = await cls.connect(deployment, node, timeout_s)
        try:
            wire.put(codec.HANDSHAKE)
            await wire.ask(schema.Register(0))
            answer = await wire.ask(schema.Open(DATABASE))
        except BaseException:
            wire.close()
            raise
        if isinstance(answer.response, Failure):
            wire.close()
            raise ConnectionRefusedError(f"{node}: {answer}")
        return wire

    def put(self, content: bytes) -> None:
        """Send these bytes, whatever they mean."""
        self._writer.write(content)

    async def ask(self, request: Request) -> Answer:
        """
        Send a request; the answer.

        Raises:
            OSError: TimeoutError, or EOFError's like: ConnectionError when the node hangs up.
        """
        async with asyncio.timeout(self._timeout_s):
            self.put(codec.encode(request))
            header = codec.decode_header(await self._read(codec.HEADER_BYTES))
            body = await self._read(header.body_bytes)
        return Answer(codec.decode_response(header, body), body)

    async def query(self, sql: str) -> Answer:
        """Ask for rows by a statement."""
        return await self.ask(schema.QuerySql(0, sql))

    async def execute(self, sql: str) -> Answer:
        """Ask to run a statement."""
        return await self.ask(schema.ExecSql(0, sql))

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()

    async def _read(self, count: int) -> bytes:
        try:
            return await self._reader.readexactly(count)
        except asyncio.IncompleteReadError as end:
            raise ConnectionResetError("the node hung up") from end


async def _streams(
    opened: socket.socket | Attach,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(opened, socket.socket):
        return await asyncio.open_connection(sock=opened)
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await opened(lambda: protocol)
    assert isinstance(transport, asyncio.WriteTransport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
