"""Runs of the real libraft are equal to the byte: in another process, and in another order."""

import os
import subprocess
import sys
import tempfile

import pytest

from dissever.harness.missing import Missing
from dissever.systems.raft.programs import program

LIBRARY = "0.22.1"
SEEDS = range(1, 21)

RUNS = """
import hashlib, sys, tempfile
from pathlib import Path
from dissever import running
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.plan import Options

FAULTS = ("kill", "partition", "pause", "disk-error", "packet-loss", "power-failure")

def digests(seed, directory):
    options = Options(
        system="raft", workload="register" if seed % 2 else "set", backend=SIMULATED,
        nodes=("n1", "n2", "n3"), faults=(FAULTS[seed % len(FAULTS)],), seed=seed,
        rate=20, concurrency=3, time_limit_s=2.8,
        system_options={"timings": "exaggerated", "library": sys.argv[1]},
    )
    ended = running.run(options, runs=directory)
    for name in ("history.jsonl", "simulation.jsonl"):
        yield hashlib.sha256((ended.directory / name).read_bytes()).hexdigest()

for seed in map(int, sys.argv[2:]):
    with tempfile.TemporaryDirectory() as directory:
        print(seed, *digests(seed, Path(directory)), flush=True)
"""


def test_twenty_seeds_give_the_same_bytes_in_two_processes_and_two_orders() -> None:
    if isinstance(found := program(f"raft-{LIBRARY}"), Missing):
        pytest.skip(f"{found.reason}; {found.remedy}")

    def run(order, hash_seed):
        with tempfile.TemporaryDirectory() as elsewhere:
            ran = subprocess.run(
                [sys.executable, "-c", RUNS, LIBRARY, *map(str, order)],
                env={**os.environ, "PYTHONHASHSEED": hash_seed},
                cwd=elsewhere,
                capture_output=True,
                text=True,
                check=False,
            )
        assert ran.returncode == 0, ran.stderr
        return sorted(ran.stdout.splitlines())

    first, second = run(SEEDS, "1"), run(reversed(SEEDS), "2")

    assert len(first) == len(SEEDS)
    assert first == second
