"""
End nodes and start them again, with SIGKILL, with SIGTERM, or over and over; pause them.

Evidence is the kernel's: the process that ran is gone by that signal; later another one runs, with
another pid and a greater incarnation. A paused node's kernel still acknowledges packets and accepts
connections, so its peers only see a silence: it stands still, and a request to it gets no answer.

Source: Jepsen, `nemesis/combined.clj`, `db-nemesis`; crash loops are ours.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Final

from dissever.harness.cluster import NodeProcesses, NodeState, NodeStatus
from dissever.harness.episodes import Action, Effect, Role
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.fault import Fault, Heals, steps
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import Answers, NodeEvidence
from dissever.nemesis.parameters import Settings, number

__all__ = ["FAULTS"]

GRACE_S = 10.0

LOOP_GAP_S = 0.4
"""How long a node of a crash loop lives, and how long it is gone."""

CRASHES_SEEN = 3
"""A crash loop took hold once a node crashed this often; it goes on until it is healed."""


class Kill:
    """SIGKILL, or SIGTERM as an operator does: the node may hand over what it leads."""

    def __init__(self, cluster: AbleCluster, grace_s: float | None = None) -> None:
        """`grace_s`: how long a node may take to end on SIGTERM; None: SIGKILL."""
        self._cluster = cluster
        self._grace_s = grace_s
        self._before: dict[str, NodeStatus] = {}

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        self._before[node] = await self._cluster.status(node)
        return await processes.end(self._cluster, node, self._grace_s)

    async def look_again(self, node: str) -> NodeEvidence | None:
        return await processes.still(self._cluster, node, NodeState.GONE)

    async def undo(self, node: str) -> NodeEvidence:
        return await processes.start(self._cluster, node, self._before.get(node))

    async def release(self, node: str) -> None:
        await self._cluster.start(node)


class CrashLoop(Kill):
    """Kill and start without end. A node is healed once one process stays."""

    def __init__(self, cluster: AbleCluster) -> None:
        super().__init__(cluster)
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._crashes: dict[str, int] = {}

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        gap_s = float(settings["gap_s"])
        crashes = [await processes.end(self._cluster, node)]
        while len(crashes) < CRASHES_SEEN:
            crashes.append(await self._crash(node, gap_s))
        self._crashes[node] = len(crashes)
        self._loops[node] = asyncio.create_task(self._loop(node, gap_s))
        facts = {**crashes[-1].facts, "crashes": len(crashes)}
        return replace(crashes[-1], is_so=all(each.is_so for each in crashes), facts=facts)

    async def look_again(self, node: str) -> NodeEvidence | None:
        """In force as long as the loop goes on, whether the node lives at that moment or not."""
        loop = self._loops.get(node)
        is_so = loop is not None and not loop.done()
        facts = {"crashes": self._crashes.get(node, 0)}
        return NodeEvidence(node, is_so, await self._cluster.status(node), facts)

    async def undo(self, node: str) -> NodeEvidence:
        await self._end(node)
        seen = await processes.start(self._cluster, node, self._before.get(node))
        return replace(seen, facts={**seen.facts, "crashes": self._crashes.get(node, 0)})

    async def release(self, node: str) -> None:
        await self._end(node)
        await self._cluster.start(node)

    async def _loop(self, node: str, gap_s: float) -> None:
        while True:
            await self._crash(node, gap_s)
            self._crashes[node] += 1

    async def _crash(self, node: str, gap_s: float) -> NodeEvidence:
        """Bring the node back for a moment."""
        await asyncio.sleep(gap_s)
        self._before[node] = await self._cluster.start(node)
        await asyncio.sleep(gap_s)
        return await processes.end(self._cluster, node)

    async def _end(self, node: str) -> None:
        """Stop the loop where it stands, and leave no process of it behind."""
        loop = self._loops.pop(node, None)
        if loop is None:
            return
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await self._cluster.kill(node)


class Pause:
    """SIGSTOP, then SIGCONT."""

    def __init__(self, cluster: AbleCluster, answers: Answers | None) -> None:
        self._cluster = cluster
        self._answers = answers

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        return await processes.pause(self._cluster, node, self._answers)

    async def look_again(self, node: str) -> NodeEvidence | None:
        return await processes.still(self._cluster, node, NodeState.PAUSED)

    async def undo(self, node: str) -> NodeEvidence:
        seen = await processes.resume(self._cluster, node, self._answers)
        return replace(seen, is_back=seen.status.state is not NodeState.PAUSED)

    async def release(self, node: str) -> None:
        await self._cluster.resume(node)


_ends = partial(Fault, takes_down=True, heals=Heals.START, needs=(NodeProcesses,))

KILL = _ends(
    name="kill",
    description="end nodes with SIGKILL, then start them again",
    actions={
        "kill": Action(Role.INJECT, Effect.KILLED),
        "start": Action(Role.HEAL, Effect.STARTED),
    },
    make=lambda fault, site: PerNode(fault, site, Kill(site.cluster)),
    held="the process is gone, by that signal",
    healed="another process runs, with a new pid",
)

STOP = _ends(
    name="stop",
    description="end nodes with SIGTERM, then start them again",
    actions={
        "terminate": Action(Role.INJECT, Effect.STOPPED),
        "start": Action(Role.HEAL, Effect.STARTED),
    },
    make=lambda fault, site: PerNode(fault, site, Kill(site.cluster, GRACE_S)),
    held="the process has ended within 10 s",
    healed="another process runs, with a new pid",
)

CRASH_LOOP = _ends(
    name="crash-loop",
    description="kill and start nodes over and over",
    actions=steps("crash-loop", Effect.KILLED, Effect.STARTED),
    parameters=(
        number(
            "gap_s", "how long a node lives, and how long it is gone", 0.0, 60.0, default=LOOP_GAP_S
        ),
    ),
    make=lambda fault, site: PerNode(fault, site, CrashLoop(site.cluster)),
    held="each of three processes is gone, by that signal",
    healed="another process runs, and stays",
)

PAUSE = Fault(
    name="pause",
    description="stop nodes with SIGSTOP, then let them go on",
    actions={
        "pause": Action(Role.INJECT, Effect.PAUSED),
        "resume": Action(Role.HEAL, Effect.RESUMED),
    },
    takes_down=True,
    heals=Heals.RESUME,
    needs=(NodeProcesses,),
    make=lambda fault, site: PerNode(fault, site, Pause(site.cluster, site.answers)),
    held="the kernel says that the process stands still, and a request gets no answer",
    healed="the process runs, and answers",
)

FAULTS: Final = (KILL, STOP, CRASH_LOOP, PAUSE)
