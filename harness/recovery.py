"""
What a run asks of a system once faults have healed: progress, readiness, equal replicas.

Each is an operation of the process `recovery`. Its completion says what was seen and how long that
took, in ms of the run's own clock. What does not come in time is recorded there and never raised.
The evidence is true or false for what was seen, and None for what was not seen. None is no failure
of the system: `skipped` says why there was nothing to see, or `missing` what could not be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from dissever.harness import vocabulary as names
from dissever.harness.client import Completion, Invocation
from dissever.harness.cluster import NodeProcesses, NodeState
from dissever.harness.missing import Missing
from dissever.harness.plan import RECOVERY_S
from dissever.harness.system import Damaged, Deployment, Replica, Replicas, Unseen
from dissever.harness.values import listed, reason
from dissever.harness.waiting import waiting

COMPARE_GAP_S = 0.2

SERVE_LIMIT_S = 5.0
"""How long each node may take to serve when not all of them did in time."""

_ASKS_ALL = (names.READY, names.RESTART, names.RESTART_AGAIN)
"""What asks every node to serve."""


class Recovery:
    """Waits; `held` says whether what it waited for came."""

    def __init__(self, deployment: Deployment, limit_s: float = RECOVERY_S) -> None:
        """`limit_s`: how long each may take; replicas may differ for half of it."""
        self._deployment = deployment
        self._limit_s = limit_s
        self._has_differed = False
        self._is_well = True
        """Whether what was asked for last came."""

    def probe(self) -> Missing | None:
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
        observed: dict[str, Any] = {"held": is_so}
        if is_so is False:
            observed |= await self._not_running()
            if invocation.f in _ASKS_ALL:
                observed["silent"] = await self._silent()
        value = {**seen, "waited_ms": waited_ms, "evidence": observed}
        if is_so is not None:
            self._is_well = is_so
        error = None if is_so or "skipped" in seen else str(seen.get("missing", "it never came"))
        return invocation.info(error, value)

    async def heal(self) -> None:
        pass

    async def _wait(self, invocation: Invocation) -> tuple[bool | None, Mapping[str, Any]]:
        match invocation.f:
            case names.PROGRESS:
                nodes = tuple(invocation.value["nodes"])
                with waiting(
                    f"waiting until one of {listed(nodes)} acknowledges a write", self._limit_s
                ):
                    seen = await self._deployment.await_progress(nodes, self._limit_s)
                return True, {"nodes": list(nodes), **seen}
            case names.READY:
                return True, await self._served()
            case names.RESTART:
                return await self._restart("every node serves")
            case names.COMPARE:
                return await self._compare("the last write")
            case names.RESTART_AGAIN:
                self._has_differed = not self._is_well
                return await self._restart("no difference was seen")
            case names.COMPARE_AGAIN if not self._has_differed:
                return None, {"skipped": "no difference was seen"}
            case names.COMPARE_AGAIN:
                return await self._compare("a restart of all nodes")
        raise ValueError(f"expected one out of {', '.join(names.ANOMALIES)}, got {invocation.f!r}")

    async def _served(self) -> Mapping[str, Any]:
        """What is seen once every node serves."""
        with waiting("waiting until every node serves", self._limit_s):
            return await self._deployment.await_ready(self._limit_s)

    async def _silent(self) -> list[str]:
        """The nodes by way of which no write is acknowledged."""
        nodes = self._deployment.cluster.nodes
        with waiting(f"asking which of {listed(nodes)} serve", SERVE_LIMIT_S):
            serve = await asyncio.gather(*(self._serves(node) for node in nodes))
        return [node for node, is_serving in zip(nodes, serve, strict=True) if not is_serving]

    async def _serves(self, node: str) -> bool:
        try:
            await self._deployment.await_progress((node,), SERVE_LIMIT_S)
        except OSError:  # A TimeoutError is one.
            return False
        return True

    async def _not_running(self) -> dict[str, list[str]]:
        """The nodes that a fault has stopped, and those that have ended."""
        cluster = self._deployment.cluster
        if not isinstance(cluster, NodeProcesses):
            return {}
        states = {node: (await cluster.status(node)).state for node in cluster.nodes}
        found = {
            "paused": [node for node, state in states.items() if state is NodeState.PAUSED],
            "gone": [node for node, state in states.items() if state is NodeState.GONE],
        }
        return {what: nodes for what, nodes in found.items() if nodes}

    async def _restart(self, unless: str) -> tuple[bool | None, Mapping[str, Any]]:
        """
        Kill and start every node if what was asked for last did not come.

        What did not come stays missing, whatever happens after the restart.

        Only nodes that serve can be compared, and only a restart shows whether replicas differ on
        their disks or in memory.
        """
        if self._is_well:
            return None, {"skipped": unless}
        cluster = self._deployment.cluster
        if not isinstance(cluster, NodeProcesses):
            return None, {"skipped": "the nodes have no processes to restart"}
        try:
            with waiting(f"restarting {listed(cluster.nodes)}"):
                await asyncio.gather(*(cluster.kill(node) for node in cluster.nodes))
                await asyncio.gather(*(cluster.start(node) for node in cluster.nodes))
        except TimeoutError as error:  # Of the cluster, which is ours, not of the system.
            return None, {"missing": f"not every node was restarted: {error}"}
        return True, await self._served()

    async def _compare(self, since: str) -> tuple[bool | None, Mapping[str, Any]]:
        """Nodes that lag catch up: ask until all hold the same, or the time is up."""
        if not isinstance(self._deployment, Replicas):
            return None, {"skipped": "the system offers no dump"}
        nodes = self._deployment.cluster.nodes
        with waiting(f"comparing the replicas of {listed(nodes)}", self._limit_s):
            return await self._compare_until_equal(self._deployment, since)

    async def _compare_until_equal(
        self, deployment: Replicas, since: str
    ) -> tuple[bool | None, Mapping[str, Any]]:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limit_s
        while True:
            replicas = await self._replicas(deployment)
            is_so, missing = _compared(replicas)
            unseen = [node for node, held in replicas.items() if isinstance(held, Unseen)]
            seen: dict[str, Any] = {
                "replicas": {node: str(held) for node, held in replicas.items()}
            }
            seen |= {"unseen": unseen} if unseen else {}
            if is_so:
                return True, seen
            if loop.time() >= until:
                return is_so, {**seen, "missing": f"{missing} {self._limit_s:g} s after {since}"}
            await asyncio.sleep(COMPARE_GAP_S)

    async def _replicas(self, deployment: Replicas) -> Mapping[str, Replica]:
        try:
            return await deployment.replicas()
        except (OSError, TimeoutError) as error:
            unseen = Unseen(reason(error))
            return dict.fromkeys(self._deployment.cluster.nodes, unseen)


def _compared(replicas: Mapping[str, Replica]) -> tuple[bool | None, str]:
    """Whether all hold the same, None when that was not seen; and what is missing."""
    unseen = [f"{node} ({held.why})" for node, held in replicas.items() if isinstance(held, Unseen)]
    seen = {held for held in replicas.values() if not isinstance(held, Unseen)}
    if len(seen) > 1:
        return False, "replicas differ"
    if damaged := [node for node, held in replicas.items() if isinstance(held, Damaged)]:
        return False, f"the data of {listed(damaged)} is damaged"
    if unseen or not seen:
        return None, f"no dump came from {listed(unseen) or 'any node'}"
    return True, ""
