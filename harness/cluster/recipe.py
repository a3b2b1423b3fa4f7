"""What the containers of a cluster are made with: only the rights that the plan's faults need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from docker.types import Mount

from dissever.harness.cluster.hosts import SYN_RETRIES, Hosts

__all__ = ["FOLDER", "Recipe", "disk_options", "host_options"]

FOLDER: Final = "/node"
"""The node's folder, as its processes see it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the containers of a cluster have in common."""

    run: str
    labels: Mapping[str, str]
    network: str
    ports: tuple[int, ...]
    publish_on: str
    """The address of the engine's machine on which ports are published; "" means all."""

    uid: int
    gid: int
    memory_bytes: int
    """How much memory the engine's machine has."""

    sees: tuple[Mount, ...]
    """What of its machine the host of a node sees."""

    hosts: Hosts

    @property
    def user(self) -> str:
        """The user that nodes run as: the owner of their folders."""
        return f"{self.uid}:{self.gid}"


def host_options(recipe: Recipe) -> dict[str, Any]:
    """
    The rights of a host: to signal the node's processes and to change its files; the others only
    where a fault needs them. It is never privileged, and nodes have no right at all.
    """
    rights = ["KILL", "DAC_OVERRIDE"]
    sysctls = {"net.ipv4.ip_unprivileged_port_start": "0"}
    if recipe.uid:
        rights.append("SYS_PTRACE")  # What another user's process has mapped is not for everyone.
    if recipe.hosts.changes_network:
        rights.append("NET_ADMIN")
    if recipe.hosts.proxies:
        sysctls["net.ipv4.tcp_syn_retries"] = str(SYN_RETRIES)
    return {
        "cap_drop": ["ALL"],
        "cap_add": rights,
        "security_opt": ["no-new-privileges"],
        "sysctls": sysctls,
    }


def disk_options(recipe: Recipe) -> dict[str, str]:
    """The options of the volume in memory that is a node's own disk."""
    options = f"size={recipe.hosts.disk_mb}m,uid={recipe.uid},gid={recipe.gid},mode=755"
    return {"type": "tmpfs", "device": "tmpfs", "o": options}
