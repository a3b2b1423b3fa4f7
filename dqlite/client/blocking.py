"""
The client without an event loop: the same requests over a plain blocking socket.

One call writes the request and reads until its answer is whole, in the thread of the caller. The
deadline of a call is the timeout of its socket, which shrinks while an answer drips.

Source: as `dqlite.client.client`.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Self, TypeAlias, TypeVar

from dqlite import errors
from dqlite.client import addresses, requests
from dqlite.client.requests import BUSY_PAUSE_S, Call
from dqlite.errors import Busy, NotSent, Scope
from dqlite.values import Parameter
from dqlite.wire.schema import (
    Failure,
    LeaderNode,
    Member,
    Metadata,
    Request,
    Response,
    Result,
    Role,
    Rows,
    Statement,
)
from dqlite.wire.session import Session, State

_Value = TypeVar("_Value")

BlockingDial: TypeAlias = Callable[[str, float], socket.socket]
"""
Address and time limit in seconds to a connected socket, which the caller then owns.

It raises an OSError when there is no connection. A socket of TLS, `ssl.SSLSocket`, will do.
"""

_RECEIVE_BYTES = 65_536


class BlockingConnection:
    """Use `connect_blocking` to make one; one thread uses it at a time."""

    def __init__(self, address: str, opened: socket.socket) -> None:
        self.address = address
        self._socket = opened
        self._session = Session()
        self._process = os.getpid()

    @property
    def is_open(self) -> bool:
        """False once anything went wrong. The end of a connection shows at the next request."""
        return self._session.state is not State.CLOSED

    def request(
        self, request: Request, *, timeout_s: float, scope: Scope = Scope.STATEMENT
    ) -> Response:
        """
        Send a request and return its answer, which is of the type that `codec.REQUESTS` names.

        Raises:
            NotApplied, Indeterminate: By the code of a failure, or by whether a byte was sent.
            ProtocolError: If the answer is malformed.
        """
        answer = self._exchange(request, timeout_s)
        if isinstance(answer, Failure):
            raise errors.failure(answer.code, answer.message, scope)
        return answer

    def close(self) -> None:
        """Drop the connection at once, and with it any open transaction; idempotent."""
        self._session.close()
        self._socket.close()

    def _exchange(self, request: Request, timeout_s: float) -> Response:
        if self._process != os.getpid():
            raise NotSent("the connection belongs to the process that opened it: do not fork it")
        frame = self._session.send(request)
        deadline = time.monotonic() + timeout_s
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(frame)
            return self._receive(deadline)
        except TimeoutError as cause:
            self._socket.close()
            reason = f"no answer to {type(request).__name__} in {timeout_s} s"
            raise self._session.lost(reason, timed_out=True) from cause
        except OSError as cause:
            self._socket.close()
            raise self._session.lost(f"connection lost: {cause}") from cause
        except BaseException:  # also KeyboardInterrupt: the answer would meet the next request
            self.close()
            raise

    def _receive(self, deadline: float) -> Response:
        """Read until the answer is whole."""
        session = self._session
        while data := self._socket.recv(_RECEIVE_BYTES):
            answer = session.receive(data)
            while answer is None and session.has_work:
                _remaining(deadline)
                answer = session.proceed()
            if answer is not None:
                return answer
            self._socket.settimeout(_remaining(deadline))
        raise ConnectionResetError("end of stream")


def _remaining(deadline: float) -> float:
    """Seconds until the deadline; TimeoutError when it has passed."""
    if (remaining := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return remaining


def connect_blocking(
    address: str, *, dial: BlockingDial | None = None, timeout_s: float
) -> BlockingConnection:
    """
    Connect to a node; nothing is sent before the first request.

    Args:
        address: `host:port`, `[ipv6]:port`, or `@name` for an abstract unix socket.
        dial: Makes the socket; None for `dial_blocking`.

    Raises:
        NotSent: If there is no connection within `timeout_s`.
    """
    try:
        return BlockingConnection(address, (dial or dial_blocking)(address, timeout_s))
    except (OSError, ValueError) as cause:  # TimeoutError is an OSError
        raise NotSent(f"cannot connect to {address}: {cause!r}") from cause


def dial_blocking(address: str, timeout_s: float) -> socket.socket:
    """
    Connect to an address in this process' own network namespace.

    Raises:
        OSError: If the peer refuses or the time is over; ValueError: if this is no address.
    """
    if address.startswith("@"):
        return _connected(socket.AF_UNIX, "\0" + address[1:], timeout_s)
    host, port = addresses.split(address)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _connected(found[0][0], found[0][4], timeout_s)


def _connected(
    family: int, target: str | tuple[str | int | bytes, ...], timeout_s: float
) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.settimeout(timeout_s)
        opened.connect(target)
        if family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        opened.close()
        raise
    return opened


class BlockingClient:
    """
    Speaks over one connection, which it owns; `Client` says what each request does.

    Attributes:
        timeout_s: For each request from now on; it may be changed between requests.
    """

    def __init__(self, connection: BlockingConnection, *, timeout_s: float) -> None:
        self._connection = connection
        self.timeout_s = timeout_s
        self._database: int | None = None

    @classmethod
    def connect(cls, address: str, *, dial: BlockingDial | None = None, timeout_s: float) -> Self:
        """
        Connect to one node; `timeout_s` holds for the connection and for each request.

        Raises:
            NotSent: If there is no connection in time.
        """
        return cls(connect_blocking(address, dial=dial, timeout_s=timeout_s), timeout_s=timeout_s)

    @property
    def address(self) -> str:
        """Of the node."""
        return self._connection.address

    @property
    def is_open(self) -> bool:
        """False once the connection is of no more use; its end shows at the next request."""
        return self._connection.is_open

    def close(self) -> None:
        """Drop the connection at once; idempotent."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Any node answers

    def leader(self) -> LeaderNode | None:
        """Return who leads, as this node believes; None if it knows nobody. Only voters know."""
        return self._ask(requests.leader())

    def register(self, client_id: int = 0) -> int:
        """Introduce this client; return the heartbeat timeout in ms, which nobody enforces."""
        return self._ask(requests.register(client_id))

    def cluster(self) -> tuple[Member, ...]:
        """Return the members, as this node knows them; a fresh spare knows none."""
        return self._ask(requests.cluster())

    def describe(self) -> Metadata:
        """Return failure domain and weight of this node."""
        return self._ask(requests.describe())

    def weight(self, weight: int) -> None:
        """Set the weight of this node until it restarts; lower is preferred."""
        self._ask(requests.weight(weight))

    def dump(self, database: str) -> dict[str, bytes]:
        """
        Return the files of a database as this node has them: `name` and `name-wal`.

        Written side by side they open with sqlite3; leave out an empty WAL.

        Raises:
            ProtocolError: If the answer has other names: they are no paths that a node may choose.
        """
        return self._ask(requests.dump(database))

    # The leader answers. Code 1 is indeterminate here: read `cluster` to know. Another change of
    # the configuration in progress is waited for, as long as the time limit of the request allows.

    def add(self, node_id: int, address: str) -> None:
        """Add a node as a spare. The node need not run, and needs no message."""
        self._administer(requests.add(node_id, address))

    def assign(self, node_id: int, role: Role) -> None:
        """Give a member a role. A future voter must be up; this waits until it has caught up."""
        self._administer(requests.assign(node_id, role))

    def remove(self, node_id: int) -> None:
        """Remove a member."""
        self._administer(requests.remove(node_id))

    def transfer(self, node_id: int = 0) -> None:
        """Hand the leadership to a voter, 0 for any, and wait until this node leads no longer."""
        self._administer(requests.transfer(node_id))

    # SQL: the leader answers

    def open(self, database: str) -> None:
        """
        Open the one database of this connection. It proves no leadership before dqlite 1.18.2.

        On 1.11.1 no name of a database may be a prefix of another.
        """
        self._database = self._ask(requests.open_database(database))

    def exec_sql(self, sql: str, parameters: Sequence[Parameter] = ()) -> Result:
        """
        Run SQL that gives no rows. The result means something after INSERT, UPDATE and DELETE only.

        Several statements commit one by one, and a failure among them is always Indeterminate.
        """
        return self._ask(requests.exec_sql(self._database, sql, parameters))

    def query_sql(self, sql: str, parameters: Sequence[Parameter] = ()) -> Rows:
        """Run one statement that gives rows, and return all of them."""
        return self._ask(requests.query_sql(self._database, sql, parameters))

    def prepare(self, sql: str) -> Statement:
        """Compile one statement; an id is used again after `finalize`."""
        return self._ask(requests.prepare(self._database, sql))

    def exec(self, statement: Statement, parameters: Sequence[Parameter] = ()) -> Result:
        """Run a prepared statement that gives no rows."""
        return self._ask(requests.exec_statement(statement, parameters))

    def query(self, statement: Statement, parameters: Sequence[Parameter] = ()) -> Rows:
        """Run a prepared statement that gives rows, and return all of them."""
        return self._ask(requests.query_statement(statement, parameters))

    def finalize(self, statement: Statement) -> None:
        """Forget a prepared statement."""
        self._ask(requests.finalize(statement))

    def interrupt(self) -> None:
        """Interrupt between requests, a no-op of the server. To stop a running query, close."""
        self._ask(requests.interrupt(self._database))

    def _ask(self, call: Call[_Value]) -> _Value:
        answer = self._connection.request(call.request, timeout_s=self.timeout_s, scope=call.scope)
        return call.take(answer)

    def _administer(self, call: Call[None]) -> None:
        """Ask, and ask again while the server says that it did nothing because it is busy."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            try:
                return self._ask(call)
            except Busy:
                if time.monotonic() + BUSY_PAUSE_S > deadline:
                    raise
                time.sleep(BUSY_PAUSE_S)
