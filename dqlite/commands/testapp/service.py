"""
What the application answers: transactions on the table `map`, and the state of the cluster.

An error is an answer of status 200 whose text begins with `Error: `, in the few words that the
client of the Jepsen test knows. It makes of them whether an operation failed, or may have taken
effect. So each text is chosen by the class of the error.

Source: jepsen.dqlite, `resources/app.go`, `src/jepsen/dqlite/client.clj`.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence

from dqlite.app.app import App
from dqlite.app.caretaker import probe
from dqlite.app.roles import RolesConfig
from dqlite.client import addresses
from dqlite.client.blocking import BlockingClient
from dqlite.commands.connections import Connections
from dqlite.commands.testapp import bodies
from dqlite.commands.testapp.bodies import Append, Malformed, Read
from dqlite.commands.testapp.stability import complaints
from dqlite.commands.web import Answer, Request, Service
from dqlite.dbapi.connection import Connection
from dqlite.errors import Busy, Closed, Error, Indeterminate, ProtocolError, TimedOut
from dqlite.wire.schema import Member, Role

log = logging.getLogger(__name__)

SCHEMA = "CREATE TABLE IF NOT EXISTS map (key INT, value INT)"
_INSERT = "INSERT INTO map(key, value) VALUES(?, ?)"

_TEXTS = (
    (Busy, "database is locked"),
    (Closed, "sql: database is closed"),
    (TimedOut, "context deadline exceeded"),
    (Indeterminate, "driver: bad connection"),
    (ProtocolError, "driver: bad connection"),
)
"""The first two mean that nothing was applied; the others that it may have been."""

_NOT_APPLIED = "failed to create dqlite connection: no available dqlite leader server found"


class _Wrong(Exception):
    """A request that cannot be answered, and why."""


def application(
    app: App, connections: Connections, nodes: Sequence[str], config: RolesConfig, timeout_s: float
) -> Service:
    """
    Return the service.

    Args:
        nodes: The names of all nodes of the test.
        timeout_s: For each request to the leader, and for finding it.
    """

    def on_data(work: Callable[[Connection, str], str]) -> Callable[[str], str]:
        return lambda body: connections.run(lambda connection: work(connection, body))

    def at_leader(work: Callable[[BlockingClient, str], str]) -> Callable[[str], str]:
        def ask(body: str) -> str:
            with app.leader(timeout_s) as leader:
                leader.timeout_s = timeout_s
                return work(leader, body)

        return ask

    def judge(leader: BlockingClient, *, all_online: bool) -> str:
        state = asyncio.run(probe(leader.cluster(), app.connector_options.dial))
        for complaint in complaints(state, config, all_online=all_online):
            log.warning("for jepsen: %s: %s", complaint, state)
        return "nil"

    answers: dict[tuple[str, str], Callable[[str], str]] = {
        ("POST", "/append"): on_data(_transact),
        ("GET", "/bank"): on_data(_balances),
        ("PUT", "/bank"): on_data(_found_bank),
        ("POST", "/bank"): on_data(_transfer),
        ("GET", "/set"): on_data(_elements),
        ("POST", "/set"): on_data(_add),
        ("GET", "/leader"): at_leader(lambda leader, _: _name_of_leader(leader, nodes)),
        ("GET", "/members"): at_leader(lambda leader, _: _names(leader, nodes)),
        ("DELETE", "/members"): at_leader(_remove),
        ("GET", "/ready"): at_leader(lambda leader, _: _check_ready(leader, nodes)),
        ("GET", "/stable"): at_leader(lambda leader, _: judge(leader, all_online=False)),
        ("GET", "/health"): at_leader(lambda leader, _: judge(leader, all_online=True)),
    }

    def serve(request: Request) -> Answer:
        answer = answers.get((request.method, request.path))
        if answer is None:
            return Answer("Error: bad request")
        try:
            return Answer(answer(request.body.decode("utf-8", "replace")))
        except Malformed:
            return Answer("Error: bad request")
        except _Wrong as wrong:
            return Answer(f"Error: {wrong}")
        except Error as error:
            log.info("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
            return Answer(f"Error: {text_of(error)}")

    return serve


def text_of(error: Error) -> str:
    """Return the text from which the Jepsen test concludes what this error means."""
    for kind, text in _TEXTS:
        if isinstance(error, kind):
            return text
    return _NOT_APPLIED if error.retryable else error.message


def resolve(name: str) -> str:
    """Return the numeric address of a host. Raises OSError if it has none."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


def _transact(connection: Connection, body: str) -> str:
    asked = bodies.parse_transaction(body)
    done = []
    with connection.transaction():
        for each in asked:
            read: list[object] = []
            match each:
                case Read(key):
                    rows = connection.execute("SELECT value FROM map WHERE key = ?", (key,))
                    read = [value for (value,) in rows]
                case Append(key, value):
                    connection.execute(_INSERT, (key, value))
            done.append((each, read))
    return bodies.transaction(done)


def _balances(connection: Connection, _: str) -> str:
    rows = connection.execute("SELECT key, value FROM map").fetchall()
    return bodies.balances((account, balance) for account, balance in rows)


def _found_bank(connection: Connection, body: str) -> str:
    """Every client of the test asks for it: the one that is in the way of this one does it."""
    accounts = bodies.parse_accounts(body)
    with contextlib.suppress(Busy), connection.transaction():
        if connection.execute("SELECT 1 FROM map LIMIT 1").fetchone() is None:
            for account in accounts.ids:
                connection.execute(_INSERT, (account, accounts.balance))
    return "nil"


def _transfer(connection: Connection, body: str) -> str:
    asked = bodies.parse_transfer(body)
    change = "UPDATE map SET value = value + ? WHERE key = ?"
    with connection.transaction():
        connection.execute(change, (-asked.amount, asked.source))
        connection.execute(change, (asked.amount, asked.target))
    return "nil"


def _elements(connection: Connection, _: str) -> str:
    return bodies.vector(value for (value,) in connection.execute("SELECT value FROM map"))


def _add(connection: Connection, body: str) -> str:
    element = bodies.parse_number(body)
    connection.execute("INSERT INTO map(value) VALUES(?)", (element,))
    return str(element)


def _name_of_leader(leader: BlockingClient, nodes: Sequence[str]) -> str:
    found = leader.leader()
    return bodies.string(_name(found.address, nodes) if found is not None else "")


def _names(leader: BlockingClient, nodes: Sequence[str]) -> str:
    return bodies.vector(bodies.string(_name(each.address, nodes)) for each in leader.cluster())


def _remove(leader: BlockingClient, name: str) -> str:
    try:
        host = resolve(name)
    except OSError as error:
        raise _Wrong(f"cannot resolve {name!r}: {error}") from error
    for member in leader.cluster():
        if _host(member.address) == host:
            leader.remove(member.id)
            return "nil"
    raise _Wrong(f"no node named {name}")


def _check_ready(leader: BlockingClient, nodes: Sequence[str]) -> str:
    members: tuple[Member, ...] = leader.cluster()
    if len(members) != len(nodes):
        raise _Wrong(f"cluster has still only {len(members)} nodes")
    for member in members:
        if member.role == Role.SPARE:
            raise _Wrong(f"node {member.address} is still spare")
    return "nil"


def _name(address: str, nodes: Sequence[str]) -> str:
    """The node that has an address."""
    host = _host(address)
    for node in nodes:
        with contextlib.suppress(OSError):
            if resolve(node) == host:
                return node
    raise _Wrong(f"{address} is the address of no node of the test")


def _host(address: str) -> str:
    return addresses.split(address)[0]
