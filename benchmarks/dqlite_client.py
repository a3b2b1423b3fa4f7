"""
Our clients against Go's driver and against dqlite-client of PyPI, on one node, in turns.

    (cd benchmarks/go-dqlite && CGO_ENABLED=0 go build -tags nosqlite3 -o /tmp/go-dqlite .)
    python benchmarks/dqlite_client.py --go /tmp/go-dqlite [--seconds 5] [--rounds 3] 2> ROWS
    python benchmarks/dqlite_client.py --go-benchmark /usr/bin/dqlite-benchmark
    python benchmarks/dqlite_client.py --peer 'chroot DIR python3.13' --peer-path DIRS

One node leads a cluster of one, and every contestant drives it over TCP. The work is that of Go's
`dqlite-benchmark`. With `--go-benchmark` the tool itself takes part, on the node of its own program
(`go_benchmark.py`); else the node is one of `python -m dqlite.node`. In each round every contestant
works for `--seconds`, so that other load of the machine meets all alike. The table has the best
round of each contestant, which is the least disturbed, and its ratio to the best of Go: of the
driver, or else of the tool. Contestants not given are left out. Each turn is a line of JSON on
standard error; `--merge FILES` makes one table of such lines of several runs.

`dqlite_workers.py` says what the work is. With 16 workers a server may refuse concurrent writes as
busy: nobody repeats them, and only acknowledged ones count.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from dqlite_workers import Tally, summary
from go_benchmark import Tool

OURS = ("blocking", "prepared", "dbapi", "asyncio", "asyncio-prepared")
WORKLOADS = ("write", "read", "mixed")
SCRIPT = Path(__file__).with_name("dqlite_workers.py")


def free_address() -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def node(directory: Path) -> Iterator[str]:
    """The leader, until the end; gives its address."""
    address = free_address()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "dqlite.node", "--id", "1", "--address", address),
            *("--data-dir", str(directory / "node"), "--network-latency-ms", "20"),
        ],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def measure(command: Sequence[str], path: str | None, given: Sequence[str]) -> dict[str, Any]:
    """One turn of `dqlite_workers.py` in this or another Python."""
    environment = {**os.environ, **({"PYTHONPATH": path} if path else {})}
    done = subprocess.run(
        [*command, *given], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{shlex.join([*command, *given])}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure_go(
    program: str, leader: str, workload: str, workers: int, seconds: int
) -> dict[str, Any]:
    """One turn of Go's driver."""
    done = subprocess.run(
        [program, leader, str(workers), workload, str(seconds)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{program}: {(done.stderr or done.stdout)[-2000:]}")
    tallies = {"write": Tally(), "read": Tally()}
    cpu_s = 0.0
    for line in done.stdout.splitlines():
        kind, time_ms = line.split()
        if kind == "cpu":
            cpu_s = float(time_ms)
        elif time_ms == "error":
            tallies[kind].errors += 1
        else:
            tallies[kind].times_ms.append(float(time_ms))
    return summary(iter([tallies]), seconds, cpu_s)


def rounds(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield one row for each contestant, workload, number of workers and round."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.dir)))
        tool = None
        if given.go_benchmark:
            leader = free_address()
            tool = stack.enter_context(Tool(given.go_benchmark, directory, leader))
        else:
            leader = stack.enter_context(node(directory))
        for round_ in range(given.rounds):
            for workload in given.workloads.split(","):
                for workers in map(int, given.workers.split(",")):
                    for contestant, found in turns(given, leader, tool, workload, workers):
                        for kind, numbers in found.items():
                            yield {
                                "round": round_,
                                "contestant": contestant,
                                "workload": workload,
                                "workers": workers,
                                "kind": kind,
                                **numbers,
                            }


def turns(
    given: argparse.Namespace, leader: str, tool: Tool | None, workload: str, workers: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """All contestants, one after the other."""
    options = ["--workload", workload, "--workers", str(workers), "--seconds", str(given.seconds)]
    for contestant in OURS:
        yield (
            contestant,
            measure([sys.executable, str(SCRIPT)], None, [contestant, leader, *options]),
        )
    if given.go:
        yield "go", measure_go(given.go, leader, workload, workers, given.seconds)
    if tool is not None:
        yield "dqlite-benchmark", tool.turn(workload, workers, given.seconds)
    if given.peer:
        for contestant in ("dqliteclient", *OURS):
            yield (
                f"peer {contestant}",
                measure(
                    shlex.split(given.peer),
                    given.peer_path,
                    [given.peer_script or str(SCRIPT), contestant, leader, *options],
                ),
            )


def table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The best of the rounds, and its ratios to the best of Go."""
    yield (
        "| workload | workers | kind | contestant | per s | p50 ms | p99 ms | refused | CPU µs"
        " | p50 / Go | per s / Go |"
    )
    yield "|---|--:|---|---|--:|--:|--:|--:|--:|--:|--:|"
    keys = dict.fromkeys(
        (row["workload"], row["workers"], row["kind"], row["contestant"]) for row in rows
    )
    for key in sorted(keys, key=lambda key: (WORKLOADS.index(key[0]), key[1], key[2] != "write")):
        workload, workers, kind, contestant = key
        mine = select(rows, workload, workers, kind, contestant)
        go = select(rows, workload, workers, kind, "go") or select(
            rows, workload, workers, kind, "dqlite-benchmark"
        )
        best = best_of(mine.values())
        cpu_us = [row["cpu_us"] for row in mine.values() if row["cpu_us"] is not None]
        goal = best_of(go.values()) if go else None
        yield (
            f"| {workload} | {workers} | {kind} | {contestant} | {best['per_s']:.0f} |"
            f" {best['p50_ms']:.3f} | {best['p99_ms']:.3f} | {best['errors']:.0f} |"
            f" {f'{min(cpu_us):.0f}' if cpu_us else ''} |"
            f" {ratio(best, goal, 'p50_ms')} | {ratio(best, goal, 'per_s')} |"
        )


def best_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The least time and the most operations of any round."""
    found = list(rows)
    least = {name: min(row[name] for row in found) for name in ("p50_ms", "p99_ms", "errors")}
    return {**least, "per_s": max(row["per_s"] for row in found)}


def ratio(best: Mapping[str, float], goal: Mapping[str, float] | None, name: str) -> str:
    return f"{best[name] / goal[name]:.2f}" if goal else ""


def select(
    rows: Sequence[Mapping[str, Any]], workload: str, workers: int, kind: str, contestant: str
) -> dict[Any, Mapping[str, Any]]:
    """Rows by their round."""
    wanted = (workload, workers, kind, contestant)
    return {
        row["round"]: row
        for row in rows
        if (row["workload"], row["workers"], row["kind"], row["contestant"]) == wanted
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="which, with commas")
    parser.add_argument("--workers", default="1,16", help="how many, with commas")
    parser.add_argument("--dir", help="where the nodes keep their data; default: a temporary one")
    parser.add_argument("--go", help="the program that is built in benchmarks/go-dqlite")
    parser.add_argument("--go-benchmark", help="Go's dqlite-benchmark, whose node all work on then")
    parser.add_argument("--merge", nargs="+", help="make the table of these files, and run nothing")
    parser.add_argument("--peer", help="a command that starts Python 3.13 with dqlite-client")
    parser.add_argument("--peer-path", help="its PYTHONPATH, with dqlite and dqlite-client")
    parser.add_argument("--peer-script", help="where it finds dqlite_workers.py, if elsewhere")
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    for name in given.merge or ():
        for row in map(json.loads, Path(name).read_text().splitlines()):
            found.append({**row, "round": f"{name} {row['round']}"})
    for row in () if given.merge else rounds(given):
        found.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
