"""The backends: what each can do to its hosts, and what it finds of the machine that it needs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from dissever.harness.cluster import (
    Allocations,
    ClientLinks,
    Clocks,
    DiskFaults,
    Disks,
    HostCommands,
    Impairments,
    Links,
    NodeProcesses,
    NodeTimes,
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
    COMPOSE = "compose"
    SIMULATED = "simulated"

    @property
    def abilities(self) -> frozenset[type]:
        """What can be done to its hosts at most, as the protocols of `harness.cluster`."""
        return _ABILITIES[self]

    @property
    def is_virtual(self) -> bool:
        """Whether its hosts live in virtual time."""
        return self is Backend.SIMULATED

    @property
    def is_apart(self) -> bool:
        """
        Whether nothing on this machine reaches a node but by `dial`.

        An engine's bridge can be reached from its machine, if somebody knows the addresses.
        """
        return self in (Backend.NAMESPACES, Backend.SIMULATED)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What it uses of the machine, in words for the plan."""
        return _CAPABILITIES[self]


NAMESPACES: Final = Backend.NAMESPACES
CONTAINERS: Final = Backend.CONTAINERS
COMPOSE: Final = Backend.COMPOSE
SIMULATED: Final = Backend.SIMULATED

_EVERY: Final[frozenset[type]] = frozenset({NodeProcesses, Links})
_SIMULATED: Final = _EVERY | {
    Impairments,
    DiskFaults,
    NodeTimes,
    Allocations,
    ClientLinks,
}
_FOREIGN: Final = _EVERY | {Sockets, HostCommands, ResourceLimits}
_REAL: Final[frozenset[type]] = _FOREIGN | {Disks, Clocks}

_ABILITIES: Final = {
    NAMESPACES: _REAL,
    CONTAINERS: _REAL,
    COMPOSE: _FOREIGN,
    SIMULATED: _SIMULATED,
}
"""
A Compose project keeps its images as they are, and so the places of its data, and its clocks. A
system that runs simulated may lack some of what simulated hosts can do, and says so (`Lacks`).
"""

_CAPABILITIES: Final = {
    NAMESPACES: ("network namespaces", "nftables"),
    CONTAINERS: ("Docker containers", "nftables"),
    COMPOSE: ("Docker Compose", "nftables"),
    SIMULATED: ("virtual time",),
}


def probe(backend: Backend) -> Missing | None:
    """Why no host of that kind can be made here, or None: it is tried. Never raises; blocks."""
    if backend == NAMESPACES:
        return trial.probe()
    if backend in (CONTAINERS, COMPOSE):
        try:
            from dissever.harness.cluster import engine
        except ImportError as error:
            return Missing(f"no Docker SDK: {error}", "pip install 'dissever[docker]'")
        if (missing := engine.probe()) is not None or backend == CONTAINERS:
            return missing
        from dissever.harness.cluster.compose import tool

        return tool.probe()
    return None


def missing_faulty_disks() -> Missing | None:
    """Why containers cannot have disks that are made to fail, or None. Blocks."""
    from dissever.harness.cluster import engine

    if not engine.is_local():
        reason = "an engine elsewhere does not see a faultfs that is mounted here"
        return Missing(reason, "use namespaces, or an engine on this machine")
    return faultfs.missing_here()
