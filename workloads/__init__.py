"""What clients do, and the checkers that judge it: one file per workload."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from dissever.harness.system import System
from dissever.workloads.register import Registers
from dissever.workloads.set import Elements
from dissever.workloads.workload import Workload

__all__ = ["WORKLOADS", "Elements", "Registers", "Workload", "served_by"]

FILES: Final = ("register", "set")
"""A new workload is a file that ends with its WORKLOAD, and its name here."""

WORKLOADS: Final[Mapping[str, Workload]] = {
    file.replace("_", "-"): import_module(f"{__name__}.{file}").WORKLOAD for file in FILES
}


def served_by(system: System) -> tuple[str, ...]:
    """The names of the workloads that a system has the store for."""
    stores = system.stores
    return tuple(name for name, each in WORKLOADS.items() if stores is None or each.store in stores)
