"""
Systems under test, a file or folder each.

The registry holds where a system is, not the system: importing one may need what it runs on.
"""

from collections.abc import Mapping
from typing import Any, Final

from dissever.harness.cluster.backends import Backend
from dissever.harness.options import check_declared
from dissever.harness.plugins import Kind, Registry
from dissever.harness.system import System
from dissever.harness.values import quoted

__all__ = ["SYSTEMS", "load"]

OURS: Final[Mapping[str, System | str]] = {
    "dqlite": "dissever.systems.dqlite.system:DqliteSystem",
    "etcd": "dissever.systems.etcd:Etcd",
    "nats": "dissever.systems.nats:Nats",
    "postgres": "dissever.systems.postgres:Postgres",
    "raft": "dissever.systems.raft.system:RaftSystem",
    "redis": "dissever.systems.redis:Redis",
    "simulated": "dissever.systems.simulated:SimulatedSystem",
}
"""Name -> `module:class`."""

SUFFIXES: Final[Mapping[str, str]] = {
    ".yaml": "dissever.systems.compose:from_file",
    ".yml": "dissever.systems.compose:from_file",
}
"""The end of a file that describes a system, and the function that makes one from its path."""

_METHODS: Final = ("check", "voters", "probe", "versions", "deploy")
_ATTRIBUTES: Final = ("name", "description", "stores", "backends", "options")


def _looks_like_one(value: Any) -> bool:
    return all(callable(getattr(value, method, None)) for method in _METHODS)


def _made(found: Any, _: str) -> System:
    """A class is made without arguments. Raises ValueError for what is no system."""
    if not _looks_like_one(found):
        lacks = [name for name in _METHODS if not callable(getattr(found, name, None))]
        raise ValueError(f"expected a system, got something without {', '.join(lacks)}")
    system: System = found() if isinstance(found, type) else found
    if lacks := [name for name in _ATTRIBUTES if not hasattr(system, name)]:
        raise ValueError(f"expected a system, got something without {', '.join(lacks)}")
    check_declared(str(system.name), system.options)
    if not system.backends or not all(isinstance(each, Backend) for each in system.backends):
        raise ValueError(f"expected backends as a tuple of Backend, got {quoted(system.backends)}")
    return system


SYSTEMS: Final = Registry(
    Kind("system", "dissever.systems", _looks_like_one, _made), OURS, SUFFIXES
)
"""By a name of ours or of an installed package, by a path, or by `package:Name`."""


def load(reference: str) -> System:
    """
    A new system.

    Raises:
        ValueError: In one line, when the reference leads to none.
    """
    return SYSTEMS.find(reference)
