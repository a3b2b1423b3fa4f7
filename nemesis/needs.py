"""
What faults need: abilities of the cluster, something of the machine, something of the system.

A need of the machine is tried out, never guessed from a version: a fault that did nothing is worse
than none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from dissever.harness.cluster import Hosts, backends, clock, faultfs, trial
from dissever.harness.cluster.backends import Backend
from dissever.harness.missing import Missing
from dissever.nemesis.packets import host_trials
from dissever.nemesis.toxiproxy import server

__all__ = [
    "Need",
    "Offer",
    "missing",
    "not_made",
    "not_offered",
]


class Need(StrEnum):
    """Something that a machine may lack."""

    CGROUPS = "control groups"
    TOXIPROXY = "a Toxiproxy server"
    CLOCKS = "libfaketime"
    FAULTFS = "libfuse3"
    LOSS = "nft with numgen"
    TBF = "tc with htb and tbf"
    NETEM = "sch_netem"
    RESETS = "INET_DIAG_DESTROY"


class Offer(StrEnum):
    """Something that a system may not offer."""

    LEADERS = "leaders"
    MEMBERS = "members that change"
    BUILDS = "two versions"
    PEER_PORTS = "ports for nodes"
    CLIENT_PORTS = "ports for clients"
    ROOM = "a budget"


def missing(need: type | Need | Offer, backend: Backend) -> Missing | None:
    """
    Why no fault that needs it can strike on that backend of this machine, or None; tries it out.

    Args:
        need: A type is an ability of the cluster, a protocol of `harness.cluster`.
    """
    if isinstance(need, Need):
        return _TRIALS[need](backend)
    if isinstance(need, Offer):
        lack = _NOT_SIMULATED.get(need) if backend is Backend.SIMULATED else None
        return Missing(lack, "choose another backend") if lack else None
    if need in backend.abilities:
        return None
    others = [each.value for each in Backend if need in each.abilities]
    return Missing(f"{backend.value} hosts have no kernel", f"use {' or '.join(others)}")


def not_offered(offer: Offer, offered: Mapping[Offer, bool], nodes: int) -> Missing | None:
    """Why the system of this run has it not, or None. `nodes`: how many there are."""
    if offered[offer]:
        return None
    if offer is Offer.ROOM:
        reason = f"none of {nodes} nodes may be down at a time"
        return Missing(reason, "run with at least 3 nodes, or with a greater budget")
    return _NOT_OFFERED[offer]


def not_made(hosts: Hosts, cluster: Any) -> Missing | None:
    """Why the hosts of a cluster were not made as a fault needs them, or None."""
    remedy = "name the fault among those of the run"
    nodes = cluster.nodes
    if hosts.disk_mb is not None and any(cluster.disk(n).size_mb is None for n in nodes):
        return Missing("the nodes have no disks of their own", remedy)
    if hosts.faulty_disks and not all(cluster.disk(node).ask for node in nodes):
        return Missing("the nodes' data does not go through faultfs", remedy)
    try:
        if hosts.own_clocks and any(cluster.clock(node) is None for node in nodes):
            return Missing("the nodes have no clocks of their own", remedy)
    except FileNotFoundError as error:
        return Missing(str(error.strerror), "apt-get install libfaketime")
    return None


_NOT_SIMULATED: Mapping[Offer, str] = {
    Offer.LEADERS: "nobody leads there",
    Offer.MEMBERS: "the simulated system has no members to change",
    Offer.BUILDS: "the simulated system has one version",
}

_NOT_OFFERED: Mapping[Offer, Missing] = {
    Offer.LEADERS: Missing("the system has no leaders", "choose another fault"),
    Offer.MEMBERS: Missing("the system has no members to change", "choose another fault"),
    Offer.BUILDS: Missing(
        "it was not said which version nodes are upgraded to", "--set upgrade-to=VERSION"
    ),
    Offer.PEER_PORTS: Missing(
        "the system does not say on which ports its nodes hear each other", "choose another fault"
    ),
    Offer.CLIENT_PORTS: Missing(
        "the system does not say on which ports its nodes serve clients", "choose another fault"
    ),
}


def _cgroups(backend: Backend) -> Missing | None:
    if backend is Backend.CONTAINERS:
        from dissever.harness.cluster import limits  # Needs the Docker SDK.

        return limits.missing()
    return trial.missing_limits()


def _toxiproxy(backend: Backend) -> Missing | None:
    found = server.find()
    return found if isinstance(found, Missing) else None


def _clocks(backend: Backend) -> Missing | None:
    """The images of containers have it."""
    return clock.missing() if backend is Backend.NAMESPACES else None


def _faultfs(backend: Backend) -> Missing | None:
    if backend is Backend.CONTAINERS:
        return backends.missing_faulty_disks()
    return faultfs.missing()


def _tried(trial: host_trials.Trial) -> Callable[[Backend], Missing | None]:
    return lambda backend: host_trials.tried(trial, backend.value)


_TRIALS: Mapping[Need, Callable[[Backend], Missing | None]] = {
    Need.CGROUPS: _cgroups,
    Need.TOXIPROXY: _toxiproxy,
    Need.CLOCKS: _clocks,
    Need.FAULTFS: _faultfs,
    Need.LOSS: _tried(host_trials.LOSS),
    Need.TBF: _tried(host_trials.TBF),
    Need.NETEM: _tried(host_trials.NETEM),
    Need.RESETS: _tried(host_trials.RESETS),
}
