"""
Fill the disk of nodes, and keep it full; then free it.

Each node has a small disk of its own. A balloon takes all space on it, and every page that comes
free again, without pause. A file that only fills the disk once would not do: the system has space
set aside, and frees more by what it deletes (dqlite preallocates segments of 8 MB and drops old
ones).

Evidence: a write of ours to that disk meets ENOSPC, and goes through once it is freed. A node may
end of it, or start on a full disk (`restart`): what it did is noted, and healing starts it again.

Source: Jepsen's tests of dqlite fill a tmpfs once; the balloon is ours.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, Final

from dissever.harness.cluster import Disks, HostCommands, Hosts, NodeProcesses
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.disks.faulty import probe_write
from dissever.nemesis.disks.simulated import FULL
from dissever.nemesis.environment import Environment
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.host_commands import BURST_S, run_script
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence, revive
from dissever.nemesis.parameters import Draw, Parameter, Settings

__all__ = ["FAULTS"]

log = logging.getLogger(__name__)

FULL_LIMIT_S = 5.0
"""A disk must become full in this time, or free again."""

GLANCE_S = 0.02
PAGES = 16
"""A disk counts as full when writing this many pages fails."""

RESTART_SHARE = 0.2
"""How often a node is started again on the disk that was filled."""


BALLOON = """
import errno, json, os, sys, time
path, until = sys.argv[1], time.monotonic() + float(sys.argv[2])
balloon = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
block, written, refusals, refills = bytes(65536), 0, 0, 0
while time.monotonic() < until:
    try:
        if not os.fstat(balloon).st_nlink:
            break
        written += os.write(balloon, block)
        refills += refusals > 0
    except OSError as error:
        if error.errno == errno.ESTALE:
            break  # faultfs says this of a file that is gone.
        if error.errno != errno.ENOSPC:
            raise
        refusals += 1
        time.sleep(0.001)
print(json.dumps({"bytes": written, "refusals": refusals, "refills": refills}))
"""
"""`FILE SECONDS`: takes all space there is or comes to be, until time is up or it is removed."""

REMOVE = """
import json, os, sys
try:
    os.unlink(sys.argv[1])
except FileNotFoundError:
    pass
print(json.dumps({}))
"""
"""`FILE`: removes it, if it is there."""


@dataclass(slots=True)
class _Balloon:
    """One balloon: the task that keeps it blown up, and what it counted in all."""

    task: asyncio.Task[None]
    is_wanted: bool = True
    counts: dict[str, int] = field(default_factory=dict)


class DiskFull:
    """A `NodeFault`: keeps the disk of a node full."""

    def __init__(self, site: Environment) -> None:
        self._cluster: AbleCluster = site.cluster
        self._down = site.down
        self._balloons: dict[str, _Balloon] = {}

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        task = asyncio.ensure_future(self._blow_up(node))
        self._balloons[node] = _Balloon(task)
        probed = await self._comes_to(node, "ENOSPC")
        if settings["restart"] and node not in self._down.reasons:
            await self._cluster.kill(node)
            await self._cluster.start(node)
        facts = {"probe": probed, "size_mb": self._cluster.disk(node).size_mb}
        is_so = probed["error"] == "ENOSPC"
        return NodeEvidence(node, is_so, await self._cluster.status(node), facts)

    async def look_again(self, node: str) -> NodeEvidence | None:
        """Still full: a write of ours meets ENOSPC, and something keeps the disk full."""
        balloon = self._balloons.get(node)
        is_kept = balloon is not None and not balloon.task.done()
        probed = await self._comes_to(node, "ENOSPC")
        is_so = is_kept and probed["error"] == "ENOSPC"
        status = await self._cluster.status(node)
        return NodeEvidence(node, is_so, status, {"probe": probed, "is_kept_full": is_kept})

    async def undo(self, node: str) -> NodeEvidence:
        counts = await self._free(node)
        probed = await self._comes_to(node, None)
        reaction = await revive(self._cluster, self._down, node)
        facts = {"probe": probed, "balloon": counts, **reaction}
        is_so, status = probed["error"] is None, await self._cluster.status(node)
        return NodeEvidence(node, is_so, status, facts, is_back=True)

    async def release(self, node: str) -> None:
        await self._free(node)

    async def _free(self, node: str) -> dict[str, int]:
        """Let the air out. The balloon's last burst ends as soon as its file is gone."""
        balloon = self._balloons.get(node)
        if balloon is None:
            return {}
        balloon.is_wanted = False
        path = self._path(node)
        await run_script(self._cluster, node, REMOVE, path)
        while not balloon.task.done():
            await asyncio.wait([balloon.task], timeout=GLANCE_S)
            await run_script(self._cluster, node, REMOVE, path)
        self._balloons.pop(node, None)
        return balloon.counts

    async def _blow_up(self, node: str) -> None:
        await asyncio.sleep(0)  # Until it is entered.
        balloon = self._balloons[node]
        while balloon.is_wanted:
            try:
                counts = await run_script(
                    self._cluster,
                    node,
                    BALLOON,
                    self._path(node),
                    BURST_S,
                )
            except OSError as error:
                log.warning("%s: its disk is not kept full: %s", node, error)
                return
            balloon.counts = {
                name: balloon.counts.get(name, 0) + count for name, count in counts.items()
            }

    async def _comes_to(self, node: str, error: str | None) -> dict[str, Any]:
        """Write to the disk until that error is met, or time is up; the last attempt."""
        loop = asyncio.get_running_loop()
        end = loop.time() + FULL_LIMIT_S
        # Nothing but the disk can say so: hence the exemption.
        while (probed := await self._probe(node))["error"] != error and loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(GLANCE_S)
        return probed

    async def _probe(self, node: str) -> dict[str, Any]:
        return await probe_write(self._cluster, node, PAGES)

    def _path(self, node: str) -> str:
        return f"{self._cluster.disk(node).path}/.balloon"


DISK_FULL = Fault(
    name="disk-full",
    description="fill the disk of nodes and keep it full, then free it",
    parameters=(
        Parameter(
            "restart",
            "whether nodes start again on the full disk",
            "true or false",
            lambda value: isinstance(value, bool),
            Draw("true for one in five", lambda rng: rng.random() < RESTART_SHARE),
            default=False,
        ),
    ),
    heals=Heals.DISKS,
    group="disks",
    needs=(NodeProcesses, HostCommands, Disks),
    hosts=Hosts(disk_mb=0),
    make=lambda fault, site: PerNode(fault, site, DiskFull(site), revives=True),
    held="a write of ours meets ENOSPC",
    healed="such a write and its sync go through",
    simulated=FULL,
)

FAULTS: Final = (DISK_FULL,)
