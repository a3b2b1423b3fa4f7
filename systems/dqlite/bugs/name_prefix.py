"""
A database whose name begins another's name is that other database.

Source: canonical/dqlite issue 509; mended in 1.15.
"""

from __future__ import annotations

import dqlite
from dissever.systems.dqlite.bugs.bug import Bug, Directed, Say
from dissever.systems.dqlite.deployment import DqliteDeployment

__all__ = ["NAME_PREFIX"]


async def _attempt(deployment: DqliteDeployment, say: Say) -> bool:
    async with await deployment.find_leader() as client:
        await client.open("blahblah")
        await client.exec_sql("CREATE TABLE secret (value INTEGER)")
        await client.exec_sql("INSERT INTO secret (value) VALUES (42)")
        say("database blahblah: made the table secret, with the row 42")
    async with await deployment.find_leader() as client:
        await client.open("blah")
        try:
            rows = (await client.query_sql("SELECT value FROM secret")).rows
        except dqlite.StatementError as error:
            say(f"database blah, which nobody made a table in: SELECT value FROM secret: {error}")
            return False
        say(f"database blah, which nobody made a table in: SELECT value FROM secret: {rows}")
    return rows == ((42,),)


NAME_PREFIX = Bug(
    "name-prefix",
    "opening the database blah gives blahblah",
    releases=("1.11.1",),
    references="dqlite#509",
    test=Directed(_attempt),
)
