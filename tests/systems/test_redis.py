"""Redis with Sentinel: which answers of a server say that nothing was done."""

from __future__ import annotations

from typing import Any

import pytest

from dissever.harness.client import NotApplied
from dissever.harness.cluster import Clocks
from dissever.harness.plan import Options
from dissever.nemesis import ALL, Backend, possible, preset
from dissever.systems.redis import Redis, RedisClient


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


class Pipeline:
    """Refuses, or has lost its connection: the driver raises the same for both."""

    def __init__(self, *, is_broken: bool) -> None:
        self.is_broken = is_broken
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.asked.append(name)

    def execute(self) -> None:
        errors = pytest.importorskip("redis.exceptions")
        if not self.is_broken:
            raise errors.WatchError("Watched variable changed.")
        try:
            raise errors.ConnectionError("Connection closed by server.")
        except errors.ConnectionError:
            raise errors.WatchError("A ConnectionError occurred while watching") from None


@pytest.mark.parametrize("is_broken", [False, True])
def test_transaction_is_not_applied_only_if_redis_itself_refuses_it(is_broken: bool) -> None:
    errors = pytest.importorskip("redis.exceptions")
    client = object.__new__(RedisClient)
    pipeline = client._watching = Pipeline(is_broken=is_broken)
    client._appended = [("list:1", 7)]

    with pytest.raises(errors.WatchError if is_broken else NotApplied):
        client.commit()

    assert pipeline.asked == ["multi", "rpush", "ping", "close"]
    assert client._watching is None


def test_all_faults_leave_out_those_of_clocks_and_say_why() -> None:
    lacks = Redis().lacks(Options(system="redis", workload="register"))
    real = Backend.NAMESPACES
    chosen, skipped = possible(preset([ALL], real), real, lacks, nodes=5, budget=2)
    reasons = {each.capability: each.reason for each in skipped}

    assert lacks[Clocks] in reasons["clock-jump"]
    assert "libfaketime" in reasons["monotonic-drift"]
    assert {"kill", "partition"} < set(chosen)
    assert not [name for name in chosen if name.startswith(("clock-", "monotonic-"))]
