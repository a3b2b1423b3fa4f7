"""
Show refused-snapshot.md on three real nodes of the raft library inside libdqlite, each a process.

    python docs/findings/refused-snapshot.py 1.18.7

The data of one of them is on a FUSE file system whose writes to snapshots fail.
Another version may stand at the end (0.15.0): `dissever doctor --fetch` builds its node.
Exit status: 0 not shown, 10 shown (entries at the wrong indices), 3 something is missing here,
4 the node with that disk leads (try again).
"""

import asyncio
import socket
import sys
from contextlib import closing
from pathlib import Path

from real_nodes import AGAIN, MISSING, NOT_SHOWN, SHOWN, Cluster, run

from dissever.harness.cluster import faultfs
from dissever.systems.raft import calls

NODES = tuple(f"127.0.74.{number}" for number in range(1, 4))
SETTINGS = ("election_ms=1000", "heartbeat_ms=100", "snapshot_threshold=64", "snapshot_trailing=16")
LAGGING = 2
RULE = "rule no-snapshot do=fail op=write path=*snapshot*"


def segments(folder: Path) -> list[tuple[int, int]]:
    """The first and the last index of each closed segment."""
    parts = (path.name.partition("-") for path in folder.glob("0*-0*"))
    return sorted((int(first), int(last)) for first, _, last in parts)


def tell(control: Path, line: str) -> None:
    """Ask the faulty file system for something."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(control))
        link.sendall(f"{line}\n".encode())
        answer = link.recv(4096).decode()
    assert not answer.startswith("error"), answer


async def show(cluster: Cluster) -> int:
    folder, control = cluster.home / f"n{LAGGING + 1}", cluster.home / "control"
    folder.mkdir()
    with closing(faultfs.Mounted(folder, control)):
        try:
            return await show_on(cluster, folder, control)
        finally:
            cluster.kill(*cluster.running)


async def show_on(cluster: Cluster, folder: Path, control: Path) -> int:
    cluster.start(*range(3))
    await cluster.commit(*map(calls.add, range(10)))
    if await cluster.leader() == LAGGING:
        print(f"n{LAGGING + 1} leads: try again")
        return AGAIN
    cluster.kill(LAGGING)
    await cluster.commit(*map(calls.add, range(200)))

    print(f"n{LAGGING + 1} was down, and needs a snapshot, which its disk refuses")
    tell(control, RULE)
    cluster.start(LAGGING)
    await asyncio.sleep(3)
    await cluster.commit(*map(calls.add, range(20)))
    await asyncio.sleep(1)
    before = segments(folder)
    print(f"it goes on; the closed segments of its log are {before}")

    tell(control, "clear")
    cluster.kill(*range(3))
    cluster.start(LAGGING)  # Alone, so that nobody sends it another snapshot.
    await asyncio.sleep(2)
    after = segments(folder)
    print(f"the disk is well, and it is started again, alone: {after}")
    return SHOWN if len(after) > len(before) else NOT_SHOWN


def main(library: str) -> int:
    if missing := faultfs.missing_here():
        print(f"{missing.reason}; {missing.remedy}", file=sys.stderr)
        return MISSING
    return run(show, library, NODES, SETTINGS)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
