"""
One contestant of `dqlite_client.py`, in a process of its own: prints what it measured as JSON.

    python benchmarks/dqlite_workers.py blocking 127.0.0.1:9001 --workers 1 --seconds 5

The work is that of Go's `dqlite-benchmark`: INSERT OR REPLACE of a new key of 32 letters with a
value of 1024, or SELECT of a key that this worker wrote: never with `--workload write`, half of the
time with `mixed`, and always, of one row, with `read`. Nothing is repeated; a refused statement
counts as an error. It imports no more than its contestant needs, so that one of Python 3.13 can be
compared: `dqliteclient` is the module of dqlite-client on PyPI.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

DATABASE = "benchmark"
SCHEMA = "CREATE TABLE IF NOT EXISTS model (key TEXT, value TEXT, UNIQUE(key))"
WRITE = "INSERT OR REPLACE INTO model(key, value) VALUES(?, ?)"
READ = "SELECT value FROM model WHERE key = ?"
SEED = ("seed", "x" * 1024)
"""A row that is there before the work begins."""

TIMEOUT_S = 10.0


@dataclass
class Tally:
    """Latencies in ms, and errors, of one kind of statement."""

    times_ms: list[float] = field(default_factory=list)
    errors: int = 0


class Worker:
    """Chooses the statements of one worker and times them."""

    def __init__(self, rng: Random, workload: str) -> None:
        self.tallies = {"write": Tally(), "read": Tally()}
        self._rng = rng
        self._reads = {"write": 0.0, "mixed": 0.5, "read": 1.0}[workload]
        self._keys = [SEED[0]]

    def statement(self) -> tuple[str, tuple[str, ...]]:
        if self._rng.random() < self._reads:
            return "read", (self._rng.choice(self._keys),)
        key = self._rng.randbytes(16).hex()
        return "write", (key, "x" * 512 + self._rng.randbytes(256).hex())

    def note(self, kind: str, key: str, begun_s: float, *, is_ok: bool) -> None:
        tally = self.tallies[kind]
        if not is_ok:
            tally.errors += 1
            return
        tally.times_ms.append((time.perf_counter() - begun_s) * 1000)
        if kind == "write":
            self._keys.append(key)


def run_blocking(connect: Callable[[], Any], workers: list[Worker], seconds: float) -> float:
    """
    Each worker in a thread of its own, with a connection of its own.

    Returns:
        Seconds of the processor that the process took while it worked.
    """

    def work(worker: Worker, write: Any, read: Any, error: type[Exception]) -> None:
        start.wait()
        end = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            kind, values = worker.statement()
            begun = time.perf_counter()
            try:
                (write if kind == "write" else read)(values)
            except error:
                worker.note(kind, values[0], begun, is_ok=False)
            else:
                worker.note(kind, values[0], begun, is_ok=True)

    start = threading.Barrier(len(workers))
    threads = [threading.Thread(target=work, args=(worker, *connect())) for worker in workers]
    begun_cpu = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.process_time() - begun_cpu


async def run_async(connect: Callable[[], Any], workers: list[Worker], seconds: float) -> float:
    """Each worker as a task with a connection of its own."""

    async def work(worker: Worker, write: Any, read: Any, error: type[Exception]) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            kind, values = worker.statement()
            begun = time.perf_counter()
            try:
                await (write if kind == "write" else read)(values)
            except error:
                worker.note(kind, values[0], begun, is_ok=False)
            else:
                worker.note(kind, values[0], begun, is_ok=True)

    opened = [await connect() for _ in workers]
    begun_cpu = time.process_time()
    await asyncio.gather(
        *(work(worker, *uses) for worker, uses in zip(workers, opened, strict=True))
    )
    return time.process_time() - begun_cpu


def blocking(address: str, workers: list[Worker], seconds: float) -> float:
    import dqlite

    def connect() -> tuple[Any, Any, type[Exception]]:
        client = dqlite.BlockingClient.connect(address, timeout_s=TIMEOUT_S)
        client.open(DATABASE)
        client.exec_sql(SCHEMA)
        client.exec_sql(WRITE, SEED)
        return (
            lambda values: client.exec_sql(WRITE, values),
            lambda values: client.query_sql(READ, values).rows[0],
            dqlite.DqliteError,
        )

    return run_blocking(connect, workers, seconds)


def prepared(address: str, workers: list[Worker], seconds: float) -> float:
    import dqlite

    def connect() -> tuple[Any, Any, type[Exception]]:
        client = dqlite.BlockingClient.connect(address, timeout_s=TIMEOUT_S)
        client.open(DATABASE)
        client.exec_sql(SCHEMA)
        client.exec_sql(WRITE, SEED)
        write, read = client.prepare(WRITE), client.prepare(READ)
        return (
            lambda values: client.exec(write, values),
            lambda values: client.query(read, values).rows[0],
            dqlite.DqliteError,
        )

    return run_blocking(connect, workers, seconds)


def asyncio_(address: str, workers: list[Worker], seconds: float) -> float:
    import dqlite

    async def connect() -> tuple[Any, Any, type[Exception]]:
        client = await dqlite.Client.connect(address, timeout_s=TIMEOUT_S)
        await client.open(DATABASE)
        await client.exec_sql(SCHEMA)
        await client.exec_sql(WRITE, SEED)
        return (
            lambda values: client.exec_sql(WRITE, values),
            lambda values: client.query_sql(READ, values),
            dqlite.DqliteError,
        )

    return asyncio.run(run_async(connect, workers, seconds))


def asyncio_prepared(address: str, workers: list[Worker], seconds: float) -> float:
    import dqlite

    async def connect() -> tuple[Any, Any, type[Exception]]:
        client = await dqlite.Client.connect(address, timeout_s=TIMEOUT_S)
        await client.open(DATABASE)
        await client.exec_sql(SCHEMA)
        await client.exec_sql(WRITE, SEED)
        write, read = await client.prepare(WRITE), await client.prepare(READ)
        return (
            lambda values: client.exec(write, values),
            lambda values: client.query(read, values),
            dqlite.DqliteError,
        )

    return asyncio.run(run_async(connect, workers, seconds))


def dbapi(address: str, workers: list[Worker], seconds: float) -> float:
    import dqlite

    def connect() -> tuple[Any, Any, type[Exception]]:
        connection = dqlite.connect(address, DATABASE, autocommit=True, busy_timeout_s=0)
        connection.execute(SCHEMA)
        connection.execute(WRITE, SEED)
        return (
            lambda values: connection.execute(WRITE, values),
            lambda values: connection.execute(READ, values).fetchone(),
            dqlite.Error,
        )

    return run_blocking(connect, workers, seconds)


def dqliteclient(address: str, workers: list[Worker], seconds: float) -> float:
    module = importlib.import_module("dqliteclient")

    async def connect() -> tuple[Any, Any, type[Exception]]:
        connection = await module.connect(address, database=DATABASE, timeout=TIMEOUT_S)
        await connection.execute(SCHEMA)
        await connection.execute(WRITE, SEED)
        return (
            lambda values: connection.execute(WRITE, values),
            lambda values: connection.fetchall(READ, values),
            module.DqliteError,
        )

    return asyncio.run(run_async(connect, workers, seconds))


CONTESTANTS: dict[str, Callable[[str, list[Worker], float], float]] = {
    "blocking": blocking,
    "prepared": prepared,
    "asyncio": asyncio_,
    "asyncio-prepared": asyncio_prepared,
    "dbapi": dbapi,
    "dqliteclient": dqliteclient,
}


def percentile(sorted_times: list[float], share: float) -> float:
    """Nearest rank; of nothing it is not a number."""
    if not sorted_times:
        return float("nan")
    return sorted_times[min(len(sorted_times) - 1, int(share * len(sorted_times)))]


def summary(
    tallies: Iterator[dict[str, Tally]], seconds: float, cpu_s: float | None = None
) -> dict[str, Any]:
    """
    Per kind: count, errors, operations per second, p50 and p99 in ms.

    Args:
        cpu_s: What the process took; each operation, also a refused one, has an equal share.
    """
    together = {"write": Tally(), "read": Tally()}
    for each in tallies:
        for kind, tally in each.items():
            together[kind].times_ms += tally.times_ms
            together[kind].errors += tally.errors
    found: dict[str, Any] = {}
    operations = sum(len(each.times_ms) + each.errors for each in together.values())
    cpu_us = None if cpu_s is None or not operations else cpu_s / operations * 1e6
    for kind, tally in together.items():
        times = sorted(tally.times_ms)
        if times or tally.errors:
            found[kind] = {
                "count": len(times),
                "errors": tally.errors,
                "per_s": len(times) / seconds,
                "p50_ms": percentile(times, 0.5),
                "p99_ms": percentile(times, 0.99),
                "cpu_us": cpu_us,
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1] if __doc__ else None)
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("address")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--workload", choices=["write", "read", "mixed"], default="write")
    parser.add_argument("--seconds", type=float, default=5)
    given = parser.parse_args()
    workers = [Worker(Random(i), given.workload) for i in range(given.workers)]
    begun = time.perf_counter()
    cpu_s = CONTESTANTS[given.contestant](given.address, workers, given.seconds)
    assert time.perf_counter() - begun >= given.seconds
    print(json.dumps(summary((worker.tallies for worker in workers), given.seconds, cpu_s)))


if __name__ == "__main__":
    main()
