"""
Let the power of nodes fail: what they wrote and did not sync is gone, and so are they.

The processes stand still, the disk forgets what is not durable and refuses everything, then the
processes are killed: none of them sees its disk fail, or answers after that. Healing gives the disk
back and starts the node. Some sectors of unsynced writes may survive
(`keep`), in whatever order, as on a disk.

Evidence: a write of ours meets EIO on the dead disk; a file of ours, synced and then written again
without, has its old sectors once the power is back; the process is gone, and another one comes.

Source: LazyFS, and Ramos et al., "When Amnesia Strikes" (VLDB 2024).
"""

from __future__ import annotations

from typing import Final

from dissever.harness.cluster import (
    Disks,
    HostCommands,
    Hosts,
    NodeProcesses,
    NodeState,
    NodeStatus,
)
from dissever.harness.episodes import Effect
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.disks.faulty import ask, probe_write
from dissever.nemesis.disks.simulated import POWERLESS
from dissever.nemesis.fault import Fault, Heals, steps
from dissever.nemesis.host_commands import run_script
from dissever.nemesis.needs import Need
from dissever.nemesis.nodes import processes
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence
from dissever.nemesis.parameters import BITS, SEED_MAX, Settings, number, one_of

__all__ = ["FAULTS"]

PAGES = 1


WRITE_UNSYNCED = """
import json, os, sys
file = os.open(sys.argv[1] + "/.power", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
os.write(file, b"o" * 65536)
os.fsync(file)
os.pwrite(file, b"n" * 65536, 0)
print(json.dumps({}))
"""
"""`DIRECTORY`: 128 sectors of a file are synced, then written again and not synced."""

READ_UNSYNCED = """
import json, os, sys
path, old, new = sys.argv[1] + "/.power", 0, 0
try:
    with open(path, "rb") as file:
        while sector := file.read(512):
            old += sector == b"o" * 512
            new += sector == b"n" * 512
    os.unlink(path)
except FileNotFoundError:
    pass
print(json.dumps({"old_sectors": old, "new_sectors": new}))
"""
"""`DIRECTORY`: how many of those sectors are as they were synced, and as they were written last."""


class PowerFailure:
    """A `NodeFault`: power off, and on again."""

    def __init__(self, cluster: AbleCluster) -> None:
        self._cluster = cluster
        self._before: dict[str, NodeStatus] = {}

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        path = self._cluster.disk(node).path
        self._before[node] = await self._cluster.status(node)
        await run_script(self._cluster, node, WRITE_UNSYNCED, path)
        words = (str(settings["keep"]), str(settings["keep_seed"]))
        await self._cluster.pause(node)
        lost = await ask(self._cluster, node, "off", *words)
        probed = await probe_write(self._cluster, node, PAGES)
        killed = await processes.end(self._cluster, node)
        is_so = killed.is_so and probed["error"] == "EIO" and lost["lost_bytes"] > 0
        facts = {**killed.facts, "probe": probed, "disk": lost}
        return NodeEvidence(node, is_so, killed.status, facts)

    async def look_again(self, node: str) -> NodeEvidence | None:
        """The process is gone, and the disk refuses what is written to it."""
        gone = await processes.still(self._cluster, node, NodeState.GONE)
        probed = await probe_write(self._cluster, node, PAGES)
        is_so = gone.is_so and probed["error"] == "EIO"
        return NodeEvidence(node, is_so, gone.status, {**gone.facts, "probe": probed})

    async def undo(self, node: str) -> NodeEvidence:
        path = self._cluster.disk(node).path
        await ask(self._cluster, node, "on")
        read = await run_script(self._cluster, node, READ_UNSYNCED, path)
        probed = await probe_write(self._cluster, node, PAGES)
        started = await processes.start(self._cluster, node, self._before.get(node))
        is_so = started.is_so and probed["error"] is None
        return NodeEvidence(
            node, is_so, started.status, {**started.facts, "probe": probed, "unsynced": read}
        )

    async def release(self, node: str) -> None:
        await ask(self._cluster, node, "on")
        await self._cluster.start(node)


POWER_FAILURE = Fault(
    name="power-failure",
    description="kill nodes and lose what they had not synced, then start them again",
    actions=steps("power-failure", Effect.KILLED, Effect.STARTED),
    parameters=(
        number(
            "keep",
            "the share of sectors that survive though they were not synced",
            0.0,
            0.9,
            one_of(0.0, 0.5),
            default=0.0,
        ),
        number("keep_seed", "settles which survive", 0, SEED_MAX, BITS),
    ),
    takes_down=True,
    heals=Heals.DISKS,
    group="disks",
    needs=(NodeProcesses, HostCommands, Disks, Need.FAULTFS),
    hosts=Hosts(faulty_disks=True),
    make=lambda fault, site: PerNode(fault, site, PowerFailure(site.cluster)),
    held="a write meets EIO; sectors of a file of ours are lost; the process is gone",
    healed="a write goes through, and another process runs",
    simulated=POWERLESS,
)

FAULTS: Final = (POWER_FAILURE,)
