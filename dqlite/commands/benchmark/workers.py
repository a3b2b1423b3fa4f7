"""
The workloads, and the threads that run them: each has a connection of its own.

Source: go-dqlite 3.0.4, `benchmark/worker.go`.
"""

import random
import string
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dqlite.commands.benchmark.measuring import Measurement, Track, Work
from dqlite.dbapi.connection import Connection
from dqlite.dbapi.database import Database
from dqlite.errors import Error

SCHEMA = "CREATE TABLE IF NOT EXISTS model (key TEXT, value TEXT, UNIQUE(key))"

_READ = "SELECT value FROM model WHERE key = ?"
_WRITE = "INSERT OR REPLACE INTO model(key, value) VALUES(?, ?)"
_ERROR_PAUSE_S = 0.01
"""After an error: a cluster that is down must not fill the report."""


@dataclass(frozen=True, slots=True)
class Workload:
    """
    What a worker draws.

    Attributes:
        reads: The share of reads, from 0 to 1; a worker reads keys that it wrote.
        key_bytes, value_bytes: Sizes; a value is half one letter, half random.
    """

    reads: float
    key_bytes: int
    value_bytes: int


SHARES_OF_READS = {"kvwrite": 0.0, "kvreadwrite": 0.5}
"""By the names of the workloads."""


class Statement(NamedTuple):
    """What a worker is about to do."""

    work: Work
    sql: str
    parameters: tuple[str, ...]


class Draw:
    """Draws statements; deterministic for a seed and for what succeeded."""

    def __init__(self, workload: Workload, rng: random.Random) -> None:
        self._workload = workload
        self._rng = rng
        self._keys: list[str] = []

    def next(self) -> Statement:
        """Return the next statement."""
        if self._keys and self._rng.random() < self._workload.reads:
            return Statement(Work.QUERY, _READ, (self._rng.choice(self._keys),))
        half = self._workload.value_bytes // 2
        value = self._letters(1) * (self._workload.value_bytes - half) + self._letters(half)
        return Statement(Work.EXEC, _WRITE, (self._letters(self._workload.key_bytes), value))

    def succeeded(self, statement: Statement) -> None:
        """Remember the key that a write stored."""
        if statement.work is Work.EXEC:
            self._keys.append(statement.parameters[0])

    def _letters(self, count: int) -> str:
        return "".join(self._rng.choices(string.ascii_letters, k=count))


class Worker:
    """One thread that runs statements until it is stopped."""

    def __init__(self, database: Database, draw: Draw, stop: threading.Event) -> None:
        self.tracks = {work: Track() for work in Work}
        self._database = database
        self._draw = draw
        self._stop = stop
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the statement in progress is over."""
        self._thread.join()

    def _run(self) -> None:
        connection: Connection | None = None
        while not self._stop.is_set():
            statement = self._draw.next()
            start_ns, begun_ns = time.time_ns(), time.monotonic_ns()
            try:
                if connection is None:
                    connection = self._database.connect()
                cursor = connection.execute(statement.sql, statement.parameters)
                if statement.work is Work.QUERY:
                    cursor.fetchall()
            except Error as error:
                self.tracks[statement.work].errors.append((start_ns, str(error)))
                if error.reconnect and connection is not None:
                    connection.close()
                    connection = None
                self._stop.wait(_ERROR_PAUSE_S)
            else:
                duration_ns = time.monotonic_ns() - begun_ns
                self.tracks[statement.work].measurements.append(Measurement(start_ns, duration_ns))
                self._draw.succeeded(statement)
        if connection is not None:
            connection.close()


def run_workers(
    workers: Sequence[Worker], stop: threading.Event, wait: Callable[[], object]
) -> float:
    """Run workers until `wait` returns; return the time that it took, in seconds."""
    begun = time.monotonic()
    for worker in workers:
        worker.start()
    wait()
    elapsed_s = time.monotonic() - begun
    stop.set()
    for worker in workers:
        worker.join()
    return elapsed_s
