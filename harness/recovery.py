"""
What a run asks of a system once faults have healed: progress, readiness, equal replicas.

Each is an operation of the process `recovery`. Its completion says what was seen and how long that
took, in ms of the run's own clock; what did not come in time is told, never raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from dissever.harness.client import Completion, Invocation, Missing
from dissever.harness.cluster import Cluster
from dissever.harness.system import Deployment

__all__ = ["COMPARE", "PROGRESS", "READY", "RECOVERY", "RESTART", "Recovery"]

RECOVERY: Final = "recovery"
"""The process."""

PROGRESS: Final = "await-progress"
READY: Final = "await-ready"
RESTART: Final = "restart-all"
COMPARE: Final = "compare-replicas"

LIMIT_S = 30.0
COMPARE_LIMIT_S = 15.0
COMPARE_GAP_S = 0.2


class Recovery:
    """Waits; `held` says whether what it waited for came."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._has_recovered = True

    def probe(self, cluster: Cluster) -> Missing | None:
        return None

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Wait for what `f` names.

        Raises:
            ValueError: For another `f`.
        """
        began = asyncio.get_running_loop().time()
        try:
            is_so, seen = await self._wait(invocation)
        except TimeoutError as late:
            is_so, seen = False, {"missing": str(late)}
        waited_ms = round((asyncio.get_running_loop().time() - began) * 1000)
        value = {**seen, "waited_ms": waited_ms, "evidence": {"held": is_so}}
        if invocation.f == READY:
            self._has_recovered = is_so is True
        error = None if is_so is not False else str(seen.get("missing", "it never came"))
        return invocation.info(error, value)

    async def heal(self) -> None:
        pass

    async def _wait(self, invocation: Invocation) -> tuple[bool | None, Mapping[str, Any]]:
        match invocation.f:
            case "await-progress":
                nodes = tuple(invocation.value["nodes"])
                seen = await self._deployment.await_progress(nodes, LIMIT_S)
                return True, {"nodes": list(nodes), **seen}
            case "await-ready":
                return True, await self._deployment.await_ready(LIMIT_S)
            case "restart-all":
                return await self._restart()
            case "compare-replicas":
                return await self._compare()
        raise ValueError(
            f"expected {PROGRESS}, {READY}, {RESTART} or {COMPARE}, got {invocation.f}"
        )

    async def _restart(self) -> tuple[bool | None, Mapping[str, Any]]:
        """
        Kill and start every node, if it takes that to be served again: the verdict stands by then.

        What the nodes have on their disks can only be read from those that serve.
        """
        if self._has_recovered:
            return None, {"skipped": "every node serves"}
        cluster = self._deployment.cluster
        await asyncio.gather(*(cluster.kill(node) for node in cluster.nodes))
        await asyncio.gather(*(cluster.start(node) for node in cluster.nodes))
        return True, await self._deployment.await_ready(LIMIT_S)

    async def _compare(self) -> tuple[bool | None, Mapping[str, Any]]:
        """Nodes that lag catch up: ask until all hold the same, or the time is up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + COMPARE_LIMIT_S
        while True:
            replicas = await self._deployment.replicas()
            if replicas is None:
                return None, {"skipped": "the system offers no dump"}
            if len(set(replicas.values())) == 1:
                return True, {"replicas": dict(replicas)}
            if loop.time() >= until:
                missing = f"replicas differ {COMPARE_LIMIT_S:g} s after the last write"
                return False, {"replicas": dict(replicas), "missing": missing}
            await asyncio.sleep(COMPARE_GAP_S)
