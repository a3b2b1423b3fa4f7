"""What a cluster must be able to do for some faults: `Cluster` with the abilities they use."""

from __future__ import annotations

from typing import Protocol

from dissever.harness.cluster import (
    Clocks,
    Cluster,
    Disks,
    HostCommands,
    Links,
    Processes,
    ResourceLimits,
    Sockets,
)

__all__ = ["WithClocks", "WithDisks", "WithHosts", "WithLimits", "WithLinks", "WithProcesses"]


class WithProcesses(Cluster, Processes, Protocol):
    """Nodes can be started, ended and paused."""


class WithLinks(Cluster, Links, Protocol):
    """Links between nodes can be cut."""


class WithHosts(Cluster, Processes, HostCommands, Sockets, Protocol):
    """Programs run on the hosts of nodes, and the harness can connect to them."""


class WithLimits(Cluster, Processes, ResourceLimits, Protocol):
    """Nodes can be limited."""


class WithDisks(WithHosts, Disks, Protocol):
    """Programs on the hosts see the disks of nodes."""


class WithClocks(WithHosts, Clocks, Protocol):
    """Programs on the hosts can set the clocks of nodes."""
