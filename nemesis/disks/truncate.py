"""
Cut the ends off the newest files of a node, while it is down, and start it on what is left.

A file ends like that when its last writes never reached the disk. The ends are kept: where the node
does not start on what is left, healing puts them back and starts it again. Where it does start, it
has forgotten what it had promised, which is more than most systems claim to survive.

Evidence: the sizes of the files before and after.

Source: Jepsen, `nemesis.clj`, `truncate-file`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from dissever.harness.cluster import Disks, HostCommands, NodeProcesses, NodeState
from dissever.nemesis.abilities import AbleCluster
from dissever.nemesis.environment import Environment
from dissever.nemesis.fault import Fault, Heals
from dissever.nemesis.host_commands import run_script
from dissever.nemesis.nodes.node_fault import PerNode
from dissever.nemesis.nodes.processes import NodeEvidence, now, revive
from dissever.nemesis.parameters import Draw, Settings, number, uniform

__all__ = ["FAULTS"]


SETTLE_S: Final = 5.0
"""How long a node may take to serve, or to end, after it was started on files that were cut."""

GLANCE_S: Final = 0.05

CUT_ENDS = """
import glob, json, os, shutil, sys
folder, share, count = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
paths = [path for path in glob.glob(folder + "/*") if os.path.getsize(path) > 1]
parent = os.path.dirname(folder.rstrip("/"))  # The disk itself may have no room for a copy.
kept = parent if os.access(parent, os.W_OK) else folder
seen = {}
for path in sorted(paths, key=os.path.getmtime, reverse=True)[:count]:
    was = os.path.getsize(path)
    size = was - max(1, int(was * share))
    name = os.path.basename(path)
    shutil.copyfile(path, kept + "/.whole-" + name)
    os.truncate(path, size)
    seen[name] = {"was": was, "is": os.path.getsize(path)}
print(json.dumps({"files": seen}))
"""
"""`DIRECTORY SHARE FILES`: cuts that share off the ends of the newest files, kept whole."""

MEND_ENDS = """
import glob, json, os, shutil, sys
folder = sys.argv[1]
parent = os.path.dirname(folder.rstrip("/"))
restored = []
for path in glob.glob(folder + "/.whole-*") + glob.glob(parent + "/.whole-*"):
    if sys.argv[2] == "restore":
        name = os.path.basename(path)[len(".whole-"):]
        shutil.copyfile(path, folder + "/" + name)  # Whose file it is stays as it was.
        restored.append(name)
    os.unlink(path)
print(json.dumps({"restored": sorted(restored)}))
"""
"""`DIRECTORY restore|forget`: puts whole files back, or drops them."""


class DiskTruncate:
    """A `NodeFault`: cuts the files of a node."""

    def __init__(self, site: Environment) -> None:
        self._cluster: AbleCluster = site.cluster
        self._down = site.down
        self._answers = site.answers

    async def strike(self, node: str, settings: Settings) -> NodeEvidence:
        await self._cluster.kill(node)
        path = self._cluster.disk(node).path
        arguments = (path, settings["share"], settings["files"])
        printed = await run_script(self._cluster, node, CUT_ENDS, *arguments)
        await self._cluster.start(node)
        cut = printed["files"]
        is_so = bool(cut) and all(each["is"] < each["was"] for each in cut.values())
        return NodeEvidence(node, is_so, await self._cluster.status(node), {"files": cut})

    async def look_again(self, node: str) -> NodeEvidence | None:
        """Nothing is in force: the files were cut once, and the node goes on from there."""
        return None

    async def undo(self, node: str) -> NodeEvidence:
        await self._settled(node)
        status = await self._cluster.status(node)
        has_ended = status.state is NodeState.GONE  # Nobody knows whether it would start again.
        path, verb = self._cluster.disk(node).path, "restore" if has_ended else "forget"
        mended = await run_script(self._cluster, node, MEND_ENDS, path, verb)
        facts = {**mended, **await revive(self._cluster, self._down, node)}
        status = await self._cluster.status(node)
        is_so = node in self._down.reasons or status.pid is not None
        return NodeEvidence(node, is_so, status, facts, is_back=True)

    async def _settled(self, node: str) -> None:
        """Wait until it serves or has ended: one that refuses its files takes a while to say so."""
        until = now() + SETTLE_S
        while now() < until and node not in self._down.reasons:
            if (await self._cluster.status(node)).state is NodeState.GONE:
                return
            with contextlib.suppress(OSError, TimeoutError):
                if self._answers is None or await self._answers(node) is not False:
                    return
            await asyncio.sleep(GLANCE_S)

    async def release(self, node: str) -> None:
        await self.undo(node)


DISK_TRUNCATE = Fault(
    name="disk-truncate",
    description="cut the ends off the newest files of nodes, and start them on what is left",
    parameters=(
        number("share", "share of a file that is cut off", 0.001, 1.0, uniform(0.01, 0.99, 3)),
        number(
            "files",
            "how many are cut",
            1,
            100,
            Draw("1 to 3", lambda rng: rng.randint(1, 3)),
        ),
    ),
    heals=Heals.DISKS,
    group="disks",
    damages=True,
    needs=(NodeProcesses, HostCommands, Disks),
    make=lambda fault, site: PerNode(
        fault, site, DiskTruncate(site), {"damages_disk": True}, is_alone=True, revives=True
    ),
    held="the files are smaller than before",
    healed="the node runs; where it did not, its files are whole again",
)

FAULTS: Final = (DISK_TRUNCATE,)
