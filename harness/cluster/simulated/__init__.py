"""
Nodes as objects on a virtual clock, network and disk: to learn, and to test everything else.

`cluster.py` has the hosts and their processes, `network.py` what becomes of packets, `disk.py` what
a node's disk keeps, `clock.py` the clock of a node and its timers.
"""

from typing import Final

from dissever.harness.cluster.simulated.cluster import (
    KILLED,
    Behaviour,
    Boot,
    Message,
    SimulatedCluster,
)
from dissever.harness.cluster.simulated.disk import Append, Cut, Put, SimulatedDisk
from dissever.harness.cluster.simulated.network import LATENCY_S

__all__: Final = [
    "KILLED",
    "LATENCY_S",
    "Append",
    "Behaviour",
    "Boot",
    "Cut",
    "Message",
    "Put",
    "SimulatedCluster",
    "SimulatedDisk",
]
