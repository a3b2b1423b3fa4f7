"""
Systems under test, a file or folder each.

The registry holds where a system is, not the system: importing one may need what it runs on.
"""

from collections.abc import Mapping
from importlib import import_module

from dissever.harness.system import System

__all__ = ["SYSTEMS", "load"]

SYSTEMS: Mapping[str, str] = {
    "dqlite": "dissever.systems.dqlite.system:DqliteSystem",
    "simulated": "dissever.systems.simulated:SimulatedSystem",
}
"""Name -> `module:class`."""


def load(name: str, systems: Mapping[str, str] = SYSTEMS) -> System:
    """
    The system of that name, out of ours or of others.

    Raises:
        KeyError: When there is none.
    """
    module, _, attribute = systems[name].partition(":")
    system: System = getattr(import_module(module), attribute)()
    return system
