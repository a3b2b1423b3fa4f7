"""What clients do, and the checkers that judge it: one file per workload."""

from importlib import import_module
from typing import Any, Final

from dissever.harness.options import check_declared
from dissever.harness.plugins import Kind, Registry
from dissever.harness.system import OffersMethods, System
from dissever.workloads.register import Registers
from dissever.workloads.set import Elements
from dissever.workloads.workload import Workload

__all__ = ["WORKLOADS", "Elements", "Registers", "Workload", "lacking", "served_by", "serves"]

FILES: Final = ("register", "set", "append", "wr", "bank", "rows")
"""A new workload is a file that ends with its WORKLOAD, and its name here."""

OURS: Final[dict[str, Workload | str]] = {
    file.replace("_", "-"): import_module(f"{__name__}.{file}").WORKLOAD for file in FILES
}


def _is_one(value: Any) -> bool:
    return isinstance(value, Workload)


def _made(found: Any, reference: str) -> Workload:
    if not isinstance(found, Workload):
        raise ValueError(f"expected a Workload, got a {type(found).__name__}")
    check_declared(reference, found.options)
    return found


WORKLOADS: Final = Registry(Kind("workload", "dissever.workloads", _is_one, _made), OURS)
"""By a name of ours or of an installed package, by a path, or by `package:Name`."""


def serves(system: System, workload: Workload) -> bool:
    """Whether a system has the store that a workload asks for, or the methods that it calls."""
    if system.stores is None or workload.store in system.stores:
        return True
    return bool(workload.methods) and not lacking(system, workload)


def lacking(system: System, workload: Workload) -> tuple[str, ...]:
    """The methods that a workload calls, and that the clients of a system lack."""
    if not isinstance(system, OffersMethods):
        return workload.methods
    if workload.whole and system.offers(workload.whole):
        return ()
    return tuple(method for method in workload.methods if not system.offers(method))


def served_by(system: System) -> tuple[str, ...]:
    """The names of the workloads that a system has the store for."""
    return tuple(name for name, each in WORKLOADS.items() if serves(system, each))
