"""The hosts that dqlite runs on."""

from typing import Protocol

from dissever.harness.cluster import Cluster, Disks, HostCommands, Links, NodeProcesses, Sockets


class DqliteCluster(Cluster, NodeProcesses, Links, Protocol):
    """What dqlite and its known bugs ask of every backend."""


class HostsCluster(DqliteCluster, Sockets, HostCommands, Disks, Protocol):
    """Hosts that run a process for each node: namespaces or containers."""
