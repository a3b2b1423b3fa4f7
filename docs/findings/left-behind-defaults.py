"""
Three real nodes of libdqlite 1.18.7's raft, of which one never catches up (left-behind.md).

    python docs/findings/left-behind-defaults.py NODE [THRESHOLD TRAILING]

NODE is the program that `dissever doctor --fetch` builds. Nodes run on 127.0.7.1 to 3, and their
data is in a temporary directory. With the sizes that dqlite has by default it takes four minutes.
Exit status: 0 when two of three nodes acknowledge a write within a minute, 1 when they do not.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ADDRESSES = tuple(f"127.0.7.{number}" for number in (1, 2, 3))
CLIENT_PORT = 9000
WRITE, READ_LOCAL, OK = 1, 5, 0
LIMIT_S = 60


class Cluster:
    """Processes by the number of their node."""

    def __init__(self, node: str, directory: Path, threshold: int, trailing: int) -> None:
        sizes = (f"snapshot_threshold={threshold}", f"snapshot_trailing={trailing}")
        self.command = (",".join(ADDRESSES), "election_ms=1000", "heartbeat_ms=100", *sizes)
        self.node = node
        self.directory = directory
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int) -> None:
        folder = self.directory / str(number)
        folder.mkdir(exist_ok=True)
        self.running[number] = subprocess.Popen([self.node, folder, str(number), *self.command])

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        process.kill()
        process.wait()

    def ask(self, number: int, body: bytes) -> bool:
        """Whether the node says that it is done."""
        message = struct.pack("<I", 1) + body
        try:
            with socket.create_connection((ADDRESSES[number - 1], CLIENT_PORT), 4) as link:
                link.sendall(struct.pack("<I", len(message)) + message)
                answer = link.recv(4096)
        except OSError:
            return False
        return len(answer) > 8 and answer[8] == OK

    def leader(self, limit_s: float = LIMIT_S) -> int:
        """The node that says that it leads; 0 when none does for so long."""
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s:
            for number in self.running:
                if self.ask(number, struct.pack("<BI", READ_LOCAL, 1)):
                    return number
            time.sleep(0.1)
        return 0

    def write(self, count: int) -> None:
        leader, done = self.leader(), 0
        while done < count:
            if self.ask(leader, struct.pack("<BIq", WRITE, 1, done)):
                done += 1
            else:
                leader = self.leader()

    def until_leads(self, wanted: int, pause_s: float) -> None:
        """Kill who leads, and start it again after a pause, until the wanted one leads."""
        while (leader := self.leader()) != wanted:
            self.kill(leader)
            time.sleep(pause_s)
            self.start(leader)
            time.sleep(3)

    def said(self, what: str) -> None:
        """Print the indices of the snapshots that each node has."""
        held = {
            folder.name: sorted(int(p.name.split("-")[2]) for p in folder.glob("snapshot-*[0-9]"))
            for folder in sorted(self.directory.iterdir())
        }
        print(f"{what}; snapshots: {held}", flush=True)


def scenario(cluster: Cluster, threshold: int, trailing: int) -> bool:
    """Whether two of three nodes acknowledge a write at the end."""
    for number in (1, 2, 3):
        cluster.start(number)
    a = cluster.leader()
    b, c = (number for number in (1, 2, 3) if number != a)
    cluster.write(10)
    cluster.kill(b)
    cluster.write(threshold + 20)
    cluster.start(b)
    time.sleep(3)
    cluster.said(f"node {b} was down, so its snapshot is a later one than that of node {a}")
    cluster.until_leads(b, 3)
    cluster.kill(c)
    cluster.write(trailing + threshold + 300)
    cluster.start(c)
    time.sleep(5)
    cluster.said(f"node {c} lagged behind, and has the snapshot of node {b}, which leads")
    cluster.kill(c)
    cluster.until_leads(a, 0.3)
    time.sleep(2)
    cluster.start(c)
    time.sleep(6)
    cluster.said(f"node {a} was elected while node {c} was down")
    cluster.kill(b)
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        if (leader := cluster.leader(2)) and cluster.ask(leader, struct.pack("<BIq", WRITE, 1, 7)):
            return True
    return False


def main() -> int:
    node = sys.argv[1]
    threshold, trailing = map(int, sys.argv[2:4] or ("1024", "8192"))
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(node, Path(directory), threshold, trailing)
        try:
            is_done = scenario(cluster, threshold, trailing)
        finally:
            for number in tuple(cluster.running):
                cluster.kill(number)
    how = "is acknowledged" if is_done else f"is not acknowledged within {LIMIT_S} s"
    print(f"a write, with two of three nodes up, {how}")
    return 0 if is_done else 1


if __name__ == "__main__":
    sys.exit(main())
