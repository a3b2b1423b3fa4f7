"""
`INSERT … RETURNING` outside a transaction: lost or refused, and the next write ends the leader.

The statement leaves frames in the log of the leader's SQLite that were never replicated; the next
write finds them, and an assertion fails. Asked for rows (QUERY_SQL) it was mended in 1.18.2; asked
to run (EXEC_SQL) it still ends 1.18.7, by another assertion.

Source: canonical/dqlite issue 477, pull requests 740 and 798.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Literal

from dissever.systems.dqlite.bugs.bug import Bug, Directed, Say
from dissever.systems.dqlite.bugs.wire import Answer, Wire
from dissever.systems.dqlite.deployment import DqliteDeployment

__all__ = ["RETURNING", "RETURNING_RUN"]

ANSWER_S = 3.0
READY_S = 10.0
INSERT = "INSERT INTO element (value) VALUES (1) RETURNING value"
SELECT = "SELECT value FROM element"
WRITE = "INSERT INTO element (value) VALUES (2)"


async def _attempt(deployment: DqliteDeployment, say: Say, by: Literal["query", "execute"]) -> bool:
    leader = (await deployment.await_ready(READY_S))["leader"]
    wire = await Wire.open(deployment, leader, ANSWER_S)
    try:
        if by == "query":
            say(f"{leader} leads; {INSERT}: answered {await wire.query(INSERT)}")
            say(f"{SELECT}: answered {await _answer_of(wire.query(SELECT))}")
        else:
            say(f"{leader} leads; {INSERT}: answered {await wire.execute(INSERT)}")
        say(f"the next write: {await _answer_of(wire.execute(WRITE))}")
    finally:
        wire.close()
    return await has_crashed(deployment, leader, say)


async def _answer_of(asked: Awaitable[Answer]) -> str:
    try:
        return str(await asked)
    except TimeoutError:
        return f"no answer within {ANSWER_S:g} s"
    except OSError as error:
        return str(error)


async def has_crashed(deployment: DqliteDeployment, node: str, say: Say) -> bool:
    """Whether a node ended itself by a signal, or does so in a moment."""
    for _ in range(20):
        ends = [end for end in deployment.cluster.exits if end.node == node and not end.is_asked]
        if ends:
            break
        await asyncio.sleep(0.05)
    else:
        say(f"{node} goes on")
        return False
    status = ends[-1].exit_status
    log = deployment.cluster.directory(node) / f"stderr-{ends[-1].incarnation}.log"
    lines = log.read_text(errors="replace").split("\n")
    reasons = [line for line in lines if "Assertion" in line or "corruption" in line]
    say(f"{node} ended by signal {-status}: {(reasons or lines[-1:])[0].strip()}")
    return status < 0


async def _by_query(deployment: DqliteDeployment, say: Say) -> bool:
    return await _attempt(deployment, say, "query")


async def _by_execute(deployment: DqliteDeployment, say: Say) -> bool:
    return await _attempt(deployment, say, "execute")


RETURNING = Bug(
    "returning",
    "INSERT … RETURNING asked for rows: lost or refused, and the next write ends the leader",
    releases=("1.11.1", "1.18.1"),
    references="dqlite#477, #740, #798",
    test=Directed(_by_query),
)

RETURNING_RUN = Bug(
    "returning-run",
    "INSERT … RETURNING asked to run: refused, and the next write ends the leader",
    releases=("1.11.1", "1.18.1", "1.18.7"),
    references="dqlite#477",
    test=Directed(_by_execute),
)
