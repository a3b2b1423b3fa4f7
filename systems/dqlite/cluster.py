"""The hosts that dqlite runs on."""

from typing import Protocol

from dissever.harness.cluster import Cluster, Disks, HostCommands, Links, NodeProcesses, Sockets


class DqliteCluster(Cluster, NodeProcesses, Links, Sockets, HostCommands, Disks, Protocol):
    """What dqlite, its faults and its known bugs ask of the hosts: namespaces or containers."""
