"""What clients are asked to see whether their node answers, and whether a change goes through."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dissever.harness.forward import Endpoint
from dissever.systems.clients.deployment import PROBE_KEY, ClientsDeployment
from dissever.systems.clients.plain import PlainClients
from tests.systems.clients.test_plain import Driver, Server


class Transacting:
    """Transactions of lines."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.driver = Driver(endpoint)

    def begin(self) -> None:
        self.driver.say("begin")

    def commit(self) -> None:
        self.driver.say("commit")

    def rollback(self) -> None:
        self.driver.say("rollback")

    def close(self) -> None:
        self.driver.close()


class OnLists(Transacting):
    """With lists alone."""

    def read_list(self, key: int) -> Any:
        self.driver.say(f"read {key}")
        return []

    def append(self, key: int, value: int) -> None:
        self.driver.say(f"append {key}")


class OnRows(Transacting):
    """With rows alone."""

    def select(self, key: int, modulus: int, remainder: int) -> Any:
        self.driver.say(f"select {key}")
        return []

    def insert(self, key: int, row: int, value: int) -> bool:
        assert row > PROBE_KEY, "workloads count their rows from 0"
        self.driver.say(f"insert {key}")
        return True


@pytest.mark.parametrize(
    ("clients", "look", "change"), [(OnLists, "read", "append"), (OnRows, "select", "insert")]
)
def test_client_with_transactions_is_asked_in_one(
    clients: type, look: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "directory", lambda *_: tmp_path)

    async def main() -> list[str]:
        server: Any = Server()
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        deployment = ClientsDeployment(server, PlainClients(clients), client_ports=(80,))
        assert await deployment.answers("n1")
        assert await deployment.await_progress(["n1"], 5.0) == {"by": "n1"}
        listener.close()
        return list(server.heard)

    heard = asyncio.run(main())

    assert heard == [
        *("begin", f"{look} {PROBE_KEY}", "rollback"),
        *("begin", f"{change} {PROBE_KEY}", "commit"),
    ]
