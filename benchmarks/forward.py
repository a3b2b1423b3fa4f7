"""
What a forwarder costs: latency and throughput through one, against a direct connection.

Usage: `python benchmarks/forward.py [--rounds N]`

A server in a process of its own echoes what it gets. A blocking driver in a thread talks to it,
directly and by way of a forwarder, in turns; the forwarder runs on the event loop of the main
thread, as it does in a run. Ratios of the same round are comparable on any machine.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import threading
import time
from multiprocessing.connection import Connection

from dissever.harness.cluster.connecting import connected
from dissever.harness.forward import Forwarders

PINGS = 2000
PING_BYTES = 64
STREAM_BYTES = 64 << 20
BLOCK_BYTES = 1 << 16


class Local:
    """A cluster of one node, which is a port of this machine."""

    nodes = ("n1",)

    def address(self, node: str) -> str:
        return "127.0.0.1"

    async def dial(self, node: str, port: int, timeout_s: float) -> socket.socket:
        return await connected(socket.socket(), ("127.0.0.1", port))


def serve(told: Connection) -> None:
    """Echo every connection until it ends; the port is told first."""
    listener = socket.create_server(("127.0.0.1", 0))
    told.send(listener.getsockname()[1])
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=echo, args=(accepted,), daemon=True).start()


def echo(link: socket.socket) -> None:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with link:
        while data := link.recv(BLOCK_BYTES):
            link.sendall(data)


def latency_us(port: int) -> float:
    """The median time of an exchange of a few bytes."""
    seen = []
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(PINGS):
            before = time.perf_counter()
            link.sendall(bytes(PING_BYTES))
            left = PING_BYTES
            while left:
                left -= len(link.recv(left))
            seen.append(time.perf_counter() - before)
    return statistics.median(seen) * 1e6


def throughput_mb_s(port: int) -> float:
    """There and back: a sender in a thread, a receiver here."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        before = time.perf_counter()
        sender = threading.Thread(target=link.sendall, args=(bytes(STREAM_BYTES),))
        sender.start()
        left = STREAM_BYTES
        while left:
            left -= len(link.recv(BLOCK_BYTES))
        sender.join()
        return STREAM_BYTES / 1e6 / (time.perf_counter() - before)


def connection_us(port: int) -> float:
    """The median time to connect and have one byte echoed."""
    seen = []
    for _ in range(PINGS // 10):
        before = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.sendall(b"x")
            link.recv(1)
        seen.append(time.perf_counter() - before)
    return statistics.median(seen) * 1e6


MEASURES = {
    "latency, us": latency_us,
    "connect and ask, us": connection_us,
    "throughput, MB/s": throughput_mb_s,
}


async def main(rounds: int) -> None:
    told, telling = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(telling,), daemon=True
    )
    server.start()
    port = await asyncio.to_thread(told.recv)
    forwarders = Forwarders(Local(), "n1", (port,), {})
    print(f"{'':22}{'direct':>10}{'forwarded':>12}{'ratio':>8}")
    for name, measure in MEASURES.items():
        pairs = []
        for _ in range(rounds):
            direct = await asyncio.to_thread(measure, port)
            pairs.append((direct, await asyncio.to_thread(measure, forwarders.endpoint.port)))
        direct, forwarded = (statistics.median(each) for each in zip(*pairs, strict=True))
        ratio = statistics.median(f / d for d, f in pairs)
        print(f"{name:22}{direct:10.1f}{forwarded:12.1f}{ratio:8.2f}")
    forwarders.reset()
    server.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(main(parser.parse_args().rounds))
