"""
Who answers on each host when a fault of the network is measured: an echo, for TCP and for UDP.

It is a helper beside the node, so what it sees depends on the host's network alone, whatever
becomes of the node's own process.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from dissever.nemesis.abilities import WithHosts

__all__ = ["ECHO_PORT", "Probes"]

ECHO_PORT: Final = 20_007

UP_LIMIT_S: Final = 10.0
_GLANCE_S: Final = 0.01

ECHO: Final = """
import socketserver, sys, threading

class Stream(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1 << 16):
            self.request.sendall(data)

class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(self.request[0], self.client_address)

class Streams(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    def handle_error(self, request, client_address):
        pass  # A connection that a fault has reset.

class Datagrams(socketserver.UDPServer):
    max_packet_size = 1 << 16

address = "0.0.0.0", int(sys.argv[1])
datagrams = Datagrams(address, Datagram)
threading.Thread(target=datagrams.serve_forever, daemon=True).start()
Streams(address, Stream).serve_forever()
"""


class Probes:
    """The echoes of one cluster; `lay` starts them."""

    def __init__(self, cluster: WithHosts) -> None:
        self._cluster = cluster
        self._turn = asyncio.Lock()
        self._is_laid = False

    async def lay(self) -> None:
        """
        Start an echo on every host, and wait until it answers. Idempotent.

        Raises:
            OSError: When one cannot be started, or does not answer in time.
        """
        async with self._turn:
            if not self._is_laid:
                await asyncio.gather(*(self._start(node) for node in self._cluster.nodes))
                self._is_laid = True

    async def connect(self, node: str, limit_s: float = UP_LIMIT_S) -> socket.socket:
        """A connection from the harness to a host's echo; the caller closes it. Raises OSError."""
        return await self._cluster.dial(node, ECHO_PORT, limit_s)

    async def _start(self, node: str) -> None:
        argv = [self._cluster.python, "-I", "-S", "-c", ECHO, str(ECHO_PORT)]
        await self._cluster.spawn(node, "echo", argv)
        loop = asyncio.get_running_loop()
        end = loop.time() + UP_LIMIT_S
        while True:
            try:
                (await self.connect(node)).close()
                return
            except ConnectionRefusedError:
                if loop.time() > end:
                    raise
                await asyncio.sleep(_GLANCE_S)
