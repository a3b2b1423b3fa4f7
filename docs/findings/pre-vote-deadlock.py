"""
Show pre-vote-deadlock.md on three real nodes of the raft library, each a process.

    unshare -rn sh -c 'ip link set lo up && exec python docs/findings/pre-vote-deadlock.py 0.22.1'

Another version may stand at the end (0.15.0, 1.18.7): `dissever doctor --fetch` builds its node.
Exit status: 0 not shown, 10 shown (two of three nodes elect no leader), 3 there is no such node.
"""

import asyncio
import signal
import sys

from real_nodes import NOT_SHOWN, PEER_PORT, SHOWN, Cluster, run

from dissever.systems.raft import calls

NODES = tuple(f"127.0.73.{number}" for number in range(1, 4))
HEARTBEAT_S = 0.1
SETTINGS = ("election_ms=1000", f"heartbeat_ms={HEARTBEAT_S * 1000:.0f}")
UNANSWERED = 100
LIMIT_S = 30


async def show(cluster: Cluster) -> int:
    cluster.start(*range(3))
    await cluster.commit(*map(calls.add, range(20)))
    await asyncio.sleep(5 * HEARTBEAT_S)

    old = await cluster.leader()
    cluster.refuse(*range(3), port=str(PEER_PORT))
    asked = asyncio.create_task(cluster.ask(old, calls.add(UNANSWERED)))
    await asyncio.sleep(5 * HEARTBEAT_S)
    cluster.kill(old)
    asked.cancel()
    cluster.heal()
    new = await cluster.leader()
    (third,) = set(range(3)) - {old, new}
    cluster.running[third].send_signal(signal.SIGSTOP)
    await asyncio.sleep(3)
    cluster.running[third].send_signal(signal.SIGCONT)
    new = await cluster.leader()
    (third,) = set(range(3)) - {old, new}
    print(f"n{old + 1} was killed, and alone has one more entry; n{new + 1} leads two terms later")

    cluster.kill(new, third)
    cluster.start(old, third)
    print(f"all are killed; n{old + 1} and n{third + 1} are up and connected again")
    is_shown = not await cluster.commits_within(LIMIT_S, calls.add(20))
    print(f"a write {'fails for' if is_shown else 'succeeds within'} {LIMIT_S} s")
    cluster.start(new)
    began = asyncio.get_running_loop().time()
    is_mended = await cluster.commits_within(LIMIT_S, calls.add(20))
    took_s = asyncio.get_running_loop().time() - began
    how = "succeeds" if is_mended else "fails"
    print(f"n{new + 1} is started again: a write {how} after {took_s:.1f} s")
    return SHOWN if is_shown else NOT_SHOWN


if __name__ == "__main__":
    sys.exit(run(show, sys.argv[1], NODES, SETTINGS))
