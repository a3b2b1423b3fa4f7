"""
To know whether a transaction with a token was committed whose COMMIT got no answer.

`dqlite.dbapi.tokens` says why the answer is final. It is asked of whatever node leads, which need
not be the one that the transaction went to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import dqlite
from dissever.systems.dqlite.database import DATABASE
from dqlite.dbapi.channel import Channel
from dqlite.dbapi.core import Core
from dqlite.dbapi.options import Options
from dqlite.dbapi.steps import run_async

ATTEMPT_LIMIT_S = 0.5
"""For one request: after an election the leader that was found may be gone again."""


async def was_committed(
    find_leader: Callable[[], Awaitable[dqlite.Client]], limit_s: float, token: str
) -> bool:
    """
    Whether a transaction was committed, once and for all.

    Raises:
        dqlite.Error: When nobody can say it within `limit_s`.
    """

    async def found(_: float) -> dqlite.Client:
        return await find_leader()

    channel = Channel(
        Options(
            database=DATABASE,
            timeout_s=ATTEMPT_LIMIT_S,
            busy_timeout_s=limit_s,
            tokens=True,
            cached_statements=0,  # The connection is made for one question.
        ),
        connect=found,
        sleep=asyncio.sleep,
        now_s=asyncio.get_running_loop().time,
    )
    core = Core(channel.options, channel)
    try:
        return await run_async(core.recover(token, limit_s))
    finally:
        core.close()
