"""
A write that is answered with a failure is there: 10506, "disk I/O error" or "leadership lost".

The code means that the leader was deposed with the entry in its log, so the outcome is unknown;
dqlite's FAQ says that such a transaction is never seen. A client that takes the answer for a
failure and asks again writes two rows.

Source: canonical/dqlite issue 46; Raft dissertation, 6.3.
"""

from __future__ import annotations

from dissever.systems.dqlite.bugs.bug import RELEASES, Bug, Directed, Say
from dissever.systems.dqlite.bugs.half_heard import ask_while_deposed, count_of
from dissever.systems.dqlite.deployment import DqliteDeployment
from dqlite.schema import ExecSql, Failure

__all__ = ["GHOST_WRITE"]

LEADERSHIP_LOST = 10506
VALUE = 7


async def _attempt(deployment: DqliteDeployment, say: Say) -> bool:
    insert = f"INSERT INTO element (value) VALUES ({VALUE})"
    answer = await ask_while_deposed(deployment, say, ExecSql(0, insert))
    count = await count_of(deployment, VALUE)
    say(f"{insert}: answered {answer}; in the database: {count} times")
    is_refused = isinstance(answer.response, Failure) and answer.response.code == LEADERSHIP_LOST
    return is_refused and count > 0


GHOST_WRITE = Bug(
    "ghost-write",
    "a write that was answered with a failure is there",
    releases=RELEASES,
    references="dqlite#46",
    test=Directed(_attempt, attempts=5),
)
