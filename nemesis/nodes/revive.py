"""
Start again what ended by itself: a node that met a fault it could not bear.

A node that still runs but is of no use is left as it is: whether it comes back alone is for the run
to find out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from dissever.harness.cluster import Cluster, NodeState
from dissever.nemesis.nodes.down import Down
from dissever.nemesis.nodes.processes import Seen

__all__ = ["revive", "revive_others"]

log = logging.getLogger(__name__)


async def revive(cluster: Cluster, down: Down, node: str) -> dict[str, Any]:
    """Start the node if it has ended and no fault holds it down; what the history is told of it."""
    status = await cluster.status(node)
    if status.state is not NodeState.GONE or node in down.reasons:
        return {}
    log.info("%s: ended by itself with status %s, started again", node, status.exit_status)
    await cluster.start(node)
    return {"ended": status.exit_status}


async def revive_others(cluster: Cluster, down: Down, struck: Iterable[str]) -> list[Seen]:
    """The same for every node that the fault did not strike: what a peer did may have ended it."""
    others = [node for node in cluster.nodes if node not in set(struck)]
    told = {node: await revive(cluster, down, node) for node in others}
    return [
        Seen(node, True, await cluster.status(node), facts) for node, facts in told.items() if facts
    ]
