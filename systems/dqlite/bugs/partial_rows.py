"""
A committed write whose answer looks like BUSY: the failure follows the head of a result.

From 1.18.2 on an `INSERT … RETURNING` that loses its leader is answered with the head of its
result, then the failure, in one body. A client that reads the body from its start takes the number
of columns for the code and the first column's name for the message: five columns are code 5, BUSY,
which says that nothing happened. go-dqlite 3.0.4 reads it so.

Source: `dqlite/src/gateway.c`, `failure`, which does not clear the buffer. Not reported.
"""

from __future__ import annotations

from dissever.systems.dqlite.bugs.bug import Bug, Directed, Say
from dissever.systems.dqlite.bugs.half_heard import ask_while_deposed, count_of
from dissever.systems.dqlite.deployment import DqliteDeployment
from dqlite.schema import Failure, QuerySql

__all__ = ["PARTIAL_ROWS"]

BUSY = 5
VALUE = 7


async def _attempt(deployment: DqliteDeployment, say: Say) -> bool:
    insert = f"INSERT INTO element (value) VALUES ({VALUE}) RETURNING value, 2, 3, 4, 5"
    answer = await ask_while_deposed(deployment, say, QuerySql(0, insert))
    count = await count_of(deployment, VALUE)
    say(f"{insert}: answered {answer}; in the database: {count} times")
    if not isinstance(answer.response, Failure):
        return False
    code, message = answer.read_from_the_start
    say(f"read from its start, the same answer says: failure {code} {message!r}")
    return code == BUSY and count > 0


PARTIAL_ROWS = Bug(
    "partial-rows",
    "a committed INSERT … RETURNING whose failure reads like BUSY: it stands behind partial rows",
    releases=("1.18.7",),
    references="not reported",
    test=Directed(_attempt, attempts=5),
)
