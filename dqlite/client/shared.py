"""
The one idle connection to the leader that a connector keeps for its next client.

A client gives its connection back when it is closed, unless it has opened a database: a server
keeps that with the connection. Before the next client gets it, its node is asked who leads.

Source: go-dqlite 3.0.4, `internal/protocol/connector.go`, `LeaderTracker`.
"""

import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

Keep: TypeAlias = Callable[[Any], bool]
"""Takes over a connection, and returns whether it did; else it is still the caller's to close."""


class Idle(Protocol):
    """What is kept: a connection of either kind."""

    @property
    def is_idle(self) -> bool:
        """Whether it is open, and no request is in flight."""

    def close(self) -> None:
        """Drop it."""


_Connection = TypeVar("_Connection", bound=Idle)


class SharedConnection(Generic[_Connection]):
    """Keeps at most one connection, until it is closed itself; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Connection | None = None
        self._is_closed = False

    def keep(self, connection: _Connection) -> bool:
        """Keep a connection that is idle, if there is none yet; return whether it is kept."""
        if not connection.is_idle:
            return False
        with self._lock:
            if self._is_closed or self._kept is not None:
                return False
            self._kept = connection
            return True

    def take(self) -> _Connection | None:
        """Return the connection, which the caller then owns; None if there is none."""
        with self._lock:
            kept, self._kept = self._kept, None
            return kept

    def close(self) -> None:
        """Close the connection, and keep no other; idempotent."""
        with self._lock:
            self._is_closed = True
        if (kept := self.take()) is not None:
            kept.close()
