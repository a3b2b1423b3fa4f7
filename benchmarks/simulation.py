"""
What a run of `dissever explore` costs where the system is simulated, in each part.

`python benchmarks/simulation.py [--runs 10] [--seed 1] [--only raft-0.22.1] [--json FILE]`

Runs are those of explore's defaults with `-f standard`. Seconds are of the processor, so that runs
per second and core follow from them whatever else the machine does. `plan`: from options to the
plan. `simulator`: the C process. `harness`: clients, faults, frames, history; the servers too where
they are objects in Python. `judge`: all checkers. `fixed` is what a run costs without operations,
from runs with one in a second, and `per operation` is what each operation adds.

`floor` is the cost of the least that could be done with the same simulator: as many writes, one
after another, by frames alone, with no faults, no history and no checker. `ratio` compares the two.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from dissever import planning, running
from dissever.commands.explore import SHORT
from dissever.harness.cluster.backends import SIMULATED
from dissever.harness.cluster.simulator import ServerRole, answers, frames
from dissever.harness.cluster.simulator.frames import Kind
from dissever.harness.cluster.simulator.process import SimulatorProcess
from dissever.harness.missing import Missing
from dissever.harness.plan import Options
from dissever.systems import load
from dissever.systems.raft import calls
from dissever.systems.raft.libraries import VARIANTS, simulator
from dissever.systems.raft.options import EXAGGERATED, TIMINGS

PYTHON: Final = "simulated"
"""The system whose servers are objects in Python."""

NODES: Final = 5
STEP_NS: Final = 10_000_000


@dataclass(frozen=True)
class Cost:
    """Of one run, in the mean: seconds of the processor, and what was done in them."""

    variant: str
    is_traced: bool
    runs: int
    plan_s: float
    simulator_s: float
    harness_s: float
    judge_s: float
    operations: float

    @property
    def total_s(self) -> float:
        return self.plan_s + self.simulator_s + self.harness_s + self.judge_s


class Phases:
    """Hears when judging begins."""

    def __init__(self) -> None:
        self.judging_s = 0.0

    def phase(self, name: str) -> None:
        if name == "judging":
            self.judging_s = time.process_time()

    def event(self, event: object) -> None:
        pass


def options(variant: str, seed: int, *, rate: float, is_traced: bool) -> Options:
    system, _, library = variant.partition("-")
    own: dict[str, Any] = {"library": library, "timings": EXAGGERATED} if library else {}
    return Options(
        system=system,
        workload="register",
        backend=SIMULATED,
        faults=("standard",),
        concurrency=2 * NODES,
        rate=rate,
        time_limit_s=SHORT["time_limit"],
        fault_interval_s=SHORT["fault_interval"],
        operation_limit_s=1.0,
        seed=seed,
        trace=is_traced,
        system_options=own,
    )


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(variant: str, seeds: range, *, rate: float, is_traced: bool = False) -> Cost:
    plan_s = simulator_s = harness_s = judge_s = operations = 0.0
    system = load(variant.partition("-")[0])
    first = options(variant, seeds[0], rate=rate, is_traced=is_traced)
    faults = running.possible(first, system).faults  # A campaign finds out once what fits.
    for seed in seeds:
        asked = options(variant, seed, rate=rate, is_traced=is_traced)
        asked = type(asked)(**{**_fields(asked), "faults": faults})
        phases = Phases()
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            begun_s, children_before_s = time.process_time(), children_s()
            asked = running.possible(asked, system)
            plan = planning.make_plan(asked, system, datetime.now(UTC))
            planned_s = time.process_time()
            _, judged = running.carry_out(plan, system, Path(folder), phases)
            judge_s += time.process_time() - phases.judging_s
            simulator_s += children_s() - children_before_s
            harness_s += phases.judging_s - planned_s
            plan_s += planned_s - begun_s
            operations += len(judged.history.columns)
    parts = (each / len(seeds) for each in (plan_s, simulator_s, harness_s, judge_s, operations))
    return Cost(variant, is_traced, len(seeds), *(round(each, 5) for each in parts))


def _fields(asked: Options) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in asked.__struct_fields__}


def floor_s(variant: str, operations: int) -> float | None:
    """What as many writes cost by frames alone; None where there is no such client."""
    program = simulator(variant) if variant in VARIANTS else None
    if not isinstance(program, Path) or variant.startswith("dqlite"):
        return None
    begun_s, children_before_s = time.process_time(), children_s()
    settings = {"bootstrap": "all", "trace": "0", **TIMINGS[EXAGGERATED]}
    with tempfile.TemporaryDirectory() as folder:
        process = SimulatorProcess([str(program)], Path(folder) / "log")
        process.ask(frames.begin(1, NODES, settings), answers.Ready)
        for node in range(NODES):
            process.send(frames.of_node(Kind.START, node))
        now_ns, leader = 0, None
        while leader is None:
            now_ns = process.advance(now_ns + STEP_NS).time_ns
            seen = {node: _look(process, node) for node in range(NODES)}
            leader = next((n for n, each in seen.items() if each.role is ServerRole.LEADER), None)
        process.send(frames.open_(1, leader))
        now_ns = process.advance(now_ns + STEP_NS).time_ns
        for number in range(1, operations + 1):
            request = calls.write(number % 8, number)
            head = (5 + len(request.fields)).to_bytes(4, "little") + number.to_bytes(4, "little")
            process.heard.clear()
            process.send(frames.send(1, head + bytes([request.function]) + request.fields))
            while not any(isinstance(each, answers.Received) for each in process.heard):
                now_ns = process.advance(now_ns + 100 * STEP_NS).time_ns
        process.close()
    return time.process_time() - begun_s + children_s() - children_before_s


def _look(process: SimulatorProcess, node: int) -> answers.Server:
    return process.ask(frames.of_node(Kind.LOOK, node), answers.Server)


def rows(variants: list[str], seeds: range) -> Iterator[dict[str, Any]]:
    for variant in variants:
        if variant in VARIANTS and isinstance(found := simulator(variant), Missing):
            print(f"{variant}: left out: {found.reason}", file=sys.stderr)
            continue
        rate = SHORT["rate"]
        measure(variant, seeds[:1], rate=rate)  # Imports, and what is made once.
        cost = measure(variant, seeds, rate=rate)
        traced = measure(variant, seeds, rate=rate, is_traced=True)
        idle = measure(variant, seeds, rate=1)
        each_s = (cost.total_s - idle.total_s) / (cost.operations - idle.operations)
        least_s = floor_s(variant, round(cost.operations))
        yield asdict(cost) | {
            "runs_per_core_s": round(1 / cost.total_s, 2),
            "traced_runs_per_core_s": round(1 / traced.total_s, 2),
            "operation_us": round(each_s * 1e6),
            "fixed_s": round(idle.total_s - each_s * idle.operations, 4),
            "floor_s": None if least_s is None else round(least_s, 4),
            "ratio": None if least_s is None else round(cost.total_s / least_s, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    every = [PYTHON, *sorted(VARIANTS)]
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=every, action="append")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    gc.freeze()
    gc.set_threshold(50_000)  # As workers of a campaign do.
    found = []
    print(
        "| simulator | runs/s and core | with a trace | plan | simulator | harness | judge"
        " | operations | per operation | fixed | floor | ratio |"
    )
    print("| --- |" + " ---: |" * 11)
    for row in rows(given.only or every, range(given.seed, given.seed + given.runs)):
        found.append(row)
        parts = (row[f"{part}_s"] * 1000 for part in ("plan", "simulator", "harness", "judge"))
        floor = "" if row["floor_s"] is None else f"{row['floor_s'] * 1000:.0f} ms"
        print(
            f"| {row['variant']} | {row['runs_per_core_s']:.1f} |"
            f" {row['traced_runs_per_core_s']:.1f} | "
            + " | ".join(f"{part:.0f} ms" for part in parts)
            + f" | {row['operations']:.0f} | {row['operation_us']} µs |"
            f" {row['fixed_s'] * 1000:.0f} ms | {floor} | {row['ratio'] or ''} |",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
