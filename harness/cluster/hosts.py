"""What the hosts of nodes are made with, where a fault needs more than the plain case."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["PLAIN", "SYN_RETRIES", "Disk", "Hosts", "NodeClock"]

SYN_RETRIES: Final = 1
"""For connections through proxies: one that is not answered fails after 3 s."""


class Hosts(msgspec.Struct, frozen=True):
    """
    The plain case: data in a folder of the machine's disk, and the machine's clocks.

    `disk_mb`: each node has a disk of its own of that size (MiB); None: it uses the machine's.
    `faulty_disks`: calls on a node's data can be made to fail, by faultfs. `own_clocks`: each node
    has a wall clock that can be set, by libfaketime; `own_monotonic`: its monotonic clock as well.
    `changes_network`: faults change the network of hosts, which takes rights over it. `proxies`:
    connections go through proxies, and must not wait for long.
    """

    disk_mb: int | None = None
    faulty_disks: bool = False
    own_clocks: bool = False
    own_monotonic: bool = False
    changes_network: bool = True
    proxies: bool = False

    def __or__(self, other: Hosts) -> Hosts:
        """What both need."""
        return Hosts(
            max((mb for mb in (self.disk_mb, other.disk_mb) if mb is not None), default=None),
            self.faulty_disks or other.faulty_disks,
            self.own_clocks or other.own_clocks,
            self.own_monotonic or other.own_monotonic,
            self.changes_network or other.changes_network,
            self.proxies or other.proxies,
        )


PLAIN = Hosts()


class Disk(msgspec.Struct, frozen=True):
    """
    Where a node keeps its data, as processes on its host see it.

    `size_mb`: the size of a disk of its own; None: it shares the machine's. `ask`: the command that
    sends requests to the faultfs over the data; empty without one.
    """

    path: str
    size_mb: int | None = None
    ask: tuple[str, ...] = ()


class NodeClock(msgspec.Struct, frozen=True):
    """
    A clock that can be set while its node runs.

    `file`, as processes on the host see it, holds the offset; `environment` is what puts a process
    under that clock.
    """

    file: str
    environment: dict[str, str]
