"""
What a simulated run costs, in each part: the simulator, the harness around it, and judging.

`python benchmarks/simulation.py [--runs 10] [--seed 1] [--only raft-0.22.1] [--json FILE]`

Seconds are of the processor, so that runs per second and core follow from them whatever else the
machine does. `simulator`: the C process. `harness`: planner, clients, frames, history. `judging`:
all checkers. No page is drawn. Each simulator is run with and without its trace.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dissever import planning, running
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.systems import load
from dissever.systems.raft.libraries import VARIANTS, simulator

FAULTS = ("partition", "kill", "pause")
VIRTUAL_S = 17.0


@dataclass(frozen=True)
class Cost:
    """Of one run, in the mean: seconds of the processor, and what was done in them."""

    variant: str
    is_traced: bool
    runs: int
    simulator_s: float
    harness_s: float
    judging_s: float
    operations: float

    @property
    def runs_per_core_s(self) -> float:
        return 1 / (self.simulator_s + self.harness_s + self.judging_s)


class Phases:
    """Hears when judging begins."""

    def __init__(self) -> None:
        self.judging_s = 0.0

    def phase(self, name: str) -> None:
        if name == "judging":
            self.judging_s = time.process_time()

    def event(self, event: object) -> None:
        pass


def options(variant: str, seed: int, *, is_traced: bool) -> Options:
    system, _, library = variant.partition("-")
    return Options(
        system=system,
        workload="register",
        backend=SIMULATED,
        faults=FAULTS,
        concurrency=6,
        rate=100,
        time_limit_s=VIRTUAL_S,
        seed=seed,
        trace=is_traced,
        system_options={"library": library},
    )


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(variant: str, seeds: range, *, is_traced: bool) -> Cost:
    simulator_s = harness_s = judging_s = operations = 0.0
    for seed in seeds:
        asked = options(variant, seed, is_traced=is_traced)
        system = load(asked.system)
        asked = running.possible(asked, system)
        phases = Phases()
        with tempfile.TemporaryDirectory() as folder:
            before_s, children_before_s = time.process_time(), children_s()
            plan = planning.make_plan(asked, system, datetime.now(UTC))
            _, judged = running.carry_out(plan, system, Path(folder), phases)
            simulator_s += children_s() - children_before_s
            harness_s += phases.judging_s - before_s
            judging_s += time.process_time() - phases.judging_s
            operations += len(judged.history)
    count = len(seeds)
    return Cost(
        variant,
        is_traced,
        count,
        round(simulator_s / count, 4),
        round(harness_s / count, 4),
        round(judging_s / count, 4),
        round(operations / count, 1),
    )


def costs(variants: list[str], seeds: range) -> Iterator[Cost]:
    for variant in variants:
        if isinstance(found := simulator(variant), Missing):
            print(f"{variant}: left out: {found.reason}", file=sys.stderr)
            continue
        measure(variant, seeds[:1], is_traced=False)  # Imports, and what is made once.
        for is_traced in (False, True):
            yield measure(variant, seeds, is_traced=is_traced)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(VARIANTS), action="append")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = []
    print("simulator      trace  runs/s and core  simulator s  harness s  judging s  events")
    for cost in costs(given.only or sorted(VARIANTS), range(given.seed, given.seed + given.runs)):
        found.append(asdict(cost) | {"runs_per_core_s": round(cost.runs_per_core_s, 2)})
        print(
            f"{cost.variant:14} {'yes' if cost.is_traced else 'no':5} {cost.runs_per_core_s:16.2f}"
            f" {cost.simulator_s:12.3f} {cost.harness_s:10.3f} {cost.judging_s:10.3f}"
            f" {cost.operations:7.0f}",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
