"""
How long it takes to look at all runs of a folder, as `dissever runs` and `dissever serve` do.

    python benchmarks/index_of_runs.py [--runs 5000] [--like RUN]

Copies one run many times (its large files are linked, not copied), then makes an index three times.
The fastest counts: the first one reads a cold disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dissever.harness import store
from dissever.runs import index

REPEATS = 3


def main() -> None:
    """Measure, and print a line."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    options.add_argument("--runs", type=int, default=5000)
    options.add_argument("--like", type=Path, help="A run directory; by default one is made.")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="dissever-index-") as name:
        folder = Path(name)
        like = asked.like or _made(folder / "first")
        for number in range(asked.runs):
            shutil.copytree(
                like, folder / "runs" / "system" / "workload" / str(number), copy_function=os.link
            )
        seconds = min(_seconds(folder / "runs", asked.runs) for _ in range(REPEATS))
    print(f"{asked.runs:,} runs: {seconds:.2f} s, {1e6 * seconds / asked.runs:.0f} µs a run")


def _made(folder: Path) -> Path:
    command = [sys.executable, "-m", "dissever", "test", "simulated", "--bug", "lost-write"]
    more = ["--workload", "set", "--time-limit", "5", "--seed", "1", "--quiet"]
    subprocess.run(
        [*command, *more, "--runs", folder], check=False, stdout=subprocess.DEVNULL
    )  # It is invalid, which is its exit status.
    return store.find_run(folder / store.LATEST)


def _seconds(folder: Path, count: int) -> float:
    began = time.monotonic()
    found = index(folder)
    passed = time.monotonic() - began
    assert len(found.runs) == count
    return passed


if __name__ == "__main__":
    main()
