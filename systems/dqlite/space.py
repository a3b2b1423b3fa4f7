"""How much room the disks of nodes have: a node that cannot write its log does not say why."""

from __future__ import annotations

from typing import Final

from dissever.systems.dqlite.cluster import HostsCluster

NEEDED_MIB: Final = 16
"""Two open segments of Raft's log, which a node allocates before it takes its first write."""


async def lack_of_room(cluster: HostsCluster) -> str:
    """Which disks have too little room for a node, in words; empty when none, or nobody knows."""
    short: dict[str, list[str]] = {}
    for node in cluster.nodes:
        try:
            said = await cluster.command(node, ["df", "-Pk", cluster.disk(node).path])
            free_mib = int(said.stdout.splitlines()[-1].split()[3]) / 1024
        except (OSError, ValueError, IndexError):
            continue
        if free_mib < NEEDED_MIB:
            short.setdefault(f"{free_mib:.1f} MiB", []).append(node)
    return "; ".join(
        f"the disk of {', '.join(nodes)} has {free} left, and a node needs {NEEDED_MIB} MiB"
        for free, nodes in short.items()
    )
