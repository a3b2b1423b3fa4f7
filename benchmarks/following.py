"""
What it costs to follow the history of a run that goes on, as `dissever serve` does.

    python benchmarks/following.py [--like RUN] [--megabytes 100]

Repeats the history of one run, each time later, until it has this size, then looks at it until all
of it was read.
Seconds are those of the processor, so they do not depend on how busy the machine is.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import tempfile
import time
from pathlib import Path

from dissever.harness import store
from dissever.runs.live import Watched

TIME = re.compile(rb'"time":(\d+)')
LARGE = ("data", store.HISTORY, store.SIMULATION)


def main() -> None:
    """Measure, and print a line."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    options.add_argument("--like", type=Path, default=Path("runs/latest"))
    options.add_argument("--megabytes", type=int, default=100)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="dissever-following-") as name:
        root = Path(name)
        run = store.find_run(asked.like)
        shutil.copytree(run, root / "run", ignore=shutil.ignore_patterns(*LARGE))
        part = (run / store.HISTORY).read_bytes()
        with (root / "run" / store.HISTORY).open("wb") as file:
            last_ns = int(TIME.findall(part)[-1])
            for number in range(-(-asked.megabytes * 1_000_000 // len(part))):
                file.write(_later(part, number * last_ns))
        watched = Watched(root, "run")
        seconds = []
        is_behind = True
        while is_behind:
            began = time.process_time()
            look = watched.look()
            seconds.append(time.process_time() - began)
            is_behind = look.read_bytes < look.size_bytes
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{look.size_bytes / 1e6:,.0f} MB, {look.ok + look.fail + look.info:,} operations:"
        f" {sum(seconds):.1f} s in {len(seconds)} looks, the longest {max(seconds):.2f} s;"
        f" at most {memory_mb} MB of memory"
    )


def _later(part: bytes, by_ns: int) -> bytes:
    return TIME.sub(lambda found: b'"time":%d' % (int(found[1]) + by_ns), part)


if __name__ == "__main__":
    main()
