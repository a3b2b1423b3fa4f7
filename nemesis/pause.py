"""
Pause nodes with SIGSTOP, and resume them with SIGCONT.

A paused node's kernel still acknowledges packets and accepts connections, so its peers only see a
silence. Evidence: the kernel says that it stands still, and a request to it gets no answer.

Source: Jepsen, `nemesis/combined.clj`, `db-nemesis`.
"""

from __future__ import annotations

import asyncio

from dissever.harness.client import Completion, Invocation, Missing, Primaries
from dissever.harness.cluster import Cluster, NodeState
from dissever.nemesis import processes
from dissever.nemesis.down import Down, aim
from dissever.nemesis.processes import Answers
from dissever.nemesis.requests import read_request
from dissever.nemesis.targets import TargetSpec

__all__ = ["Pause"]

NAME = "pause"


class Pause:
    """`pause` stops nodes, `resume` lets those go on that it stopped."""

    def __init__(
        self,
        cluster: Cluster,
        down: Down,
        *,
        primaries: Primaries | None,
        answers: Answers | None,
        seed: int,
    ) -> None:
        """`seed`: of the run; for invocations that bring none of their own."""
        self._cluster = cluster
        self._down = down
        self._primaries = primaries
        self._answers = answers
        self._seed = seed
        self._count = 0

    def probe(self, cluster: Cluster) -> Missing | None:
        """The budget must allow one node at least."""
        return self._down.probe()

    async def invoke(self, invocation: Invocation) -> Completion:
        """
        Pause or resume.

        Raises:
            ValueError: For another `f`, or a spec that there is not.
        """
        match invocation.f:
            case "pause":
                return await self._pause(invocation)
            case "resume":
                return await self._resume(invocation)
        raise ValueError(f"expected pause or resume, got {invocation.f!r}")

    async def heal(self) -> None:
        """Let every node go on that this fault stopped."""
        await self._down.bring_back(NAME, self._cluster.resume)

    async def _pause(self, invocation: Invocation) -> Completion:
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
        seen = await asyncio.gather(
            *(processes.pause(self._cluster, node, self._answers) for node in aimed.targets)
        )
        return processes.struck(invocation, request.spec, aimed.notes, seen)

    async def _resume(self, invocation: Invocation) -> Completion:
        nodes = self._down.of(NAME)
        seen = await asyncio.gather(
            *(processes.resume(self._cluster, node, self._answers) for node in nodes)
        )
        for each in seen:
            if each.status.state is not NodeState.PAUSED:
                self._down.give_back(each.node)
        return processes.healed(invocation, seen)
