"""What dqlite, its faults and its known bugs ask of the hosts that it runs on."""

from __future__ import annotations

from typing import Protocol

from dissever.harness.cluster import Cluster, Disks, HostCommands, Links, Processes, Sockets

__all__ = ["DqliteCluster"]


class DqliteCluster(Cluster, Processes, Links, Sockets, HostCommands, Disks, Protocol):
    """A cluster of real hosts: namespaces or containers."""
