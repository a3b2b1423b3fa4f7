"""
What faults need: abilities of the cluster, something of the machine, something of the system.

A need of the machine is tried out, never guessed from a version: a fault that did nothing is worse
than none. What packets need is tried with the very commands that the faults use, on a host made for
it: a network namespace with nothing but a loopback, or a container without a network.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from typing import Any, Final

from dissever.harness.cluster import Clocks, Hosts, backends, clock, faultfs, trial
from dissever.harness.cluster.backends import Backend
from dissever.harness.missing import Missing
from dissever.harness.system import Membership, Ports, Primaries, Upgrades
from dissever.nemesis.toxiproxy import server

__all__ = [
    "Need",
    "Offer",
    "lacking",
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
    WALL_CLOCKS = "nodes that read a wall clock"
    ROOM = "a budget"


def missing(
    need: type | Need | Offer, backend: Backend, needs: Iterable[type | Need | Offer] = ()
) -> Missing | None:
    """
    Why no fault that needs it can strike on that backend of this machine, or None; tries it out.

    Args:
        need: A type is an ability of the cluster, a protocol of `harness.cluster`.
        needs: All that the fault needs: the remedy names backends that have all of its abilities.
    """
    if isinstance(need, Need):
        return _TRIALS[need](backend)
    if isinstance(need, Offer) or need in backend.abilities:
        return None  # What a system offers is asked of the system.
    abilities = {need, *(each for each in needs if isinstance(each, type))}
    if not backend.is_virtual and need in Backend.SIMULATED.abilities:
        return Missing("only simulated nodes can have it", "use a system that is simulated")
    *most, last = [each.value for each in Backend if abilities <= each.abilities]
    others = f"{', '.join(most)} or " if most else ""
    return Missing(_UNABLE[backend], f"use {others}{last}")


def not_offered(offer: Offer, offered: Mapping[Offer, bool], nodes: int) -> Missing | None:
    """Why the system of this run has it not, or None. `nodes`: how many there are."""
    if offered[offer]:
        return None
    if offer is Offer.ROOM:
        reason = f"none of {nodes} nodes may be down at a time"
        return Missing(reason, "run with at least 3 nodes, or with a greater budget")
    is_unsaid = offer is Offer.BUILDS
    remedy = "--upgrade-to VERSION" if is_unsaid else "choose another fault"
    return Missing(_NOT_OFFERED[offer], remedy)


def lacking(fault_needs: Iterable[type | Need | Offer], lacks: Mapping[type, str]) -> str:
    """Why a system that lacks these abilities cannot meet the needs of a fault; empty if it can."""
    wanted = (_OFFERS.get(need, need) for need in fault_needs)
    return next((lacks[need] for need in wanted if isinstance(need, type) and need in lacks), "")


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


_UNABLE: Mapping[Backend, str] = {
    Backend.NAMESPACES: "only simulated nodes can have it",
    Backend.CONTAINERS: "only simulated nodes can have it",
    Backend.SIMULATED: "simulated hosts have no kernel",
    Backend.COMPOSE: "services of a Compose project keep the disks and the clocks of their images",
}
"""Why a backend lacks an ability that others have."""

_OFFERS: Mapping[Any, type] = {
    Offer.LEADERS: Primaries,
    Offer.MEMBERS: Membership,
    Offer.BUILDS: Upgrades,
    Offer.PEER_PORTS: Ports,
    Offer.WALL_CLOCKS: Clocks,
}
"""What of a system is an ability of its deployments."""

_NOT_OFFERED: Mapping[Offer, str] = {
    Offer.LEADERS: "the system has no leaders",
    Offer.MEMBERS: "the system has no members to change",
    Offer.BUILDS: "it was not said which version nodes are upgraded to",
    Offer.PEER_PORTS: "the system does not say on which ports its nodes hear each other",
    Offer.CLIENT_PORTS: "the system does not say on which ports its nodes serve clients",
    Offer.WALL_CLOCKS: "its nodes read no wall clock",
}


LIMIT_S: Final = 20.0


def _cgroups(backend: Backend) -> Missing | None:
    if backend in (Backend.CONTAINERS, Backend.COMPOSE):
        from dissever.harness.cluster import limits  # Needs the Docker SDK.

        return limits.missing()
    return trial.missing_limits()


@dataclass(frozen=True, slots=True)
class Trial:
    """What is done, what is missing when that fails, and what would help."""

    script: str
    lacks: str
    remedy: str


NETEM: Final = Trial(
    "tc qdisc add dev lo root netem delay 1ms",
    "the kernel has no sch_netem",
    "modprobe sch_netem where the kernel has it; elsewhere latency delays by Toxiproxy, and"
    " packet-loss and packet-rate need no netem",
)
TBF: Final = Trial(
    "tc qdisc add dev lo root handle 1: htb default 0"
    " && tc class add dev lo parent 1: classid 1:1 htb rate 10gbit quantum 60000"
    " && tc qdisc add dev lo parent 1:1 tbf rate 8mbit burst 5000 latency 400ms"
    " && tc filter add dev lo parent 1: protocol ip prio 1 u32 match ip dst 10.0.0.1/32 flowid 1:1",
    "the kernel has no sch_htb, sch_tbf or cls_u32",
    "another kernel, or apt-get install iproute2 for tc",
)
LOSS: Final = Trial(
    "nft 'add table inet t; add chain inet t c { type filter hook input priority filter; };"
    " add rule inet t c numgen random mod 10000 < 1 counter drop'",
    "the kernel has no nft_numgen",
    "another kernel, or apt-get install nftables for nft",
)

RESETS: Final = Trial(
    """ip link set lo up && exec "${PYTHON:-python3}" -I -S -c '
