"""
TLS between the nodes of a cluster, and from clients to nodes: mutual, version 1.2 or newer.

`simple_tls_config` makes it from three files, and tries at once whether they fit together, so a
wrong certificate is an error at start, not a node that nobody talks to.

Source: go-dqlite 3.0.4, `app/tls.go`; RFC 5280, 4.2.1.6 (names); Python's `ssl`.
"""

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from typing import Any, ClassVar

from dqlite.app.proxy import keep_alive
from dqlite.app.transport import DIAL_TIMEOUT_S
from dqlite.client import addresses
from dqlite.client.connection import Attach, dial_address
from dqlite.errors import NodeError


class _Listening(socket.socket):
    """
    A socket of asyncio that is read to its end also if the peer has closed before a write.

    asyncio closes a connection when a write fails, and drops what has come by then. In TLS 1.3 that
    is where a server says why it refuses our certificate. A read of such a connection gives these
    bytes first and then its end, so no failure is lost.
    """

    def send(self, data: Any, flags: int = 0, /) -> int:
        try:
            return super().send(data, flags)
        except ConnectionError:
            return len(data)


@dataclass(frozen=True, slots=True)
class Tls:
    """
    A transport over TLS; its `dial` and `dial_async` also serve as the dials of a client.

    Attributes:
        listen_context: Of connections that a node takes.
        dial_context: Of connections that a node or a client makes.
        server_name: The name that a certificate has to bear; None for the host of the address.
    """

    listens: ClassVar[bool] = True

    listen_context: ssl.SSLContext
    dial_context: ssl.SSLContext
    server_name: str | None = None

    def dial(self, address: str, timeout_s: float) -> ssl.SSLSocket:
        """Return a connection whose handshake is over; raises an OSError."""
        host, port = _split(address)
        connection = socket.create_connection((host, port), timeout_s)
        try:
            keep_alive(connection)
            return self.dial_context.wrap_socket(
                connection, server_hostname=self.server_name or host
            )
        except BaseException:
            connection.close()
            raise

    async def dial_async(self, address: str) -> Attach:
        """Return what attaches a protocol to such a connection."""
        host, _ = _split(address)

        async def attach(factory: Any) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
            connection = _Listening(fileno=(await dial_address(address)).detach())
            try:
                connection.setblocking(False)
                keep_alive(connection)
                return await asyncio.get_running_loop().create_connection(
                    factory,
                    sock=connection,
                    ssl=self.dial_context,
                    server_hostname=self.server_name or host,
                    ssl_handshake_timeout=DIAL_TIMEOUT_S,
                )
            except BaseException:
                connection.close()
                raise

        return attach

    def greet(self, connection: socket.socket) -> ssl.SSLSocket:
        """Return the server's end of a connection whose handshake is over; raises an OSError."""
        connection.settimeout(DIAL_TIMEOUT_S)
        return self.listen_context.wrap_socket(connection, server_side=True)


def simple_tls_config(
    certfile: str | os.PathLike[str],
    keyfile: str | os.PathLike[str],
    cafile: str | os.PathLike[str] | None = None,
) -> Tls:
    """
    Make TLS from files of PEM: both sides show the certificate and trust the authority.

    The nodes may share one certificate, or have one each. What a node dials has to bear the first
    DNS name of this certificate, as with go-dqlite; without one, the host of the address.

    Args:
        cafile: Certificates of those who sign; None for a self-signed `certfile`.

    Raises:
        NodeError: If a file cannot be used, or the authority did not sign the certificate.
    """
    authority = cafile or certfile
    try:
        listen = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        listen.verify_mode = ssl.CERT_REQUIRED
        dial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for context in (listen, dial):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(certfile, keyfile)
            context.load_verify_locations(authority)
        certificate = _own_certificate(listen, dial)
    except (OSError, ValueError) as cause:  # ssl.SSLError is an OSError
        raise NodeError(
            f"cannot use the certificate {certfile} with the key {keyfile} and the authority "
            f"{authority}: {cause}"
        ) from cause
    names = [name for kind, name in certificate.get("subjectAltName", ()) if kind == "DNS"]
    return Tls(listen, dial, names[0] if names else None)


def _own_certificate(listen: ssl.SSLContext, dial: ssl.SSLContext) -> dict[str, Any]:
    """
    Return our certificate as a peer sees it, after a handshake with ourselves in memory.

    Raises:
        ssl.SSLError: If the authority would refuse it, as a server's or as a client's.
    """
    checks_name, dial.check_hostname = dial.check_hostname, False
    try:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = dial.wrap_bio(to_client, to_server)
        server = listen.wrap_bio(to_server, to_client, server_side=True)
        waiting = [client, server, client, server]  # each has two flights at most
        for end in waiting:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
        return client.getpeercert() or {}
    finally:
        dial.check_hostname = checks_name


def _split(address: str) -> tuple[str, int]:
    try:
        return addresses.split(address)
    except ValueError as cause:
        raise OSError(str(cause)) from cause
