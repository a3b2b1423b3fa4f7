"""Redis with Sentinel: which answers of a server say that nothing was done."""

from __future__ import annotations

import pytest

from dissever.harness.client import NotApplied
from dissever.systems.redis import RedisClient


class Master:
    """A connection to a server that refuses, or answers."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def execute_command(self, *command: object) -> object:
        raise self.error


def asked(error: Exception) -> Exception:
    """What a client raises when its master answers with an error."""
    client = object.__new__(RedisClient)
    client._master = Master(error)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - Its class is what is looked at.
        client.write(1, 2)
    return raised.value


def test_only_what_a_server_refuses_outright_was_not_applied() -> None:
    errors = pytest.importorskip("redis.exceptions")
    refused = (
        errors.ReadOnlyError("You can't write against a read only replica."),
        errors.BusyLoadingError("Redis is loading the dataset in memory"),
        errors.ResponseError("NOREPLICAS Not enough good replicas to write."),
    )
    unknown = (
        errors.ConnectionError("Connection closed by server."),
        errors.TimeoutError("Timeout reading from socket"),
        errors.ResponseError("UNBLOCKED force unblock from blocking operation"),
    )

    assert all(isinstance(asked(error), NotApplied) for error in refused)
    assert not any(isinstance(asked(error), NotApplied) for error in unknown)
