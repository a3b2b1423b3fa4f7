"""
What a large log of a node costs: its digest at the end of a run, judging, and the page.

A small simulated run gets a log of the size that is asked for, and `outcome.json` lists it. Each
step is a process of its own, so that peaks of memory compare. Everything is removed at the end.

    python benchmarks/logs.py --size-mb 1000
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import structs

from dissever import Options, run
from dissever.harness import store
from dissever.harness.cluster.backends import SIMULATED
from dissever.judging import judge, publish, read_judged

LINES = 8000
"""Lines that are repeated until the log is large enough; one of them is an error."""


def digest(directory: Path) -> str:
    return store.digest(log_of(directory))


def judging(directory: Path) -> str:
    results = judge(directory).results
    store.write_results(directory, results)
    logs = next(each for each in results.results if each.checker == "logs")
    return f"{logs.verdict.word}: {logs.why}"


def page(directory: Path) -> str:
    return f"{publish(directory, read_judged(directory)).stat().st_size / 1e6:.1f} MB"


STEPS: Mapping[str, Callable[[Path], str]] = {"digest": digest, "judging": judging, "page": page}


def log_of(directory: Path) -> Path:
    return directory / store.NODES / "n1" / "stderr-1.log"


def make(folder: Path, size_bytes: int) -> Path:
    """A run with a large log. It is valid: the log holds errors, and nothing suspicious."""
    options = Options(
        system="simulated", workload="register", backend=SIMULATED, time_limit_s=5.0, seed=1
    )
    directory = run(options, runs=folder).directory
    block = b"".join(
        b"2026-11-30T20:45:%02d.%06d INFO src/raft/replication.c:12 entries %d to %d of term 7 %s\n"
        % (i * 60 // LINES, i, i, i + 7, b"error: a peer is gone" if i == LINES // 2 else b"sent")
        for i in range(LINES)
    )
    with log_of(directory).open("wb") as file:
        while file.tell() < size_bytes:
            file.write(block)
    outcome = structs.replace(store.read_outcome(directory), files=store.manifest(directory))
    store.write_outcome(directory, outcome)
    return directory


def main() -> None:
    """Make the log, measure each step, remove everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mb", type=int, default=1000)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(measured(given.step, given.run))
        return
    with tempfile.TemporaryDirectory() as folder:
        directory = make(Path(folder), given.size_mb * 1_000_000)
        size = log_of(directory).stat().st_size
        print(f"a log of {size / 1e6:,.0f} MB\n")
        print("| step | seconds | of the processor | peak of memory | what |")
        print("| --- | --- | --- | --- | --- |")
        for step in STEPS:
            words = [sys.executable, __file__, "--step", step, "--run", str(directory)]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            print(done.stdout, end="", flush=True)


def measured(step: str, directory: Path) -> str:
    """A row of the table."""
    begun, before = time.perf_counter(), time.process_time()
    what = STEPS[step](directory)
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    processor, peak_mb = used.ru_utime + used.ru_stime - before, used.ru_maxrss / 1000
    return f"| {step} | {seconds:.1f} | {processor:.1f} | {peak_mb:,.0f} MB | {what} |"


if __name__ == "__main__":
    main()
