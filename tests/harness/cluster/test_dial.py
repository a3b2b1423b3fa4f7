"""Any port of a host is dialled, and what a connection does is seen at its other end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

pytestmark = pytest.mark.cluster

Open: TypeAlias = Callable[[int], Awaitable[Any]]
Until: TypeAlias = Callable[[Callable[[], bool]], Awaitable[None]]

WAIT_S = 10.0
PORT = 7001
"""Not among those that the cluster was opened with."""

PEER = """
import socket, struct, sys
server = socket.create_server(("0.0.0.0", 7001))
print("listening", flush=True)
while True:
    connection, _ = server.accept()
    asked = b""
    while data := connection.recv(65536):
        asked += data
        if asked == b"reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            break
    else:
        connection.sendall(asked + b" and the end")
    connection.close()
"""
"""Answers once it has heard the end; resets when asked to."""


@pytest.fixture
def ask(
    open_cluster: Open, interpreter: str, tmp_path: Path, until: Until
) -> Callable[[Callable[[socket.socket], Awaitable[Any]]], Any]:
    """Play a conversation with the peer, a helper of n1."""

    def played(conversation: Callable[[socket.socket], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with await open_cluster(1) as cluster:
                with pytest.raises(ConnectionRefusedError):
                    await cluster.dial("n1", PORT, timeout_s=WAIT_S)
                await cluster.spawn("n1", "peer", [interpreter, "-I", "-S", "-c", PEER])
                said = tmp_path / "nodes" / "n1" / "peer.log"
                await until(lambda: said.read_text() == "listening\n")
                with await cluster.dial("n1", PORT, timeout_s=WAIT_S) as connection:
                    return await asyncio.wait_for(conversation(connection), WAIT_S)

        return asyncio.run(run())

    return played


async def all_of(connection: socket.socket) -> bytes:
    heard = b""
    while data := await asyncio.get_running_loop().sock_recv(connection, 1 << 16):
        heard += data
    return heard


def test_end_of_one_direction_leaves_the_other_open(ask: Any) -> None:
    asked = b"x" * 1_000_000

    async def conversation(connection: socket.socket) -> bytes:
        await asyncio.get_running_loop().sock_sendall(connection, asked)
        connection.shutdown(socket.SHUT_WR)
        return await all_of(connection)

    assert ask(conversation) == asked + b" and the end"


def test_reset_connection_ends_without_an_answer(ask: Any) -> None:
    async def conversation(connection: socket.socket) -> bytes:
        await asyncio.get_running_loop().sock_sendall(connection, b"reset")
        try:
            return await all_of(connection)
        except ConnectionResetError:
            return b""

    assert ask(conversation) == b""


def test_file_of_ours_runs_on_a_host(open_cluster: Open, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho carried\n")
    script.chmod(0o755)

    async def run() -> None:
        async with await open_cluster(1) as cluster:
            there = await cluster.carry("n1", script)
            assert await cluster.carry("n1", script) == there
            assert (await cluster.command("n1", [there])).stdout == "carried\n"

    asyncio.run(run())
