"""Application nodes in this process, as one cluster on addresses of its own."""

import itertools
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dqlite.errors import DqliteError
from dqlite.wire.schema import Member, Role

PATIENCE_S = 60.0
"""How long a cluster may take to become what it has to; it is far quicker on an idle machine."""

LATENCY_MS = 20
INTERVAL_S = 0.2

_NETS = itertools.count(random.SystemRandom().randrange(254))
"""Two clusters of one process never have the same; two processes seldom do."""


class Apps:
    """
    The application nodes of one cluster: number n has the address `host(n)` and the directory `n`.

    Attributes:
        running: Number -> node, of those that were started and not stopped.
    """

    def __init__(self, directory: Path) -> None:
        self.running: dict[int, Any] = {}
        self._directory = directory
        self._net = f"127.{next(_NETS) % 254 + 1}.{os.getpid() % 254 + 1}"

    def address(self, number: int) -> str:
        return f"{self._net}.{number}:9001"

    def path(self, number: int) -> Path:
        return self._directory / str(number)

    def describe(self, number: int, *, domain: int | None = None, **options: Any) -> Any:
        """A node that has not been started; all but the first join the first."""
        from dqlite.app.app import App
        from dqlite.node.options import NodeOptions

        self.path(number).mkdir(exist_ok=True)
        given: dict[str, Any] = {
            "address": self.address(number),
            "cluster": () if number == 1 else (self.address(1),),
            "roles_interval_s": INTERVAL_S,
            "node_options": NodeOptions(network_latency_ms=LATENCY_MS, failure_domain=domain),
        }
        return App(self.path(number), **(given | options))

    def start(self, number: int, **options: Any) -> Any:
        """Start a node, and wait until it is ready."""
        app = self.running[number] = self.describe(number, **options)
        app.start()
        app.ready(PATIENCE_S)
        return app

    def stop(self, number: int) -> None:
        """Stop a node at once, as a crash would, but for its files."""
        self.running.pop(number).close()

    def members(self) -> dict[int, Member]:
        """Number -> member, as the leader lists them."""
        app = next(iter(self.running.values()))
        with app.leader(PATIENCE_S) as client:
            return {self.number(member.address): member for member in client.cluster()}

    def roles(self) -> dict[int, Role]:
        return {number: member.role for number, member in sorted(self.members().items())}

    def leader(self) -> int:
        app = next(iter(self.running.values()))
        with app.leader(PATIENCE_S) as client:
            return self.number(client.address)

    def number(self, address: str) -> int:
        return int(address.partition(":")[0].rpartition(".")[2])

    def count(self, role: Role) -> int:
        return list(self.roles().values()).count(role)

    def close(self) -> None:
        for number in list(self.running):
            self.stop(number)


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, across elections."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if is_so():
                return
        except DqliteError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.02)
