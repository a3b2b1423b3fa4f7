"""
A database of a cluster: makes connections to it, which share what is known of the leader.

Source: PEP 249, `connect`; go-dqlite `driver.New`, `app.Open`.
"""

from typing import TYPE_CHECKING, Unpack

from dqlite.client.blocking_connector import BlockingConnector
from dqlite.client.connector import Connector
from dqlite.client.searching import ConnectorOptions, Dialler
from dqlite.dbapi.connection import Connection
from dqlite.dbapi.options import Options, Servers, Settings, store_of
from dqlite.dbapi.steps import run, run_async

if TYPE_CHECKING:
    from dqlite.dbapi import asynchronous


class Database:
    """
    Makes connections to one database; safe for threads, which the connections are not.

    Args:
        servers: Whom to ask for the leader: `"127.0.0.1:9001"`, several with commas or in a list,
            `"file:///path/of/cluster.yaml"`, or a node store.
        database: Its name: letters, digits, `.`, `_` and `-`. It is made when it is first used.
        connector: How the leader is looked for and connected to.
        tls: `dqlite.simple_tls_config(…)`, or any other transport of an App; None for plain TCP.
        settings: How the connections behave.

    Raises:
        ProgrammingError: If an argument is wrong.
    """

    def __init__(
        self,
        servers: Servers,
        database: str,
        *,
        connector: ConnectorOptions | None = None,
        tls: Dialler | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        self._options = Options.of(database, settings)
        store = store_of(servers)
        if tls is not None:
            connector = (connector or ConnectorOptions()).over(tls)
        self._blocking = BlockingConnector(store, connector)
        self._asyncio = Connector(store, connector)

    @property
    def name(self) -> str:
        """Of the database."""
        return self._options.database

    def connect(self) -> Connection:
        """
        Return a new connection to the leader.

        Raises:
            NoLeader: If there is none in `timeout_s`.
            NotTrusted: If TLS is in the way at every server.
        """
        connection = Connection(
            self._options, lambda timeout_s: self._blocking.connect(timeout_s=timeout_s)
        )
        run(connection.core.connect_now())
        return connection

    async def connect_async(self) -> "asynchronous.Connection":
        """Return a new connection of asyncio to the leader; raises as `connect` does."""
        from dqlite.dbapi import asynchronous

        connection = asynchronous.Connection(
            self._options, lambda timeout_s: self._asyncio.connect(timeout_s=timeout_s)
        )
        await run_async(connection.core.connect_now())
        return connection

    def recover(self, token: str, timeout_s: float | None = None) -> bool:
        """Return whether the transaction with this token was committed, over a new connection."""
        connection = self.connect()
        try:
            return connection.recover(token, timeout_s)
        finally:
            connection.close()


def connect(
    servers: Servers,
    database: str,
    *,
    connector: ConnectorOptions | None = None,
    tls: Dialler | None = None,
    **settings: Unpack[Settings],
) -> Connection:
    """
    Return a connection to a database of a cluster (PEP 249).

    Args:
        servers: Whom to ask for the leader: `"127.0.0.1:9001"`, several with commas or in a list,
            `"file:///path/of/cluster.yaml"`, or a node store.
        database: Its name: letters, digits, `.`, `_` and `-`. It is made when it is first used.
        connector: How the leader is looked for and connected to.
        tls: `dqlite.simple_tls_config(…)`, or any other transport of an App; None for plain TCP.
        settings: How the connection behaves:
            timeout_s (10): For each request, and for the search of a leader.
            busy_timeout_s (5): How long a statement waits for the write lock; 0 fails at once.
            autocommit (False): False: a transaction begins with the first statement, and `commit`
                ends it. True: a statement commits by itself, unless it stands in `transaction()`
                or after BEGIN.
            begin ("deferred"): Or "immediate", "exclusive": when transactions take the write lock.
            consistency ("serializable"): Or "linearizable": transactions, also those that only
                read, first write a row, and what they read counts once they are committed.
            tokens (False): Whether transactions have tokens, by which `recover` knows what became
                of them.
            cached_statements (128): How many statements that are run again are kept prepared at
                the server; 0: none.

    Raises:
        NoLeader: If no leader is found in `timeout_s`.
        NotTrusted: If one side refuses the certificate of the other, at every server.
        ProgrammingError: If an argument is wrong.
    """
    return Database(servers, database, connector=connector, tls=tls, **settings).connect()
