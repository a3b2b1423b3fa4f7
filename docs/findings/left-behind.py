"""
Show left-behind.md on five real nodes of the raft library inside libdqlite, each a process.

    unshare -rn sh -c 'ip link set lo up && exec python docs/findings/left-behind.py 1.18.7'

Another version may stand at the end (0.15.0, 0.22.1): `dissever doctor --fetch` builds its node.
Exit status: 0 not shown, 1 shown, 3 the snapshots were not as needed (try again).
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dissever.harness.missing import Missing
from dissever.systems.raft import calls, programs
from dissever.systems.raft.calls import Link
from dissever.systems.raft.nodes import CLIENT_PORT

NODES = [f"127.0.71.{number}" for number in range(1, 6)]
THRESHOLD, TRAILING = 64, 16
SETTINGS = ("election_ms=300", "heartbeat_ms=50",
            f"snapshot_threshold={THRESHOLD}", f"snapshot_trailing={TRAILING}")  # fmt: skip
REJECT = """table inet cut {{ chain output {{ type filter hook output priority 0;
ip daddr {address} tcp dport != {port} reject with tcp reset
}}
}}"""


class Cluster:
    """Five processes on addresses of loopback, in a network namespace of their own."""

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

    def newest_snapshot(self, node: int) -> int:
        names = (self.home / f"n{node + 1}").glob("snapshot-*.meta")
        return max((int(name.name.split("-")[2]) for name in names), default=0)

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

    async def write(self, count: int) -> None:
        while count:
            try:
                await self.ask(await self.leader(), calls.write(1, count))
                count -= 1
            except Exception:  # A repeated write does no harm here.
                await asyncio.sleep(0.05)

    async def digests(self) -> list[str]:
        """Of what each node has applied."""
        return [calls.digest_of(await self.ask(node, calls.digest())) for node in range(5)]


def nft(rules: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


async def show(cluster: Cluster) -> int:
    for node in range(5):
        cluster.start(node)
    await cluster.write(50)
    old = await cluster.leader()
    behind = next(node for node in range(5) if node != old)
    cluster.kill(behind)
    await cluster.write(40)
    cluster.start(behind)
    await asyncio.sleep(1.5)
    await cluster.write(5)
    own, others = cluster.newest_snapshot(behind), THRESHOLD
    print(f"n{behind + 1} has a snapshot of {own}, the others of {others}")
    if own - TRAILING <= others:
        return 3

    old = await cluster.leader()
    nft(REJECT.format(address=NODES[behind], port=CLIENT_PORT))
    cluster.kill(old)
    new = await cluster.leader()
    print(f"n{new + 1} leads; n{behind + 1} refuses connections of other nodes for 3 s")
    await asyncio.sleep(3)
    nft("delete table inet cut")
    cluster.start(old)
    await cluster.write(2)
    for waited_s in range(2, 13, 2):
        await asyncio.sleep(2)
        digests = await cluster.digests()
        print(f"{waited_s} s later:", *(digest[:6] for digest in digests))

    third = next(node for node in range(5) if node not in (behind, new))
    for node in set(range(5)) - {behind, new, third}:
        cluster.kill(node)
    try:
        async with asyncio.timeout(10):
            await cluster.write(1)
    except TimeoutError:
        print(f"n{new + 1}, n{behind + 1} and n{third + 1} are up, and no write succeeds in 10 s")
    else:
        print("three nodes are up, and a write succeeds")
    return int(len(set(digests)) > 1)


def main(library: str) -> int:
    program = programs.program(f"node-{library}")
    if isinstance(program, Missing):
        print(f"{program.reason}; {program.remedy}", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as home:
        cluster = Cluster(program, Path(home))
        try:
            return asyncio.run(show(cluster))
        finally:
            for process in cluster.running.values():
                process.kill()
                process.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
