"""The backends: what each can do to its hosts, and what it finds of the machine that it needs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from dissever.harness.cluster import (
    Clocks,
    Disks,
    HostCommands,
    Links,
    NodeProcesses,
    ResourceLimits,
    Sockets,
    faultfs,
    trial,
)
from dissever.harness.missing import Missing


class Backend(StrEnum):
    """Where nodes run."""

    NAMESPACES = "namespaces"
    CONTAINERS = "containers"
    SIMULATED = "simulated"

    @property
    def abilities(self) -> frozenset[type]:
        """What can be done to its hosts, as the protocols of `harness.cluster`."""
        return _SIMULATED if self is Backend.SIMULATED else _REAL

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What it uses of the machine, in words for the plan."""
        return _CAPABILITIES[self]


NAMESPACES: Final = Backend.NAMESPACES
CONTAINERS: Final = Backend.CONTAINERS
SIMULATED: Final = Backend.SIMULATED

_SIMULATED: Final[frozenset[type]] = frozenset({NodeProcesses, Links})
_REAL: Final[frozenset[type]] = _SIMULATED | {Sockets, HostCommands, ResourceLimits, Disks, Clocks}

_CAPABILITIES: Final = {
    NAMESPACES: ("network namespaces", "nftables"),
    CONTAINERS: ("Docker containers", "nftables"),
    SIMULATED: ("virtual time",),
}


def probe(backend: Backend) -> Missing | None:
    """Why no host of that kind can be made here, or None: it is tried. Never raises; blocks."""
    if backend == NAMESPACES:
        return trial.probe()
    if backend == CONTAINERS:
        try:
            from dissever.harness.cluster import engine
        except ImportError as error:
            return Missing(f"no Docker SDK: {error}", "pip install 'dissever[docker]'")
        return engine.probe()
    return None


def missing_faulty_disks() -> Missing | None:
    """Why containers cannot have disks that are made to fail, or None. Blocks."""
    from dissever.harness.cluster import engine

    if not engine.is_local():
        reason = "an engine elsewhere does not see a faultfs that is mounted here"
        return Missing(reason, "use namespaces, or an engine on this machine")
    return faultfs.missing_here()
