"""
What the interpreter costs: operations per second, and seconds from the command to the first one.

    python benchmarks/interpreter.py [--operations 50000] [--runs 3]

Operations are done by clients that do nothing, on the real clock, with every event in a journal.
The floor is a loop that writes the same number of journal lines and does nothing else, in the same
process: the ratio says more than the rate, which depends on the machine. The best of several runs
counts, since other work on the machine only ever slows one down.

Starts are those of the command line as a process of its own, until its history holds an operation.
What cannot run here is left out, with the reason.

Known gap: one generator is measured, with a fixed number of workers; a costly one costs more.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dissever.harness.client import Client, Completion, Invocation
from dissever.harness.generator import clients, limit, repeat
from dissever.harness.history import Event, Type
from dissever.harness.interpreter import TimeLimits, interpret
from dissever.harness.journal import Journal
from dissever.harness.plan import stream

CONCURRENCY = 10
START_LIMIT_S = 60.0
AIMS = {"operations_per_s": 50_000, "start_simulated_s": 2.0, "start_dqlite_s": 8.0}


class Idle:
    """A client that does nothing, of any node."""

    @classmethod
    async def open(cls, _: str) -> Client:
        return cls()

    async def invoke(self, invocation: Invocation) -> Completion:
        return invocation.ok(invocation.value)

    async def close(self) -> None:
        pass


def interpreted_per_s(operations: int, directory: Path) -> float:
    """Operations per second of a whole run."""
    path = directory / "interpreted"
    source = clients(limit(operations, repeat(Invocation("write", 1))))
    with Journal(path) as journal:
        begin = time.perf_counter()
        asyncio.run(
            interpret(
                source,
                open_client=Idle.open,
                nodes=("n1", "n2", "n3", "n4", "n5"),
                concurrency=CONCURRENCY,
                nemeses={},
                rng=stream(1, "generator"),
                record=journal,
                limits=TimeLimits(),
            )
        )
        took = time.perf_counter() - begin
    path.unlink()
    return operations / took


def journaled_per_s(operations: int, directory: Path) -> float:
    """The floor: two lines for each operation, and nothing else."""
    path = directory / "journaled"
    with Journal(path) as journal:
        begin = time.perf_counter()
        for i in range(operations):
            journal(Event(2 * i, i, i % CONCURRENCY, Type.INVOKE, "write", 1, None, "n1"))
            journal(Event(2 * i + 1, i, i % CONCURRENCY, Type.OK, "write", 1, None, "n1"))
        took = time.perf_counter() - begin
    path.unlink()
    return operations / took


def start_s(system: str, directory: Path) -> float | str:
    """Seconds until the first operation of a command line is on the disk, or why there is none."""
    command = [
        sys.executable,
        "-m",
        "dissever",
        "test",
        system,
        "--workload",
        "register",
        "--time-limit",
        "1",
        "--seed",
        "1",
    ]
    runs = directory / system
    begin = time.perf_counter()
    with subprocess.Popen(
        [*command, "--quiet", "--runs", str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        while time.perf_counter() - begin < START_LIMIT_S:
            if any(path.stat().st_size for path in runs.glob("*/*/*/history.jsonl")):
                took = time.perf_counter() - begin
                child.communicate()
                return took
            if child.poll() is not None:
                said = child.communicate()[0].strip().splitlines()
                return said[-1] if said else f"it ended with {child.returncode}"
            time.sleep(0.002)
        child.terminate()
        child.communicate()
        return f"no operation in {START_LIMIT_S:g} s"


def measure_all(operations: int, runs: int) -> dict[str, float | str]:
    """Every figure by name, the best of several runs; a text says why one is missing."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        interpreted = max(interpreted_per_s(operations, directory) for _ in range(runs))
        floor = max(journaled_per_s(operations, directory) for _ in range(runs))
        return {
            "operations_per_s": round(interpreted),
            "journal_floor_per_s": round(floor),
            "share_of_floor": round(interpreted / floor, 3),
            "start_simulated_s": start_s("simulated", directory),
            "start_dqlite_s": start_s("dqlite", directory),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="What the interpreter costs.")
    parser.add_argument("--operations", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    figures = measure_all(options.operations, options.runs)
    for name, figure in figures.items():
        shown = f"{figure:>12,.3g}" if isinstance(figure, float) else f"{figure:>12}"
        print(f"{name:<22}{shown}   {f'aim {AIMS[name]:g}' if name in AIMS else ''}")


if __name__ == "__main__":
    main()
