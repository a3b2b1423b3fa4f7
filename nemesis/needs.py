"""
What faults need of the machine beside a cluster that runs, and whether it is there.

A need is tried out, never guessed from a version: a fault that did nothing is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from dissever.harness.cluster import backends, cgroups, clock, faultfs
from dissever.harness.cluster.backends import Backend
from dissever.harness.missing import Missing
from dissever.nemesis.packets import host_trials
from dissever.nemesis.toxiproxy import server

__all__ = ["BACKENDS", "NEEDS", "Backend", "Need", "missing"]


BACKENDS = tuple(Backend)


class Need(StrEnum):
    """Something that a machine may lack."""

    KERNEL = "hosts of a real kernel"
    CGROUPS = "control groups"
    TOXIPROXY = "a Toxiproxy server"
    DISKS = "disks of their own for nodes"
    CLOCKS = "clocks of their own for nodes"
    FAULTFS = "disks that fail as they are told"
    LOSS = "random loss by nft"
    TBF = "tbf"
    NETEM = "netem"
    RESETS = "resets of connections"


def _kernel(backend: Backend) -> Missing | None:
    if backend is Backend.SIMULATED:
        return Missing("simulated hosts have no kernel", "use namespaces or containers")
    return None


def _cgroups(backend: Backend) -> Missing | None:
    if backend is Backend.CONTAINERS:
        return backends.missing_limits()
    return cgroups.probe()


def _toxiproxy(backend: Backend) -> Missing | None:
    found = server.find()
    return found if isinstance(found, Missing) else None


def _disks(backend: Backend) -> Missing | None:
    """What namespaces need for them is tried with every cluster; any engine has volumes."""
    return None


def _clocks(backend: Backend) -> Missing | None:
    """The images of containers have it."""
    return clock.missing() if backend is Backend.NAMESPACES else None


def _faultfs(backend: Backend) -> Missing | None:
    if backend is Backend.CONTAINERS:
        return backends.missing_faulty_disks()
    return faultfs.missing()


def _tried(trial: host_trials.Trial) -> Callable[[Backend], Missing | None]:
    return lambda backend: host_trials.tried(trial, backend.value)


NEEDS: Mapping[Need, Callable[[Backend], Missing | None]] = {
    Need.KERNEL: _kernel,
    Need.CGROUPS: _cgroups,
    Need.TOXIPROXY: _toxiproxy,
    Need.DISKS: _disks,
    Need.CLOCKS: _clocks,
    Need.FAULTFS: _faultfs,
    Need.LOSS: _tried(host_trials.LOSS),
    Need.TBF: _tried(host_trials.TBF),
    Need.NETEM: _tried(host_trials.NETEM),
    Need.RESETS: _tried(host_trials.RESETS),
}
"""Each tries out one need on one backend."""


def missing(need: Need, backend: Backend) -> Missing | None:
    """Why the need is not met there, or None."""
    return NEEDS[need](backend)
