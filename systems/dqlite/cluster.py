"""The hosts that dqlite runs on."""

from typing import Protocol

from dissever.harness.cluster import Cluster, Disks, HostCommands, Links, Processes, Sockets


class DqliteCluster(Cluster, Processes, Links, Sockets, HostCommands, Disks, Protocol):
    """What dqlite, its faults and its known bugs ask of the hosts: namespaces or containers."""
