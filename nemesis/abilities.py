"""A cluster that can do whatever faults may ask of one, for their types."""

from __future__ import annotations

from typing import Protocol

from dissever.harness.cluster import (
    Allocations,
    ClientLinks,
    Clocks,
    Cluster,
    DiskFaults,
    Disks,
    HostCommands,
    Impairments,
    Links,
    NodeProcesses,
    NodeTimes,
    ResourceLimits,
    Sockets,
)

__all__ = ["AbleCluster"]


class AbleCluster(
    Cluster,
    NodeProcesses,
    Links,
    HostCommands,
    Sockets,
    ResourceLimits,
    Disks,
    Clocks,
    Impairments,
    DiskFaults,
    NodeTimes,
    Allocations,
    ClientLinks,
    Protocol,
):
    """
    All abilities together. A real one may lack some: the record of a fault names those that it
    uses, and its `probe` asks for them.
    """
