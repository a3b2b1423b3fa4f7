"""
The asyncio twin of PEP 249: what `dqlite.connect` gives, with await before what waits.

    connection = await dqlite.aio.connect("127.0.0.1:9001", database="app")
"""

from typing import Unpack

from dqlite.client.searching import ConnectorOptions, Dialler
from dqlite.dbapi.asynchronous import Connection, Cursor
from dqlite.dbapi.database import Database
from dqlite.dbapi.options import Servers, Settings

__all__ = ["Connection", "Cursor", "connect"]


async def connect(
    servers: Servers,
    database: str,
    *,
    connector: ConnectorOptions | None = None,
    tls: Dialler | None = None,
    **settings: Unpack[Settings],
) -> Connection:
    """Return a connection; the arguments and the errors are those of `dqlite.connect`."""
    made = Database(servers, database, connector=connector, tls=tls, **settings)
    return await made.connect_async()
