"""A cluster whose nodes are run by a simulator: a program that speaks the frames of `frames.h`."""

from dissever.harness.cluster.simulator.answers import Server
from dissever.harness.cluster.simulator.cluster import SimulatorCluster, address, simulated
from dissever.harness.cluster.simulator.connection import SimulatedConnection
from dissever.harness.cluster.simulator.frames import (
    SERVERS_MAX,
    Change,
    Member,
    ServerRole,
    check_nodes,
)
from dissever.harness.cluster.simulator.process import SimulatorLost

__all__ = [
    "SERVERS_MAX",
    "Change",
    "Member",
    "Server",
    "ServerRole",
    "SimulatedConnection",
    "SimulatorCluster",
    "SimulatorLost",
    "address",
    "check_nodes",
    "simulated",
]
