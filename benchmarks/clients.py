"""
How fast a client that is a program can be asked, against a plain class.

    python benchmarks/clients.py [--seconds 2]

Both do nothing: a write is answered at once. So the numbers are an upper bound of what the harness
can ask through one client, one operation after another. The program is three lines of Python.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dissever.harness.client import Client, Invocation
from dissever.harness.forward import Forwarders
from dissever.systems.clients.kinds import kind_of
from dissever.systems.clients.program import Program
from dissever.workloads.register import RegisterClient

PROGRAM = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "type": "ok"}), flush=True)
"""


class Blocking:
    """A plain class with blocking methods: each client has a thread."""

    def __init__(self, endpoint: Any) -> None:
        pass

    def read(self, key: int) -> int | None:
        return None

    def write(self, key: int, value: int) -> None:
        pass

    def compare_and_set(self, key: int, old: int, new: int) -> bool:
        return True


class Async(Blocking):
    """A plain class with `async` methods."""

    async def write(self, key: int, value: int) -> None:  # type: ignore[override]
        pass


class Nowhere:
    """Hosts that nobody dials."""

    nodes = ("n1",)

    def address(self, node: str) -> str:
        return "10.0.0.1"

    async def dial(self, node: str, port: int, timeout_s: float) -> Any:
        raise ConnectionRefusedError


async def measure(what: Any, folder: Path, seconds: float) -> float:
    """Operations per second through one client."""
    kind = kind_of(what, folder)
    forwarders = Forwarders(Nowhere(), "n1", (1,), {})
    made = await kind.open(forwarders, store="registers", directory=folder)
    client = made if isinstance(made, Client) else RegisterClient(made)
    write, count, start = Invocation("write", 1, key=1), 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        await client.invoke(write)
        count += 1
    elapsed = time.perf_counter() - start
    await client.close()
    return count / elapsed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for each of them")
    seconds = parser.parse_args().seconds
    clients: Mapping[str, Any] = {
        "plain class, async": Async,
        "plain class, blocking": Blocking,
        "program": Program([sys.executable, "-c", PROGRAM]),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, client in clients.items():
            rate = asyncio.run(measure(client, Path(folder), seconds))
            print(f"{name:24}{rate:10,.0f} operations/s")


if __name__ == "__main__":
    main()
