"""
What both connectors share: the options, the order, the pauses, and what is kept between searches.

Source: go-dqlite `internal/protocol/connector.go`.
"""

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Generic, Protocol, Self, TypeVar

from dqlite.client.blocking_connection import BlockingDial
from dqlite.client.connection import Attach, Dial
from dqlite.client.leader import MayRedirect, not_found
from dqlite.client.shared import Idle, Keep, SharedConnection
from dqlite.errors import DqliteError, InvalidValue, NoLeader, NotTrusted, Refused
from dqlite.wire.schema import LeaderNode, Member

log = logging.getLogger("dqlite.client.connector")
"""One name, whichever connector it is."""


class Dialler(Protocol):
    """Connects for both kinds of client; `dqlite.Tls` does, and any other transport of an App."""

    def dial(self, address: str, timeout_s: float) -> socket.socket:
        """As `BlockingDial`."""

    async def dial_async(self, address: str) -> socket.socket | Attach:
        """As `Dial`."""


@dataclass(frozen=True, slots=True)
class ConnectorOptions:
    """
    How a leader is looked for; times are in seconds.

    Raises InvalidValue for a time that is not above 0, and for a negative limit.

    Attributes:
        dial: How `Connector` connects; None for TCP and abstract unix sockets.
        dial_blocking: How `BlockingConnector` connects.
        dial_timeout_s: For one connection.
        attempt_timeout_s: For one attempt: all nodes asked once.
        backoff_factor_s: Attempt n is followed by a pause of this times 2**n,
        backoff_cap_s: but of no more than this.
        retry_limit: How many attempts follow a failed first one; None for no limit.
        concurrency: How many nodes are asked at a time; a function is asked at each attempt.
        may_redirect: Whether an address that a node names as its leader may be connected to; None
            allows all.
        request_timeout_s: Of the client that is found, for each request.
        shares_connection: Whether the connection of a client that is closed is kept for the next
            one, if no database was opened on it. Close such a connector in the end.
    """

    dial: Dial | None = None
    dial_blocking: BlockingDial | None = None
    dial_timeout_s: float = 5
    attempt_timeout_s: float = 15
    backoff_factor_s: float = 0.1
    backoff_cap_s: float = 1
    retry_limit: int | None = None
    concurrency: int | Callable[[], int] = 10
    may_redirect: MayRedirect | None = None
    request_timeout_s: float = 15
    shares_connection: bool = False

    def __post_init__(self) -> None:
        for name in (
            "dial_timeout_s", "attempt_timeout_s", "request_timeout_s", "backoff_factor_s",
            "backoff_cap_s",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise InvalidValue(f"expected a {name} above 0, got {getattr(self, name)!r}")
        if self.retry_limit is not None and self.retry_limit < 0:
            raise InvalidValue(f"expected a retry_limit of 0 or more, got {self.retry_limit!r}")

    def over(self, dialler: Dialler) -> Self:
        """
        Return these options with all connections made by `dialler`.

        Raises:
            Refused: If they say already how connections are made.
        """
        if self.dial is not None or self.dial_blocking is not None:
            raise Refused("expected a dial or TLS, got both")
        return replace(self, dial=dialler.dial_async, dial_blocking=dialler.dial)


class Lendable(Protocol):
    """A client of either kind."""

    timeout_s: float

    @property
    def address(self) -> str:
        """Of its node."""

    def close(self) -> None:
        """Drop its connection, or give it back."""

    def share(self, keep: Keep) -> None:
        """Give the connection to `keep` when it is closed."""


_Client = TypeVar("_Client", bound=Lendable)
_Connection = TypeVar("_Connection", bound=Idle)


class Memory(Generic[_Connection]):
    """
    What a connector keeps from one search to the next.

    Attributes:
        leader: The address of who led last.
        shared: The idle connection to it, if there is one.
    """

    def __init__(self, options: ConnectorOptions) -> None:
        self.leader: str | None = None
        self.shared = SharedConnection[_Connection]()
        self._options = options

    def lent(self, client: _Client) -> _Client:
        """Return the client, which gives its connection back if the options say so."""
        if self._options.shares_connection:
            client.share(self.shared.keep)
        return client

    def reused(self, client: _Client, leader: LeaderNode | None) -> _Client | None:
        """Return a client over a kept connection if its node names itself; else close it."""
        is_leader = leader is not None and leader.address == client.address
        what = "reusing" if is_leader else "discarding"
        log.debug("%s shared connection to %s", what, client.address)
        if not is_leader:
            client.close()
            return None
        self.leader = client.address
        client.timeout_s = self._options.request_timeout_s
        return client

    def found(self, client: _Client, path: str) -> _Client:
        """Remember who leads, found on the fast path or the fallback path."""
        log.debug("connected on %s path to %s", path, client.address)
        self.leader = client.address
        return client

    def forget(self, error: DqliteError) -> None:
        """The last leader leads no more."""
        log.debug("no leader on fast path: %s", error)
        self.leader = None


def ordered(members: Sequence[Member]) -> list[Member]:
    """Voters first, then stand-bys, then spares: only voters know who leads."""
    return sorted(members, key=lambda member: member.role)


def pauses(options: ConnectorOptions) -> Iterator[float | None]:
    """Yield for each attempt how many seconds to wait after it failed; None after the last."""
    for attempt in count(1):
        if options.retry_limit is not None and attempt > options.retry_limit:
            yield None
            return
        yield min(options.backoff_cap_s, options.backoff_factor_s * 2.0 ** min(attempt, 60))


def concurrency(options: ConnectorOptions) -> int:
    """How many nodes are asked at a time, from now on."""
    value = options.concurrency
    return max(1, value() if callable(value) else value)


def no_leader(failures: Sequence[DqliteError]) -> NoLeader | NotTrusted:
    """Go's text first: tools look for it."""
    return not_found("no available dqlite leader server found", failures, "the node store is empty")
