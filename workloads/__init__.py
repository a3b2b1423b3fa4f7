"""What clients do, and the checkers that judge it: one file per workload."""

from collections.abc import Mapping

from dissever.workloads.register import REGISTER, Registers
from dissever.workloads.set import SET, Elements
from dissever.workloads.workload import Workload

__all__ = ["WORKLOADS", "Elements", "Registers", "Workload"]

WORKLOADS: Mapping[str, Workload] = {
    "register": REGISTER,
    "set": SET,
}
