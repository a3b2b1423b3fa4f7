"""
Show pre-vote-deadlock.md on three real nodes of the raft library, each a process.

    unshare -rn sh -c 'ip link set lo up && exec python docs/findings/pre-vote-deadlock.py 0.22.1'

Another version may stand at the end (0.15.0, 1.18.7): `dissever doctor --fetch` builds its node.
Exit status: 0 not shown, 10 shown (two of three nodes elect no leader), 3 there is no such node.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from dissever.harness.missing import Missing
from dissever.systems.raft import calls, programs
from dissever.systems.raft.calls import Link
from dissever.systems.raft.nodes import CLIENT_PORT

NODES = [f"127.0.73.{number}" for number in range(1, 4)]
PEER_PORT = 9001
HEARTBEAT_S = 0.1
SETTINGS = ("election_ms=1000", f"heartbeat_ms={HEARTBEAT_S * 1000:.0f}")
UNANSWERED = 100
LIMIT_S = 30
SHOWN = 10
REJECT = """table inet cut {{ chain output {{ type filter hook output priority 0;
ip daddr {{ {addresses} }} tcp dport {port} reject with tcp reset
}}
}}"""


class Cluster:
    """Three processes on addresses of loopback, in a network namespace of their own."""

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

    async def leader(self, *others: int) -> int:
        """Who believes that it leads, except for some nodes. Nothing is written to the log."""
        while True:
            for node in set(self.running) - set(others):
                try:
                    await self.ask(node, calls.read(0, is_local=True))
                except Exception:  # It does not lead, or does not serve yet.
                    await asyncio.sleep(0.02)
                else:
                    return node

    async def adds_within(self, limit_s: float) -> bool:
        try:
            async with asyncio.timeout(limit_s):
                await self.add(20)
        except TimeoutError:
            return False
        return True

    async def add(self, *elements: int) -> None:
        for element in elements:
            while True:
                try:
                    await self.ask(await self.leader(), calls.add(element))
                    break
                except Exception:  # An element that is added twice does no harm here.
                    await asyncio.sleep(0.05)


def cut_from(*nodes: int) -> None:
    """From now on no node can send to these nodes."""
    addresses = ", ".join(NODES[node] for node in nodes)
    rules = REJECT.format(addresses=addresses, port=PEER_PORT)
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def heal() -> None:
    subprocess.run(["nft", "delete", "table", "inet", "cut"], check=True)


async def show(cluster: Cluster) -> int:
    for node in range(3):
        cluster.start(node)
    await cluster.add(*range(20))
    await asyncio.sleep(5 * HEARTBEAT_S)

    old = await cluster.leader()
    cut_from(*range(3))
    asked = asyncio.create_task(cluster.ask(old, calls.add(UNANSWERED)))
    await asyncio.sleep(5 * HEARTBEAT_S)
    cluster.kill(old)
    asked.cancel()
    heal()
    new = await cluster.leader()
    (third,) = set(range(3)) - {old, new}
    cluster.running[third].send_signal(signal.SIGSTOP)
    await asyncio.sleep(3)
    cluster.running[third].send_signal(signal.SIGCONT)
    new = await cluster.leader()
    (third,) = set(range(3)) - {old, new}
    print(f"n{old + 1} was killed, and alone has one more entry; n{new + 1} leads two terms later")

    cluster.kill(new)
    cluster.kill(third)
    cluster.start(old)
    cluster.start(third)
    print(f"all are killed; n{old + 1} and n{third + 1} are up and connected again")
    is_shown = not await cluster.adds_within(LIMIT_S)
    print(f"a write {'fails for' if is_shown else 'succeeds within'} {LIMIT_S} s")
    cluster.start(new)
    began = asyncio.get_running_loop().time()
    await cluster.adds_within(LIMIT_S)
    took_s = asyncio.get_running_loop().time() - began
    print(f"n{new + 1} is started again: a write succeeds after {took_s:.1f} s")
    return SHOWN if is_shown else 0


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
