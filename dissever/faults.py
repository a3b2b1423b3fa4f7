"""
Public: what a fault of your own is made of.

A fault is a `Fault` record and an `Injector` that carries it out; `PerNode` is the injector of a
fault that strikes nodes one by one, and asks a `NodeFault` for what it does to each of them.
"""

from dissever.harness.cluster import (
    Allocations,
    ClientLinks,
    Clocks,
    DiskFaults,
    Disks,
    HostCommands,
    Hosts,
    Impairments,
    Links,
    NodeProcesses,
    NodeTimes,
    ResourceLimits,
    Sockets,
)
from dissever.harness.episodes import Action, Effect, Role
from dissever.nemesis.environment import Environment
from dissever.nemesis.evidence import FaultEvidence
from dissever.nemesis.fault import Fault, Heals, Injector, Simulated
from dissever.nemesis.needs import Need, Offer
from dissever.nemesis.nodes.node_fault import NodeFault, PerNode
from dissever.nemesis.nodes.processes import NodeEvidence
from dissever.nemesis.parameters import (
    Parameter,
    Request,
    choice,
    log_uniform,
    number,
    one_of,
    uniform,
)

__all__ = [  # noqa: RUF022 - Grouped by what they are for.
    # The record, and what carries it out.
    "Fault", "Heals", "Injector", "NodeFault", "PerNode", "Environment", "Simulated",
    # What is asked, and what was seen.
    "Request", "FaultEvidence", "NodeEvidence",
    # What its operations are for.
    "Action", "Effect", "Role",
    # Its settings.
    "Parameter", "number", "choice", "uniform", "log_uniform", "one_of",
    # What it needs.
    "Need", "Offer", "Hosts", "NodeProcesses", "Links", "Sockets", "HostCommands",
    "ResourceLimits", "Disks", "Clocks",
    "Impairments", "DiskFaults", "NodeTimes", "Allocations", "ClientLinks",
]  # fmt: skip
