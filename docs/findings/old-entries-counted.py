"""
Show old-entries-counted.md on three real nodes of libraft 0.15.0, each a process.

    unshare -rn sh -c 'ip link set lo up && exec python docs/findings/old-entries-counted.py 0.15.0'

Another version may stand at the end (0.22.1, 1.18.7): `dissever doctor --fetch` builds its node.
Exit status: 0 not shown, 10 shown (an acknowledged element is lost), 3 there is no such node,
4 another node was elected meanwhile (try again).
"""

import asyncio
import signal
import sys

from real_nodes import AGAIN, NOT_SHOWN, PEER_PORT, SHOWN, Cluster, run

from dissever.systems.raft import calls

NODES = tuple(f"127.0.72.{number}" for number in range(1, 4))
HEARTBEAT_S = 0.1
SETTINGS = ("election_ms=1000", f"heartbeat_ms={HEARTBEAT_S * 1000:.0f}")
UNANSWERED = range(100, 105)
LOST = 999


async def show(cluster: Cluster) -> int:
    cluster.start(*range(3))
    await cluster.commit(*map(calls.add, range(20)))

    old = await cluster.leader()
    cluster.refuse(*range(3), port=str(PEER_PORT))
    unanswered = [asyncio.create_task(cluster.ask(old, calls.add(each))) for each in UNANSWERED]
    await asyncio.gather(*unanswered, return_exceptions=True)
    stop, go = signal.SIGSTOP, signal.SIGCONT
    cluster.running[old].send_signal(stop)
    cluster.heal()
    new = await cluster.leader(old)
    (third,) = set(range(3)) - {old, new}
    print(f"n{old + 1} led, and alone has {len(unanswered)} more entries; n{new + 1} leads now")

    cluster.running[old].send_signal(go)
    await asyncio.sleep(1)
    if await cluster.leader() != new:
        print("another node was elected meanwhile: try again")
        return AGAIN
    link = await cluster.open(new)
    cluster.running[old].send_signal(stop)
    await asyncio.sleep(2.5 * HEARTBEAT_S)
    cluster.running[new].send_signal(stop)
    cluster.refuse(old, third, port=str(PEER_PORT))
    asked = asyncio.create_task(link.ask(calls.add(LOST)))
    await asyncio.sleep(HEARTBEAT_S / 2)
    cluster.running[old].send_signal(go)
    await asyncio.sleep(HEARTBEAT_S / 2)
    cluster.running[new].send_signal(go)
    try:
        async with asyncio.timeout(5):
            await asked
        print(f"n{new + 1}, which can send to no other node, acknowledges element {LOST}")
    except Exception as error:  # Whatever it was, the element is not acknowledged.
        print(f"n{new + 1}, which can send to no other node, does not acknowledge it: {error!r}")
        return NOT_SHOWN

    cluster.kill(new)
    cluster.heal()
    await cluster.commit(calls.add(20))
    cluster.start(new)
    found = calls.elements_of(await cluster.ask(await cluster.leader(), calls.elements()))
    print(f"the others go on, and n{new + 1} is up again: elements {sorted(found)}")
    return NOT_SHOWN if LOST in found else SHOWN


if __name__ == "__main__":
    sys.exit(run(show, sys.argv[1], NODES, SETTINGS))
