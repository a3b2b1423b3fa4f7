"""
A transaction whose only ambiguous point is its COMMIT.

The server drops an open transaction together with its connection. So whatever is lost before COMMIT
is sent was not applied, also where a single statement would have to be called indeterminate.

Source: `dqlite/src/gateway.c`, `gateway__close`; SQLite, `lang_transaction.html`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dqlite.client.client import Client
from dqlite.errors import Abandoned, DqliteError, Indeterminate, NotApplied, ProtocolError
from dqlite.values import Begin


@asynccontextmanager
async def transaction(client: Client, begin: Begin = Begin.IMMEDIATE) -> AsyncIterator[None]:
    """
    Commit what the body did, or roll it back if an exception leaves the body.

    The body lets errors out: after one, the server may have ended the transaction, and the next
    statement would commit by itself. It does not COMMIT.

    Raises:
        Abandoned: If an error before COMMIT leaves open what happened to its statement; nothing was
            applied, and the connection is closed.
        NotApplied, Indeterminate: From COMMIT, as from any statement; the latter closes too.
    """
    is_begun = False
    try:
        await client.exec_sql(f"BEGIN {begin.value}")
        is_begun = True
        yield
    except (Indeterminate, ProtocolError) as error:
        client.close()
        raise Abandoned(f"before COMMIT: {error}") from error
    except Exception:
        if is_begun:
            await _roll_back(client)
        raise
    except BaseException:  # cancelled: there is no time to be polite
        client.close()
        raise
    try:
        await client.exec_sql("COMMIT")
    except NotApplied:
        await _roll_back(client)
        raise
    except BaseException:
        client.close()
        raise


async def _roll_back(client: Client) -> None:
    """Make sure that no transaction is open; close the connection where that is not certain."""
    if not client.is_open:
        return
    try:
        await client.exec_sql("ROLLBACK")
    except DqliteError:
        client.close()
