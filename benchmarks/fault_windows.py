"""
What it costs to say what clients got before, during and after each fault of a long run.

The operations and the faults are drawn, so no node is started. The faults of the second row are in
force for a third of the run each, so that every question is about hundreds of thousands of
operations.

    python benchmarks/fault_windows.py --operations 1000000 --faults 300
"""

from __future__ import annotations

import argparse
import time
from random import Random

from dissever.harness.episodes import Episodes, episodes_of
from dissever.harness.history import Event, History, Type
from dissever.harness.windows import arounds
from dissever.native.columns import FAIL, INFO, OK, TYPE_CODES, Columns

NS_PER_S = 1_000_000_000
DURATION_S = 180
SHORT_S = (1.0, 8.0)


def draw_columns(operations: int, rng: Random) -> Columns:
    """Reads at any time, most of them ok after some milliseconds."""
    asked = sorted(rng.randrange(DURATION_S * NS_PER_S) for _ in range(operations))
    columns = {name: [0] * operations for name in TYPE_CODES}
    columns["inv_time"] = asked
    columns["ret_time"] = [each + int(rng.lognormvariate(14.5, 1.0)) for each in asked]
    columns["type"] = rng.choices((OK, FAIL, INFO), (90, 6, 4), k=operations)
    return Columns.of(columns, fs=("read",))


def draw_faults(faults: int, rng: Random, *, are_long: bool) -> Episodes:
    """Faults that strike evenly over the run, or over the first third when they last as long."""
    drawn: list[tuple[int, str, Type, str]] = []
    span_s = DURATION_S / 3 if are_long else DURATION_S
    for number in range(faults):
        begin_s = (number + 0.5) * span_s / faults
        end_s = begin_s + (DURATION_S / 3 if are_long else rng.uniform(*SHORT_S))
        name = f"fault-{number}"
        for time_s, f in ((begin_s, "start"), (min(end_s, DURATION_S), "stop")):
            time_ns = int(time_s * NS_PER_S)
            drawn.append((time_ns, name, Type.INVOKE, f))
            drawn.append((time_ns + 1000, name, Type.INFO, f))
    drawn.sort(key=lambda each: each[0])
    rows = enumerate(drawn)
    return episodes_of(History([Event(i, at, who, kind, f) for i, (at, who, kind, f) in rows]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--faults", type=int, default=300)
    asked = parser.parse_args()
    columns = draw_columns(asked.operations, Random(1))
    for are_long in (False, True):
        found = draw_faults(asked.faults, Random(2), are_long=are_long)
        wall, processor = time.perf_counter(), time.process_time()
        measured = arounds(columns, found, end_ns=DURATION_S * NS_PER_S)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        length = "60 s each" if are_long else "1 to 8 s each"
        print(
            f"{asked.operations:,} operations, {len(measured)} faults of {length}: "
            f"{processor:.2f} s of one core, {wall:.2f} s on the clock"
        )


if __name__ == "__main__":
    main()
