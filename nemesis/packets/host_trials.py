"""
Whether hosts like those of a backend can do something with packets, found by doing it on one.

The host is made for the trial: a network namespace of its own with nothing but a loopback, or a
container without a network. What is tried are the very commands that the faults use.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import Final

from dissever.harness.cluster import backends
from dissever.harness.missing import Missing

__all__ = ["LOSS", "NETEM", "RESETS", "TBF", "Trial", "tried"]

LIMIT_S: Final = 20.0


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
def tried(trial: Trial, backend: str) -> Missing | None:
    """Why a host cannot do it, or None. Blocks, and never raises."""
    run = _in_container if backend == backends.CONTAINERS else _in_namespace
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
