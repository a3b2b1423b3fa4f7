"""
A leader whose followers store what it sends, while their answers never reach it.

So it gives up leading with an entry in its log that the others have as well, and the next leader
commits that entry. In that moment nobody can know the outcome.
"""

from __future__ import annotations

from dissever.systems.dqlite.bugs.bug import Say
from dissever.systems.dqlite.bugs.wire import Answer, Wire
from dissever.systems.dqlite.database import DATABASE
from dissever.systems.dqlite.deployment import DqliteDeployment
from dqlite.schema import Request

__all__ = ["ask_while_deposed", "count_of"]

ANSWER_S = 15.0
READY_S = 10.0
PROGRESS_S = 20.0


async def ask_while_deposed(deployment: DqliteDeployment, say: Say, request: Request) -> Answer:
    """
    Ask the leader while nothing that its followers send arrives there; heal afterwards.

    Raises:
        OSError: When there is no answer.
        TimeoutError: When nobody leads afterwards.
    """
    leader = (await deployment.await_ready(READY_S))["leader"]
    followers = [node for node in deployment.cluster.nodes if node != leader]
    wire = await Wire.open(deployment, leader, ANSWER_S)
    try:
        await deployment.cluster.drop({leader: frozenset(followers)})
        say(f"{leader} leads; nothing that {' and '.join(followers)} send arrives there any more")
        answer = await wire.ask(request)
    finally:
        wire.close()
        await deployment.cluster.drop({})
    await deployment.await_progress(followers, PROGRESS_S)
    say("the network is whole again, and others lead")
    return answer


async def count_of(deployment: DqliteDeployment, value: int) -> int:
    """How often the leader has an element, once it has committed a write of its own."""
    async with await deployment.find_leader() as client:
        await client.open(DATABASE)
        rows = await client.query_sql("SELECT value FROM element WHERE value = ?", [value])
    return len(rows.rows)
