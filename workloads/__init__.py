"""What clients do, and the checkers that judge it: one file per workload."""

from collections.abc import Mapping

from dissever.harness.system import System
from dissever.workloads.register import REGISTER, Registers
from dissever.workloads.set import SET, Elements
from dissever.workloads.workload import Workload

__all__ = ["WORKLOADS", "Elements", "Registers", "Workload", "served_by"]

WORKLOADS: Mapping[str, Workload] = {
    "register": REGISTER,
    "set": SET,
}


def served_by(system: System) -> tuple[str, ...]:
    """The names of the workloads that a system has the store for."""
    return tuple(name for name, each in WORKLOADS.items() if each.store in system.stores)
