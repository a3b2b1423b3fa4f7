"""
Go's own `dqlite-benchmark` as a contestant of `dqlite_client.py`, on the node of all contestants.

The tool works only on a cluster of which its own node is a voter. So that node is the one that all
contestants work on: the same program runs the same directory at the same address, with `--driver`
while it is its turn, and without it while the others have theirs.

Its workloads are `kvwrite` and `kvreadwrite`, half of the time each; it never only reads. It counts
no refused statements of a worker of which none succeeded.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from dqlite_workers import Tally, summary

WORKLOADS = {"write": "kvwrite", "mixed": "kvreadwrite"}
KINDS = {"exec": "write", "query": "read"}
LIMIT_S = 30


class Tool:
    """A node of the tool at an address, which serves the others between its turns."""

    def __init__(self, program: str, directory: Path, address: str) -> None:
        self._words = (program, "--db", address, "--dir", str(directory))
        self._address = address
        self._results = directory / address / "results"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._serve()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def turn(self, workload: str, workers: int, seconds: int) -> dict[str, Any]:
        """What the tool measured of its own work; nothing of a workload that it does not have."""
        if workload not in WORKLOADS:
            return {}
        self._stop()
        shutil.rmtree(self._results, ignore_errors=True)
        options = (
            *("--driver", "--cluster", self._address, "--workload", WORKLOADS[workload]),
            *("--workers", str(workers), "--duration", str(seconds)),
        )
        done = subprocess.run(
            (*self._words, *options),
            capture_output=True,
            text=True,
            timeout=seconds + LIMIT_S,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{self._words[0]}: {(done.stderr or done.stdout)[-2000:]}")
        self._serve()
        return summary(self._tallies(), seconds)

    def _tallies(self) -> Iterator[dict[str, Tally]]:
        """Of each report: `n`, `n_err` and other lines, then pairs of a time and a latency."""
        for report in self._results.iterdir():
            head, _, measured = report.read_text(encoding="utf-8").partition("measurements")
            _, _, pairs = measured.partition("\n")
            lines = pairs.partition("\n\n")[0].splitlines()
            errors = int(head.split("n_err ")[1].split()[0])
            tally = Tally([float(line.split()[1]) for line in lines], errors)
            yield {KINDS[report.name.split("-")[1]]: tally}

    def _serve(self) -> None:
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if "ready" not in self._process.stdout.readline():
            sys.exit(f"{self._words[0]} did not start: {self._process.wait(timeout=LIMIT_S)}")

    def _stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=LIMIT_S)
        self._process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
