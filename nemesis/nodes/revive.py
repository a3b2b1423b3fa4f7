"""
Start nodes again that ended by themselves under a fault.

A node that still runs but is of no use is left as it is: the end of the run finds out whether it
comes back.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from dissever.harness.cluster import NodeState
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.aiming import Ledger
from dissever.nemesis.environment import Site
from dissever.nemesis.fault import FaultEvidence, Injector
from dissever.nemesis.nodes.processes import NodeEvidence, as_json
from dissever.nemesis.requests import Request

__all__ = ["Reviving", "revive"]

log = logging.getLogger(__name__)


async def revive(cluster: AbleCluster, down: Ledger, node: str) -> dict[str, Any]:
    """Start the node if it has ended and no fault holds it down; what the history says of it."""
    status = await cluster.status(node)
    if status.state is not NodeState.GONE or node in down.reasons:
        return {}
    log.info("%s: ended by itself with status %s, started again", node, status.exit_status)
    await cluster.start(node)
    return {"ended": status.exit_status}


class Reviving:
    """
    An `Injector` around another whose faults may end nodes, also those that it did not strike.

    Healing starts these again, since what a peer did may have ended them.
    """

    def __init__(self, inner: Injector, site: Site) -> None:
        self._inner = inner
        self._cluster = site.cluster
        self._down = site.down

    async def inject(self, request: Request) -> FaultEvidence:
        return await self._inner.inject(request)

    async def heal(self) -> FaultEvidence:
        seen = await self._inner.heal()
        others = []
        for node in self._cluster.nodes:
            if node not in seen.targets and (
                facts := await revive(self._cluster, self._down, node)
            ):
                status = await self._cluster.status(node)
                others.append(NodeEvidence(node, True, status, facts))
        return replace(
            seen,
            targets=(*seen.targets, *(each.node for each in others)),
            facts={"nodes": {**seen.facts["nodes"], **as_json(others)}},
        )

    async def release(self) -> None:
        await self._inner.release()
