"""TCP connections of the harness: made within a time limit, and ended by a reset."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Awaitable
from typing import Any, Final

__all__ = ["connect", "connected", "in_time", "reset_on_close"]

_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, of 0 s."""


async def connected(connection: socket.socket, target: Any) -> socket.socket:
    """The socket, non-blocking and without delay, once it is connected; else it is closed."""
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, target)
    except BaseException:
        connection.close()
        raise
    return connection


async def connect(host: str, port: int) -> socket.socket:
    """A socket connected to a host by its name or address, as `connected`. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _, _, _, target = found[0]
    return await connected(socket.socket(family, socket.SOCK_STREAM), target)


async def in_time(
    dial: Awaitable[socket.socket], node: str, port: int, timeout_s: float
) -> socket.socket:
    """
    What is dialled, if it answers in time.

    Raises:
        TimeoutError: When it does not.
        OSError: Of the connection.
    """
    try:
        async with asyncio.timeout(timeout_s) as limit:
            return await dial
    except TimeoutError as error:
        if not limit.expired():
            raise
        message = f"{node}: no answer from port {port} within {timeout_s:g} s"
        raise TimeoutError(errno.ETIMEDOUT, message) from error


def reset_on_close(connection: socket.socket) -> None:
    """Have the close of a socket be a reset: the other side's next call fails with ECONNRESET."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
