"""
Kill nodes with SIGKILL, and start them again.

Evidence is the kernel's: the process that ran is gone by that signal; later another one runs, with
another pid and a greater incarnation.

Source: Jepsen, `nemesis/combined.clj`, `db-nemesis`.
"""

from __future__ import annotations

import asyncio

from dissever.harness.client import Completion, Invocation, Missing, Primaries
from dissever.harness.cluster import Cluster, NodeStatus
from dissever.nemesis import processes
from dissever.nemesis.down import Down, aim
from dissever.nemesis.requests import read_request
from dissever.nemesis.targets import TargetSpec

__all__ = ["Kill"]

NAME = "kill"


class Kill:
    """`kill` takes nodes down, `start` brings back those that it took."""

    def __init__(
        self, cluster: Cluster, down: Down, *, primaries: Primaries | None, seed: int
    ) -> None:
        """`seed`: of the run; for invocations that bring none of their own."""
        self._cluster = cluster
        self._down = down
        self._primaries = primaries
        self._seed = seed
        self._count = 0
        self._before: dict[str, NodeStatus] = {}

    def probe(self, cluster: Cluster) -> Missing | None:
        """The budget must allow one node at least."""
        return self._down.probe()

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Kill or start.

        Raises:
            ValueError: For another `f`, or a spec that there is not.
        """
        match invocation.f:
            case "kill":
                return await self._kill(invocation)
            case "start":
                return await self._start(invocation)
        raise ValueError(f"expected kill or start, got {invocation.f!r}")

    async def heal(self) -> None:
        """Start every node that this fault killed."""
        await self._down.bring_back(NAME, self._cluster.start)

    async def _kill(self, invocation: Invocation) -> Completion:
        self._count += 1
        stream = f"{self._seed}/{NAME}/{self._count}"
        request = read_request(invocation.value, spec=TargetSpec.ONE, stream=stream)
        aimed = await aim(
            request,
            fault=NAME,
            cluster=self._cluster,
            primaries=self._primaries,
            down=self._down,
        )
        for node in aimed.targets:
            self._before[node] = await self._cluster.status(node)
        seen = await asyncio.gather(*(processes.kill(self._cluster, n) for n in aimed.targets))
        return processes.struck(invocation, request.spec, aimed.notes, seen)

    async def _start(self, invocation: Invocation) -> Completion:
        nodes = self._down.of(NAME)
        seen = await asyncio.gather(
            *(processes.start(self._cluster, n, self._before.get(n)) for n in nodes)
        )
        for each in seen:
            if each.is_so:
                self._down.give_back(each.node)
        return processes.healed(invocation, seen)
