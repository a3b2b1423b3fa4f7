"""
Show refused-snapshot.md on three real nodes of the raft library inside libdqlite, each a process.

    python docs/findings/refused-snapshot.py 1.18.7

The data of one of them is on a FUSE file system whose writes to snapshots fail.
Another version may stand at the end (0.15.0): `dissever doctor --fetch` builds its node.
Exit status: 0 not shown, 10 shown (entries at the wrong indices), 3 something is missing here.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from dissever.harness.cluster import faultfs
from dissever.harness.missing import Missing
from dissever.systems.raft import calls, programs
from dissever.systems.raft.calls import Link
from dissever.systems.raft.nodes import CLIENT_PORT

NODES = [f"127.0.74.{number}" for number in range(1, 4)]
SETTINGS = ("election_ms=1000", "heartbeat_ms=100", "snapshot_threshold=64", "snapshot_trailing=16")
LAGGING = 2
SHOWN = 10
RULE = "rule no-snapshot do=fail op=write path=*snapshot*"


class Cluster:
    """Three processes on addresses of loopback."""

    def __init__(self, program: Path, home: Path) -> None:
        self.program, self.home = program, home
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, node: int) -> None:
        folder = self.home / f"n{node + 1}"
        folder.mkdir(exist_ok=True)
        words = (str(self.program), str(folder), str(node + 1), ",".join(NODES), *SETTINGS)
        with (self.home / f"n{node + 1}.log").open("ab") as log:
            self.running[node] = subprocess.Popen(words, stdout=log, stderr=log)

    def kill(self, node: int) -> None:
        process = self.running.pop(node)
        process.kill()
        process.wait()

    async def ask(self, node: int, request: calls.Request) -> bytes:
        async with asyncio.timeout(3):
            loop = asyncio.get_running_loop()
            _, link = await loop.create_connection(Link, NODES[node], CLIENT_PORT)
            try:
                return await link.ask(request)
            finally:
                link.close()

    async def leader(self) -> int:
        while True:
            for node in list(self.running):
                try:
                    await self.ask(node, calls.read(0, is_local=True))
                except Exception:  # It does not lead, or does not serve yet.
                    await asyncio.sleep(0.02)
                else:
                    return node

    async def write(self, key: int, count: int) -> None:
        while count:
            try:
                await self.ask(await self.leader(), calls.write(key, count))
                count -= 1
            except Exception:  # A repeated write does no harm here.
                await asyncio.sleep(0.05)

    def segments(self, node: int) -> list[tuple[int, int]]:
        """The first and the last index of each closed segment."""
        files = (self.home / f"n{node + 1}").glob("0*-0*")
        parts = (path.name.partition("-") for path in files)
        return sorted((int(first), int(last)) for first, _, last in parts)


def tell(control: Path, line: str) -> None:
    """Ask the faulty file system for something."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(control))
        link.sendall(f"{line}\n".encode())
        answer = link.recv(4096).decode()
    assert not answer.startswith("error"), answer


async def show(cluster: Cluster, control: Path) -> int:
    for node in range(3):
        cluster.start(node)
    await cluster.write(0, 10)
    leader = await cluster.leader()
    if leader == LAGGING:
        print(f"n{LAGGING + 1} leads: try again")
        return 0
    cluster.kill(LAGGING)
    await cluster.write(0, 200)

    print(f"n{LAGGING + 1} was down, and needs a snapshot, which its disk refuses")
    tell(control, RULE)
    cluster.start(LAGGING)
    await asyncio.sleep(3)
    await cluster.write(0, 20)
    await asyncio.sleep(1)
    before = cluster.segments(LAGGING)
    print(f"it goes on; the closed segments of its log are {before}")

    tell(control, "clear")
    for node in range(3):
        cluster.kill(node)
    cluster.start(LAGGING)  # Alone, so that nobody sends it another snapshot.
    await asyncio.sleep(2)
    after = cluster.segments(LAGGING)
    print(f"the disk is well, and it is started again, alone: {after}")
    return SHOWN if len(after) > len(before) else 0


def main(library: str) -> int:
    program = programs.program(f"node-{library}")
    if isinstance(program, Missing):
        print(f"{program.reason}; {program.remedy}", file=sys.stderr)
        return 3
    if missing := faultfs.missing_here():
        print(f"{missing.reason}; {missing.remedy}", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as home:
        folder, control = Path(home, f"n{LAGGING + 1}"), Path(home, "control")
        folder.mkdir()
        mounted = faultfs.Mounted(folder, control)
        cluster = Cluster(program, Path(home))
        try:
            return asyncio.run(show(cluster, control))
        finally:
            for process in cluster.running.values():
                process.kill()
                process.wait()
            mounted.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
