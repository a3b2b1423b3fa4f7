"""
The address of a node whose user gave none: that of the first interface which is no loopback.

Source: go-dqlite 3.0.4, `app/options.go`; netdevice(7); `/proc/net/if_inet6` of proc(5).
"""

import contextlib
import fcntl
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from dqlite.errors import NodeError

PORT = 9000

_SIOCGIFFLAGS = 0x8913
_SIOCGIFADDR = 0x8915
_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_IFREQ_BYTES = 40
_IPV6 = Path("/proc/net/if_inet6")
_GLOBAL_SCOPE = "00"


def default_address(port: int = PORT) -> str:
    """
    Return `host:port` of the first interface that is up, with an IPv6 host in brackets.

    Raises:
        NodeError: If there is no interface with an address but the loopback.
    """
    for _, name in socket.if_nameindex():
        for host in _hosts(name):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    raise NodeError("no network interface but the loopback has an address: give the node one")


def _hosts(interface: str) -> Iterator[str]:
    request = struct.pack(f"{_IFREQ_BYTES}s", interface.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        (flags,) = struct.unpack_from("=H", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request), 16)
        if not flags & _IFF_UP or flags & _IFF_LOOPBACK:
            return
        with contextlib.suppress(OSError):  # it has no IPv4 address
            answer = fcntl.ioctl(any_socket, _SIOCGIFADDR, request)
            yield socket.inet_ntoa(answer[20:24])
    if _IPV6.exists():
        for line in _IPV6.read_text().splitlines():
            digits, _, _, scope, _, name = line.split()
            if name == interface and scope == _GLOBAL_SCOPE:
                yield socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
