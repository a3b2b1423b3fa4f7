"""
Real nodes of a raft library, each a process on an address of loopback, for the scripts beside this.

The program of a node is `native/simulation/real/node.c`. `dissever doctor --fetch` builds it, also
for libraries that this machine does not have.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from dissever.harness.missing import Missing
from dissever.systems.raft import calls, programs
from dissever.systems.raft.calls import Link
from dissever.systems.raft.nodes import CLIENT_PORT

PEER_PORT: Final = 9001

NOT_SHOWN: Final = 0
MISSING: Final = 3
AGAIN: Final = 4
SHOWN: Final = 10


class Cluster:
    """Nodes by index, 0 to n - 1; each has a folder, n1 to nN, in one temporary directory."""

    def __init__(
        self, program: Path, home: Path, addresses: Sequence[str], settings: Sequence[str]
    ) -> None:
        self.program, self.home = program, home
        self.addresses, self.settings = addresses, settings
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, *nodes: int) -> None:
        for node in nodes:
            folder = self.home / f"n{node + 1}"
            folder.mkdir(exist_ok=True)
            peers = ",".join(self.addresses)
            words = (str(self.program), str(folder), str(node + 1), peers, *self.settings)
            with (self.home / f"n{node + 1}.log").open("ab") as log:
                self.running[node] = subprocess.Popen(words, stdout=log, stderr=log)

    def kill(self, *nodes: int) -> None:
        for node in nodes:
            process = self.running.pop(node)
            process.kill()
            process.wait()

    async def open(self, node: int) -> Link:
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(Link, self.addresses[node], CLIENT_PORT)
        return link

    async def ask(self, node: int, request: calls.Request) -> bytes:
        async with asyncio.timeout(3):
            link = await self.open(node)
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

    async def commit(self, *requests: calls.Request) -> None:
        """Ask each until it is acknowledged, so some may be applied twice."""
        for request in requests:
            while True:
                try:
                    await self.ask(await self.leader(), request)
                    break
                except Exception:  # A leader that is none any more, or has no majority.
                    await asyncio.sleep(0.05)

    async def commits_within(self, limit_s: float, request: calls.Request) -> bool:
        try:
            async with asyncio.timeout(limit_s):
                await self.commit(request)
        except TimeoutError:
            return False
        return True

    def refuse(self, *nodes: int, port: str) -> None:
        """From now on what is sent to these nodes and this port is refused: `9001`, `!= 9000`."""
        addresses = ", ".join(self.addresses[node] for node in nodes)
        _nft(
            "table inet cut { chain output { type filter hook output priority 0;\n"
            f"ip daddr {{ {addresses} }} tcp dport {port} reject with tcp reset\n"
            "}\n}"
        )

    def heal(self) -> None:
        _nft("delete table inet cut")


def _nft(rules: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def run(
    show: Callable[[Cluster], Awaitable[int]],
    library: str,
    addresses: Sequence[str],
    settings: Sequence[str],
) -> int:
    """Run a scenario over a cluster whose nodes are not started yet; return its exit status."""
    program = programs.program(f"node-{library}")
    if isinstance(program, Missing):
        print(f"{program.reason}; {program.remedy}", file=sys.stderr)
        return MISSING
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as home:
        cluster = Cluster(program, Path(home), addresses, settings)

        async def shown() -> int:
            return await show(cluster)

        try:
            return asyncio.run(shown())
        finally:
            cluster.kill(*cluster.running)
