"""
What a connection of PEP 249 is set to, and which servers it is for.

Source: PEP 249; sqlite3 of Python 3.12 (autocommit); go-dqlite `driver/driver.go`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Self, TypeAlias, TypedDict

from dqlite import statements
from dqlite.client.stores import MemoryStore, NodeStore, default_store
from dqlite.errors import Refused
from dqlite.values import Begin

Servers: TypeAlias = str | Iterable[str] | NodeStore
"""
Where to ask for the leader: an address, addresses with commas between them, an iterable of
addresses, `file://` and the path of a node store, or a node store.
"""


class Consistency(Enum):
    """What a read promises."""

    SERIALIZABLE = "serializable"  # a leader that has been cut off may serve old data for a while
    LINEARIZABLE = "linearizable"  # a transaction writes first, and its commit proves that it led


class Settings(TypedDict, total=False):
    """What a program may set of `Options`, which says what each is."""

    timeout_s: float
    busy_timeout_s: float
    autocommit: bool
    begin: str | Begin
    consistency: str | Consistency
    tokens: bool
    cached_statements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    How a connection behaves; times are in seconds.

    Attributes:
        database: Its name: letters, digits, `.`, `_` and `-`.
        timeout_s: For each request, and for the search of a leader.
        busy_timeout_s: How long a statement waits for the write lock; 0 fails at once. It is asked
            for again only where the answer says that nothing was applied.
        autocommit: Whether a statement outside of an explicit transaction commits by itself.
        begin: How transactions begin.
        consistency: What reads promise.
        tokens: Whether each transaction writes a token, by which `recover` knows later whether it
            was committed. Such transactions take the write lock at once.
        cached_statements: How many statements are kept prepared at the server; 0: none.
    """

    database: str
    timeout_s: float = 10.0
    busy_timeout_s: float = 5.0
    autocommit: bool = False
    begin: Begin = Begin.DEFERRED
    consistency: Consistency = Consistency.SERIALIZABLE
    tokens: bool = False
    cached_statements: int = 128

    @classmethod
    def of(cls, database: str, settings: Settings) -> Self:
        """
        Return options with what is set; raises Refused for a value that cannot be.

        Names of enums may be given as text, in any case.
        """
        names = ", ".join(sorted(Settings.__annotations__))
        for name in settings:
            if name not in Settings.__annotations__:
                raise Refused(f"expected a setting of {names}, got {name!r}")
        given: dict[str, Any] = dict(settings)
        for name, kind in (("begin", Begin), ("consistency", Consistency)):
            if isinstance(text := given.get(name), str):
                given[name] = _named(kind, name, text)
        return cls(database=database, **given)

    def __post_init__(self) -> None:
        statements.check_database_name(self.database)
        if not _is_number(self.timeout_s) or not 0 < self.timeout_s < math.inf:
            raise Refused(f"expected timeout_s above 0, got {self.timeout_s!r}")
        if not _is_number(self.busy_timeout_s) or not 0 <= self.busy_timeout_s < math.inf:
            raise Refused(f"expected busy_timeout_s of 0 or more, got {self.busy_timeout_s!r}")
        if type(self.cached_statements) is not int or self.cached_statements < 0:
            raise Refused(
                f"expected cached_statements of 0 or more, got {self.cached_statements!r}"
            )
        for name, value, kind in (
            ("begin", self.begin, Begin),
            ("consistency", self.consistency, Consistency),
            ("autocommit", self.autocommit, bool),
            ("tokens", self.tokens, bool),
        ):
            if not isinstance(value, kind):
                raise Refused(f"expected {name} to be of {kind.__name__}, got {value!r}")

    @property
    def marks(self) -> bool:
        """Whether each transaction writes a row of its own before anything else."""
        return self.tokens or self.consistency is Consistency.LINEARIZABLE


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(kind: type[Enum], setting: str, text: str) -> Enum:
    for each in kind:
        if each.name == text.upper():
            return each
    names = ", ".join(each.name.lower() for each in kind)
    raise Refused(f"expected {setting} to be one of {names}, got {text!r}")


def store_of(servers: Servers) -> NodeStore:
    """
    Return the node store that `servers` means.

    Raises:
        Refused: If it names no server.
    """
    if isinstance(servers, str):
        if servers.startswith("file://"):
            return default_store(Path(servers.removeprefix("file://")))
        servers = servers.split(",")
    elif not isinstance(servers, Iterable):
        return servers
    addresses = [address.strip() for address in servers if address.strip()]
    if not addresses:
        raise Refused("expected the address of at least one server, got none")
    return MemoryStore.of(addresses)
