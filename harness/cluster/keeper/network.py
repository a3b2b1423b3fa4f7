"""
One bridge with a host per node on it, made with one run of `ip`.

The bridge stands in the keeper's own network namespace, where the harness's sockets are created
too, so clients keep reaching nodes that are cut off from each other. The keeper holds a UDP socket
on every node's host. So it sees for each direction whether a packet arrives, whatever the node's
processes do.
"""

import contextlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from . import kernel

PROBE_PORT = 9
"""The port of discard, RFC 863: no system listens there."""

_BRIDGE = "bridge0"
_FIRST_PORT = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
_IPV6_OFF = "/proc/sys/net/ipv6/conf/default/disable_ipv6"


@dataclass(frozen=True, slots=True)
class Host:
    """One node's own network: its namespace, and the socket its probes leave from and arrive at."""

    name: str
    address: str
    ns: int
    probe: socket.socket

    @property
    def ns_inode(self) -> int:
        """What identifies the network namespace."""
        return os.fstat(self.ns).st_ino


def new_namespaces(count: int) -> tuple[int, list[int]]:
    """Descriptors of the network namespace we are in, and of as many new ones; we stay in ours."""
    home = _current()
    _quieten()
    ns = [_new_namespace() for _ in range(count)]
    kernel.enter_network(home)
    return home, ns


def links(bridge_address: str, ns: Sequence[int]) -> str:
    """The commands for `ip -batch` that make the bridge, and a cable into each namespace."""
    lines = [
        f"link add name {_BRIDGE} address {_mac(bridge_address)} up"
        " type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"address add {bridge_address}/24 dev {_BRIDGE}",
    ]
    lines += (
        f"link add name node{number} master {_BRIDGE} up"
        f" type veth peer name eth0 netns /proc/1/fd/{descriptor}"
        for number, descriptor in enumerate(ns, start=1)
    )
    return "\n".join(lines) + "\n"


def settle(
    home: int, names: Sequence[str], addresses: Sequence[str], ns: Sequence[int]
) -> list[Host]:
    """Switch on the interfaces in each namespace, and open its probe socket."""
    hosts = []
    for name, address, descriptor in zip(names, addresses, ns, strict=True):
        kernel.enter_network(descriptor)
        kernel.raise_interface("lo")
        kernel.raise_interface("eth0", address)
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        probe.bind((address, PROBE_PORT))
        hosts.append(Host(name, address, descriptor, probe))
    kernel.enter_network(home)
    kernel.raise_interface("lo")
    return hosts


def _new_namespace() -> int:
    kernel.unshare(kernel.NEW_NETWORK)
    _quieten()
    with contextlib.suppress(FileNotFoundError):  # Not before Linux 4.11.
        kernel.write(_FIRST_PORT, "0")  # A node has no right, and may still listen on any port.
    return _current()


def _current() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def _quieten() -> None:
    """No IPv6 on interfaces to come: its address detection would be noise. ::1 stays."""
    with contextlib.suppress(FileNotFoundError):
        kernel.write(_IPV6_OFF, "1")


def _mac(address: str) -> str:
    """A locally administered hardware address made from an IPv4 address."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x00" + socket.inet_aton(address))
