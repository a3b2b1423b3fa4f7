"""TCP connections from the harness to nodes."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable
from typing import Any


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
