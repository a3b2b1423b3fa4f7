"""
Mixtures of five to ten drawn faults on dqlite: does the harness defeat its own runs?

    python benchmarks/mixtures.py [--seeds 1-30] [--time-limit 30] [--nodes 5]

Each seed draws which faults are mixed, of those that this machine can inject, and the plan. One
line a run: the seed, the verdict, how many strikes were skipped, the faults, and the reason when
the run is not valid. Run directories are kept under --runs.

Exit status: 0 when no run is unknown, 1 when one is, 3 when one did not run.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random

from dissever.harness.cluster.backends import Backend
from dissever.harness.names import numbered
from dissever.harness.plan import Options
from dissever.harness.reader import read_history
from dissever.harness.results import Verdict
from dissever.harness.store import HISTORY
from dissever.nemesis import FAULTS
from dissever.running import Run, run

FEWEST, MOST = 5, 10
NEED_MORE = ("upgrade",)
"""Faults that need an option of their own."""


def main() -> int:
    """Run every seed, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--seeds", default="1-30", help="such as 7 or 1-30")
    parser.add_argument("--time-limit", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--backend", type=Backend, default=Backend.NAMESPACES)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    usable = [
        name
        for name, fault in FAULTS.items()
        if name not in NEED_MORE and fault.missing(asked.backend) is None
    ]
    first, _, last = asked.seeds.partition("-")
    status = 0
    for seed in range(int(first), int(last or first) + 1):
        faults = mixture(usable, seed)
        options = Options(
            system="dqlite",
            workload="register",
            faults=faults,
            nodes=numbered(asked.nodes),
            time_limit_s=asked.time_limit,
            seed=seed,
            backend=asked.backend,
        )
        try:
            ended = run(options, runs=asked.runs)
        except Exception as error:  # The other seeds must run.
            print(f"{seed:4} did not run  {','.join(faults)}: {error}", flush=True)
            status = 3
            continue
        results = ended.judged.results
        why = "" if results.verdict is Verdict.VALID else f": {' '.join(results.why.split())}"
        words = f"{seed:4} {results.verdict.name.lower():8} {skipped(ended):3} skipped"
        print(f"{words}  {','.join(faults)}{why}", flush=True)
        if results.verdict is Verdict.UNKNOWN:
            status = max(status, 1)
    return status


def mixture(usable: Iterable[str], seed: int) -> tuple[str, ...]:
    """Five to ten faults that one plan can have."""
    rng = Random(f"mixture/{seed}")
    clocks = rng.choice(("clock-", "monotonic-"))
    allowed = [
        name
        for name in usable
        if name.startswith(clocks) or not name.startswith(("clock-", "monotonic-"))
    ]
    return tuple(rng.sample(allowed, min(len(allowed), rng.randint(FEWEST, MOST))))


def skipped(ended: Run) -> int:
    """How many strikes found nobody whom they could strike."""
    history = read_history(ended.directory / HISTORY).history
    values = [
        each.completion.value
        for each in history.faults
        if each.completion and each.process in FAULTS
    ]
    return sum(isinstance(value, dict) and "skipped" in value for value in values)


if __name__ == "__main__":
    sys.exit(main())
