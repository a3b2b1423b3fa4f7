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
from dqlite import codec, schema
from dqlite.schema import Failure, Request, Response
from dqlite.words import TEXT, U64

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
    """One connection, with the database open; made by `open`."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s

    @classmethod
    async def open(cls, deployment: DqliteDeployment, node: str, timeout_s: float) -> Self:
        """
        Connect to a node.

        Raises:
            OSError: When there is no connection, or the node does not open the database.
        """
        wire = cls(await deployment.dial(deployment.address_of(node)), timeout_s)
        try:
            await asyncio.get_running_loop().sock_sendall(wire._connection, codec.HANDSHAKE)
            await wire.ask(schema.Register(0))
            opened = await wire.ask(schema.Open(DATABASE))
        except BaseException:
            wire.close()
            raise
        if isinstance(opened.response, Failure):
            wire.close()
            raise ConnectionRefusedError(f"{node}: {opened}")
        return wire

    async def ask(self, request: Request) -> Answer:
        """
        Send a request; the answer.

        Raises:
            OSError: TimeoutError, or EOFError's like: ConnectionError when the node hangs up.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_s):
            await loop.sock_sendall(self._connection, codec.encode(request))
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
        self._connection.close()

    async def _read(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < count:
            more = await loop.sock_recv(self._connection, count - len(data))
            if not more:
                raise ConnectionResetError("the node hung up")
            data += more
        return data
