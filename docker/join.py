"""
Make nodes one cluster of voters: `join.py ADDRESS...`; the first one has founded it, as id 1.

The service `join` of compose.yaml. Members stay members, so it can be run again.
"""

import asyncio
import sys
from collections.abc import Sequence

import dqlite

LIMIT_S = 60.0
ASK_LIMIT_S = 5.0
GAP_S = 0.2


async def join(addresses: Sequence[str]) -> None:
    """Make each node that is no voter yet one, one after the other."""
    async with await dqlite.find_leader(
        list(addresses), timeout_s=ASK_LIMIT_S, deadline_s=LIMIT_S
    ) as leader:
        known = {member.id: member.role for member in await leader.cluster()}
        for node_id, address in enumerate(addresses, start=1):
            if node_id not in known:
                await leader.add(node_id, address)
            if known.get(node_id) is not dqlite.Role.VOTER:
                await _once_it_is_up(leader, node_id)
            print(f"{address} votes, as id {node_id}", flush=True)


async def _once_it_is_up(leader: dqlite.Client, node_id: int) -> None:
    """A future voter must run; until it does, the leader refuses or gives up."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                await leader.assign(node_id, dqlite.Role.VOTER)
                return
            except dqlite.NotApplied:
                await asyncio.sleep(GAP_S)


if __name__ == "__main__":
    asyncio.run(join(sys.argv[1:]))
