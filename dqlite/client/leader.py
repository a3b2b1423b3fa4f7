"""
Find the leader: ask every node at once, follow one redirect, believe only a node that names itself.

Addresses are compared as strings: give them as the members know them, not `localhost` for
`127.0.0.1`. A node can redirect anywhere; what may be dialled is the policy of `dial`.

Source: go-dqlite `internal/protocol/connector.go`.
"""

import asyncio
import logging
from collections.abc import Sequence

from dqlite.client.client import Client
from dqlite.client.connection import Dial
from dqlite.errors import DqliteError, NoLeader

log = logging.getLogger(__name__)

PAUSE_S = 0.05
"""Between two rounds."""


async def find_leader(
    addresses: Sequence[str],
    *,
    dial: Dial | None = None,
    timeout_s: float,
    deadline_s: float | None = None,
) -> Client:
    """
    Return a client connected to the leader; the caller closes it.

    Args:
        timeout_s: For each connection and request of the search, and of the client.
        deadline_s: Ask again, `PAUSE_S` apart, until this long after the call. None: ask once.

    Raises:
        NoLeader: If no node led to a leader.
    """
    last: list[str] = []
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                leader, last = await _ask_all(addresses, dial, timeout_s)
                if leader is not None:
                    return leader
                if deadline_s is None:
                    break
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        pass
    raise NoLeader(f"no leader: {'; '.join(last) or f'nobody answered in {deadline_s} s'}")


async def _ask_all(
    addresses: Sequence[str], dial: Dial | None, timeout_s: float
) -> tuple[Client | None, list[str]]:
    """Return the first confirmed leader, or what each node answered instead."""
    tasks = [asyncio.create_task(_ask(address, dial, timeout_s)) for address in addresses]
    leader = None
    reasons = []
    try:
        for done in asyncio.as_completed(tasks):
            try:
                leader = await done
                return leader, []
            except DqliteError as error:
                reasons.append(str(error))
        return None, reasons
    finally:
        for task in tasks:
            _dismiss(task, leader)  # without an await, where a deadline could lose the winner


def _dismiss(task: asyncio.Task[Client], winner: Client | None) -> None:
    """Stop a search, and close what it has found or is about to."""

    def close(done: asyncio.Task[Client]) -> None:
        if not done.cancelled() and done.exception() is None and done.result() is not winner:
            done.result().close()

    task.cancel()
    task.add_done_callback(close)


async def _ask(address: str, dial: Dial | None, timeout_s: float) -> Client:
    """Return a client of the leader that this node names."""
    for _ in range(2):  # the node, and where it redirects to
        client = await Client.connect(address, dial=dial, timeout_s=timeout_s)
        try:
            leader = await client.leader()
            if leader is not None and leader.address == address:
                await client.register()
                return client
        except BaseException:
            client.close()
            raise
        client.close()
        if leader is None:
            raise NoLeader(f"{address} knows no leader")
        log.debug("%s redirects to %s", address, leader.address)
        address = leader.address
    raise NoLeader(f"{address} does not lead, whatever others say")
