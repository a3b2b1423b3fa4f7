"""
Show left-behind.md on five real nodes of the raft library inside libdqlite, each a process.

    unshare -rn sh -c 'ip link set lo up && exec python docs/findings/left-behind.py 1.18.7'

Another version may stand at the end (0.15.0, 0.22.1): `dissever doctor --fetch` builds its node.
Exit status: 0 not shown, 10 shown (a node gets no entry), 3 there is no such node, 4 the snapshots
were not as needed (try again).
"""

import asyncio
import sys

from real_nodes import AGAIN, NOT_SHOWN, SHOWN, Cluster, run

from dissever.systems.raft import calls
from dissever.systems.raft.nodes import CLIENT_PORT

NODES = tuple(f"127.0.71.{number}" for number in range(1, 6))
THRESHOLD, TRAILING = 64, 16
SETTINGS = ("election_ms=300", "heartbeat_ms=50",
            f"snapshot_threshold={THRESHOLD}", f"snapshot_trailing={TRAILING}")  # fmt: skip


def newest_snapshot(cluster: Cluster, node: int) -> int:
    names = (cluster.home / f"n{node + 1}").glob("snapshot-*.meta")
    return max((int(name.name.split("-")[2]) for name in names), default=0)


async def write(cluster: Cluster, count: int) -> None:
    await cluster.commit(*(calls.write(1, left) for left in range(count, 0, -1)))


async def show(cluster: Cluster) -> int:
    cluster.start(*range(5))
    await write(cluster, 50)
    old = await cluster.leader()
    behind = next(node for node in range(5) if node != old)
    cluster.kill(behind)
    await write(cluster, 40)
    cluster.start(behind)
    await asyncio.sleep(1.5)
    await write(cluster, 5)
    own, others = newest_snapshot(cluster, behind), THRESHOLD
    print(f"n{behind + 1} has a snapshot of {own}, the others of {others}")
    if own - TRAILING <= others:
        return AGAIN

    old = await cluster.leader()
    cluster.refuse(behind, port=f"!= {CLIENT_PORT}")
    cluster.kill(old)
    new = await cluster.leader()
    print(f"n{new + 1} leads; n{behind + 1} refuses connections of other nodes for 3 s")
    await asyncio.sleep(3)
    cluster.heal()
    cluster.start(old)
    await write(cluster, 2)
    for waited_s in range(2, 13, 2):
        await asyncio.sleep(2)
        # Of what each node has applied:
        digests = [calls.digest_of(await cluster.ask(node, calls.digest())) for node in range(5)]
        print(f"{waited_s} s later:", *(digest[:6] for digest in digests))

    third = next(node for node in range(5) if node not in (behind, new))
    cluster.kill(*set(range(5)) - {behind, new, third})
    if await cluster.commits_within(10, calls.write(1, 1)):
        print("three nodes are up, and a write succeeds")
    else:
        print(f"n{new + 1}, n{behind + 1} and n{third + 1} are up, and no write succeeds in 10 s")
    return SHOWN if len(set(digests)) > 1 else NOT_SHOWN


if __name__ == "__main__":
    sys.exit(run(show, sys.argv[1], NODES, SETTINGS))
