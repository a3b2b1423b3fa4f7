"""
Find the leader: ask every node at once, follow one redirect, believe only a node that names itself.

Addresses are compared as strings: give them as the members know them, not `localhost` for
`127.0.0.1`. A node can redirect anywhere; what may be dialled is the policy of `dial`.

Source: go-dqlite `internal/protocol/connector.go`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

from dqlite.client.client import Client
from dqlite.client.connection import Dial
from dqlite.errors import DqliteError, NoLeader, NotTrusted
from dqlite.wire.schema import LeaderNode

log = logging.getLogger(__name__)

PAUSE_S = 0.05
"""Between two rounds."""

MayRedirect: TypeAlias = Callable[[str], bool]
"""Whether an address that a node names as its leader may be connected to."""


@dataclass(frozen=True, slots=True)
class Search:
    """
    How one round asks; times are in seconds.

    Attributes:
        answer_timeout_s: For each request of the search.
        client_timeout_s: For each request of the client that is found.
        concurrency: How many nodes are asked at a time, in the order given; None for all.
    """

    dial: Dial | None
    dial_timeout_s: float
    answer_timeout_s: float
    client_timeout_s: float
    may_redirect: MayRedirect | None = None
    concurrency: int | None = None


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
        NotTrusted: If TLS is in the way at every node.
    """
    search = Search(dial, timeout_s, timeout_s, timeout_s)
    last: list[DqliteError] = []
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                leader, last = await ask_all(addresses, search)
                if leader is not None:
                    return leader
                if deadline_s is None or is_hopeless(last):
                    break
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        pass
    raise not_found("no leader", last, f"nobody answered in {deadline_s} s")


async def ask_all(
    addresses: Sequence[str], search: Search
) -> tuple[Client | None, list[DqliteError]]:
    """Return the first confirmed leader, or why each node led to none."""
    turn: AbstractAsyncContextManager[object] = nullcontext()
    if search.concurrency is not None:
        turn = asyncio.Semaphore(search.concurrency)
    tasks = [asyncio.create_task(_ask_in_turn(address, search, turn)) for address in addresses]
    leader = None
    failures = []
    try:
        for done in asyncio.as_completed(tasks):
            try:
                leader = await done
                return leader, []
            except DqliteError as error:
                failures.append(error)
        return None, failures
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


async def _ask_in_turn(
    address: str, search: Search, turn: AbstractAsyncContextManager[object]
) -> Client:
    async with turn:
        return await ask(address, search)


async def ask(address: str, search: Search) -> Client:
    """
    Return a client of the leader that this node names.

    Raises:
        DqliteError: If that does not lead to a leader.
    """
    for _ in range(2):  # the node, and where it redirects to
        client = await Client.connect(address, dial=search.dial, timeout_s=search.dial_timeout_s)
        client.timeout_s = search.answer_timeout_s
        try:
            leader = await client.leader()
            redirect = redirection(address, leader, search.may_redirect)
            if redirect is None:
                await client.register()
                client.timeout_s = search.client_timeout_s
                return client
        except DqliteError as error:
            client.close()
            raise blamed(address, error) from error
        except BaseException:
            client.close()
            raise
        client.close()
        address = redirect
    raise not_confirmed(address)


def redirection(
    address: str, leader: LeaderNode | None, may_redirect: MayRedirect | None
) -> str | None:
    """
    Return where the answer of a node sends the search; None if the node names itself.

    Raises:
        NoLeader: If the node knows no leader, or names one that may not be connected to.
    """
    if leader is None:
        raise NoLeader(f"{address} knows no leader")
    if leader.address == address:
        return None
    if may_redirect is not None and not may_redirect(leader.address):
        raise NoLeader(f"{address} redirects to {leader.address}, which is not allowed")
    log.debug("%s redirects to %s", address, leader.address)
    return leader.address


def blamed(address: str, error: DqliteError) -> DqliteError:
    """The same error, with a text that names the node."""
    if address in error.message:
        return error
    return type(error)(f"{address}: {error.message}", error.code)


def not_confirmed(address: str) -> NoLeader:
    """The end of a search at a node that others call the leader."""
    return NoLeader(f"{address} does not lead, whatever others say")


def is_hopeless(failures: Sequence[DqliteError]) -> bool:
    """Whether TLS is in the way at every node, so that asking again cannot help."""
    return bool(failures) and all(isinstance(each, NotTrusted) for each in failures)


def not_found(what: str, failures: Sequence[DqliteError], otherwise: str) -> NoLeader | NotTrusted:
    """The end of a search among all nodes; `otherwise` is the reason if none of them has one."""
    message = f"{what}: {'; '.join(map(str, failures)) or otherwise}"
    return NotTrusted(message) if is_hopeless(failures) else NoLeader(message)
