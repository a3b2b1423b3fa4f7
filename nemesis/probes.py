"""
Who answers on each host when a fault of the network is measured: an echo, for TCP and for UDP.

It is a helper on the host of the node, so what it sees depends on the host's network alone, and not
on the node's own process.
"""

from __future__ import annotations

import socket
from typing import Final

from dissever.nemesis.abilities import WithHosts
from dissever.nemesis.host_commands import UP_LIMIT_S, Helper

__all__ = ["ECHO_PORT", "Probes"]

ECHO_PORT: Final = 20_007

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
        self._helper = Helper(cluster, "echo", ECHO, ECHO_PORT, self._knock)

    async def lay(self) -> None:
        """Start an echo on every host. Idempotent. Raises OSError when one does not come up."""
        await self._helper.lay()

    async def connect(self, node: str) -> socket.socket:
        """A connection from the harness to a host's echo; the caller closes it. Raises OSError."""
        return await self._cluster.dial(node, ECHO_PORT, UP_LIMIT_S)

    async def _knock(self, node: str) -> None:
        (await self.connect(node)).close()