import socket, subprocess
server = socket.create_server(("127.0.0.1", 7))
client = socket.create_connection(server.getsockname())
command = ["ss", "-K", "-H", "-t", "-n", "state", "connected", "( sport = :7 )"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
client.settimeout(1)
try:
    client.recv(1)
except ConnectionError:
    raise SystemExit
raise SystemExit("ss -K ended nothing")
'""",
    "the kernel has no INET_DIAG_DESTROY",
    "another kernel, or apt-get install iproute2 for ss",
)


@cache
def _tried(trial: Trial, backend: Backend) -> Missing | None:
    """Why a host cannot do it, or None. Blocks, and never raises."""
    run = _in_namespace if backend is Backend.NAMESPACES else _in_container
    try:
        status, said = run(trial.script)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Missing(f"it could not be tried: {error}", trial.remedy)
    if not status:
        return None
    first = next(iter(said.strip().splitlines()), f"exit status {status}")
    return Missing(f"{trial.lacks} ({first.removeprefix('Error: ').rstrip('.')})", trial.remedy)


def _in_namespace(script: str) -> tuple[int, str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    done = subprocess.run(
        ["unshare", *user, "--net", "sh", "-c", script],
        env={**os.environ, "PATH": path, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode, done.stderr


def _in_container(script: str) -> tuple[int, str]:
    import docker.errors  # The Docker SDK is there where containers are.
    import requests.exceptions

    from dissever.harness.cluster import engine

    with contextlib.closing(engine.connect()) as client:
        try:
            container = client.containers.create(
                engine.HOST_IMAGE,
                ["sh", "-c", script],
                network_mode="none",
                cap_drop=["ALL"],
                cap_add=["NET_ADMIN"],
                labels=engine.labels("trial"),
            )
            try:
                container.start()
                status = int(container.wait(timeout=LIMIT_S)["StatusCode"])
                return status, container.logs(stdout=False).decode(errors="replace")
            finally:
                container.remove(force=True)
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise OSError(0, str(error)) from error


_TRIALS: Mapping[Need, Callable[[Backend], Missing | None]] = {
    Need.CGROUPS: _cgroups,
    Need.TOXIPROXY: lambda _: found if isinstance(found := server.find(), Missing) else None,
    # The images of containers have it.
    Need.CLOCKS: lambda backend: clock.missing() if backend is Backend.NAMESPACES else None,
    Need.FAULTFS: lambda backend: (
        backends.missing_faulty_disks() if backend is Backend.CONTAINERS else faultfs.missing()
    ),
    Need.LOSS: partial(_tried, LOSS),
    Need.TBF: partial(_tried, TBF),
    Need.NETEM: partial(_tried, NETEM),
    Need.RESETS: partial(_tried, RESETS),
}
