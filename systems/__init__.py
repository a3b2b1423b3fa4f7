"""Systems under test, a file or folder each. Importing one may need what it runs on; see `load`."""

from collections.abc import Mapping
from importlib import import_module

from dissever.harness.system import System

__all__ = ["SYSTEMS", "load"]

SYSTEMS: Mapping[str, str] = {
    "dqlite": "dissever.systems.dqlite.system:DqliteSystem",
    "simulated": "dissever.systems.simulated:SimulatedSystem",
}


def load(name: str) -> System:
    """
    The system of that name.

    Raises:
        KeyError: When there is none.
    """
    module, _, attribute = SYSTEMS[name].partition(":")
    system: System = getattr(import_module(module), attribute)()
    return system
