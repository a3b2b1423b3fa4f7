"""
What unknown outcomes cost a checker, and what they hide from it; with tokens and without.

Each seed runs twice on three real nodes, under faults that lose many answers: with plain commits,
and with tokens (`--commits`). Registers have few values, as in Jepsen's workload, and each group of
clients keeps its register for the whole run, so unknown outcomes gather on it. Every history is
judged by dissever, by the plain search (Wing and Gong, with Lowe's cache) and by Porcupine.

Then one read at a time gets a wrong answer: another value of the domain. A checker has to find each
of them impossible, unless a write of unknown outcome may explain it. How many are found is what a
history is worth; the same number of reads is tried in both.

    .venv/bin/python benchmarks/dqlite_unknowns.py --seeds 4 --runs /tmp/unknowns
    .venv/bin/python benchmarks/dqlite_unknowns.py --workload append --seeds 2

Histories that stand in --runs already are not made again. Needs what real nodes need; without Go,
Porcupine is left out. The two runs of a seed have one plan, but are two executions; so the one with
tokens is also judged with as many outcomes hidden, at random, as were unknown without tokens.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from contestants import Porcupine
from programs import Missing

import dissever.workloads.register as register
from dissever.api import run
from dissever.checkers.linearizability import Linearizable
from dissever.checkers.linearizability.models import CAS_REGISTER
from dissever.harness.reader import read_history
from dissever.harness.results import Budget, Verdict
from dissever.judging import judge
from dissever.native import Engine

NODES = 3
COMMITS = ("plain", "tokens")
HIDDEN = "hidden"
"""The run with tokens, once more: as many outcomes are unknown as with plain commits, at random."""

PORCUPINE_S = 10
"""For one history: what takes longer is counted with this time."""

Events = list[dict[str, Any]]


@dataclass
class Sum:
    """What one checker needed for some histories."""

    histories: int = 0
    invalid: int = 0
    unknown: int = 0
    configurations: int = 0
    seconds: float = 0.0
    worst: float = 0.0
    """In seconds."""

    def add(self, verdict: str, seconds: float, configurations: int) -> None:
        self.histories += 1
        self.invalid += verdict == "invalid"
        self.unknown += verdict == "unknown"
        self.configurations += configurations
        self.seconds += seconds
        self.worst = max(self.worst, seconds)


@dataclass
class Totals:
    """Of all seeds with one way of commits."""

    events: Counter[str] = field(default_factory=Counter)
    whole: dict[str, Sum] = field(default_factory=dict)
    planted: dict[str, Sum] = field(default_factory=dict)


def history_of(arguments: argparse.Namespace, seed: int, commits: str) -> Path:
    """The directory of a run, which is made unless there is one."""
    place: Path = arguments.runs / f"{arguments.workload}-{commits}-{seed}"
    link = place / "done"
    if not link.exists():
        done = run(
            system="dqlite",
            workload=arguments.workload,
            backend="namespaces",
            faults=arguments.faults,
            nodes=NODES,
            seed=seed,
            rate=arguments.rate,
            concurrency=arguments.concurrency,
            fault_interval=arguments.fault_interval,
            operation_limit=arguments.operation_limit,
            time_limit=arguments.time_limit,
            system_options={"commits": commits},
            workload_options={"values": arguments.values}
            if arguments.workload == "register"
            else {},
            runs=place,
        )
        link.symlink_to(done.directory.resolve())
    return link.resolve()


def client_events(directory: Path) -> Events:
    """Those of clients, in order."""
    lines = (directory / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if isinstance(event["process"], int)]


def happened(events: Events) -> Events:
    """Without the operations that failed: they never happened."""
    failed: set[int] = set()
    called: dict[int, int] = {}
    for event in events:
        if event["type"] == "invoke":
            called[event["process"]] = event["index"]
        elif event["type"] == "fail":
            failed |= {called[event["process"]], event["index"]}
    return [event for event in events if event["index"] not in failed]


def hidden(events: Events, count: int, rng: Random) -> Events:
    """The same history, where the outcomes of some changes are not known."""
    changes = [event for event in events if event["type"] == "ok" and event["f"] != "read"]
    chosen = {event["index"] for event in rng.sample(changes, min(count, len(changes)))}
    return [{**event, "type": "info"} if event["index"] in chosen else event for event in events]


def with_wrong_reads(events: Events, values: int, count: int, rng: Random) -> Iterator[Events]:
    """The history of one register for each of some reads, with another answer in its place."""
    reads = [
        number
        for number, event in enumerate(events)
        if event["type"] == "ok" and event["f"] == "read" and "value" in event
    ]
    for number in rng.sample(reads, min(count, len(reads))):
        read = events[number]
        wrong = rng.choice([value for value in range(values) if value != read["value"]])
        planted = {**read, "value": wrong}
        yield [
            planted if event is read else event for event in events if event["key"] == read["key"]
        ]


class Judges:
    """Judge histories of registers, each in its own way."""

    def __init__(self, folder: Path, configurations: int) -> None:
        self._file = folder / "history.jsonl"
        self._budget = Budget(configurations=configurations)
        self._porcupine: Porcupine | None = None
        try:
            self._porcupine = Porcupine(folder)
        except Missing as missing:
            print(f"without Porcupine: {missing}", file=sys.stderr)

    def judge(self, events: Events, sums: dict[str, Sum]) -> None:
        """Add to `sums` what each of them needs."""
        lines = (json.dumps(event, separators=(",", ":")) for event in events)
        self._file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        history = read_history(self._file).history
        for name, engine in (("dissever", Engine.SCHEDULE), ("plain search", Engine.WGL)):
            began = time.process_time()
            result = Linearizable(CAS_REGISTER, engine=engine)(history, self._budget)
            seconds = time.process_time() - began
            configurations = result.details["configurations"]
            sums.setdefault(name, Sum()).add(result.verdict.word, seconds, configurations)
        if self._porcupine is not None:
            found = self._porcupine_says()
            sums.setdefault("Porcupine", Sum()).add(found["verdict"], found["engine_s"], 0)

    def _porcupine_says(self) -> Any:
        assert self._porcupine is not None
        words = [str(self._porcupine.program), "register", str(PORCUPINE_S), "1", str(self._file)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)


def show(title: str, totals: dict[str, Totals], part: str) -> None:
    """Print a table: one row for each way of commits and checker."""
    print(f"\n{title}")
    print("commits  checker        histories  invalid  unknown  configurations   seconds     worst")
    for commits, total in totals.items():
        for name, each in getattr(total, part).items():
            configurations = f"{each.configurations:,}" if name != "Porcupine" else ""
            print(
                f"{commits:7}  {name:13}  {each.histories:9}  {each.invalid:7}  {each.unknown:7}"
                f"  {configurations:>14}  {each.seconds:8.2f}  {each.worst:8.3f}"
            )


def registers(arguments: argparse.Namespace, totals: dict[str, Totals]) -> None:
    """Judge whole histories, and those with one wrong read each."""
    with tempfile.TemporaryDirectory() as folder:
        judges = Judges(Path(folder), arguments.configurations)
        for seed in range(1, arguments.seeds + 1):
            runs = {
                commits: client_events(history_of(arguments, seed, commits)) for commits in COMMITS
            }
            unknown = [sum(each["type"] == "info" for each in runs[name]) for name in COMMITS]
            lost = max(0, unknown[0] - unknown[1])
            runs[HIDDEN] = hidden(runs["tokens"], lost, Random(f"{seed} hidden"))
            for name, events in runs.items():
                total, kept = totals[name], happened(events)
                total.events.update(event["type"] for event in events)
                judges.judge(kept, total.whole)
                rng = Random(f"{seed} {'plain' if name == 'plain' else 'tokens'}")
                for planted in with_wrong_reads(kept, arguments.values, arguments.wrong, rng):
                    judges.judge(planted, total.planted)
    show("Histories as they are", totals, "whole")
    show("With one wrong read each", totals, "planted")


def others(arguments: argparse.Namespace, totals: dict[str, Totals]) -> None:
    """Judge runs of another workload by all checkers of theirs."""
    for seed, commits in both(arguments):
        directory = history_of(arguments, seed, commits)
        total = totals[commits]
        total.events.update(event["type"] for event in client_events(directory))
        began = time.process_time()
        results = judge(directory).results
        seconds = time.process_time() - began
        assert isinstance(results.verdict, Verdict)
        total.whole.setdefault("dissever", Sum()).add(results.verdict.word, seconds, 0)
    show("Histories as they are", totals, "whole")


def both(arguments: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """Each seed with plain commits, then with tokens."""
    return ((seed, commits) for seed in range(1, arguments.seeds + 1) for commits in COMMITS)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--workload", default="register", choices=["register", "set", "append"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--faults", default="pause:leader,client-cut,kill:leader,partition:leader")
    parser.add_argument("--values", type=int, default=5)
    parser.add_argument("--wrong", type=int, default=50, help="reads of each history")
    parser.add_argument("--time-limit", type=float, default=40.0)
    parser.add_argument("--concurrency", type=int, default=24)
    parser.add_argument("--rate", type=float, default=600.0)
    parser.add_argument("--fault-interval", type=float, default=2.0)
    parser.add_argument("--operation-limit", type=float, default=6.0)
    parser.add_argument("--configurations", type=int, default=2_000_000, help="of one judgement")
    parser.add_argument("--runs", type=Path, help="where histories are kept")
    arguments = parser.parse_args(words)
    register.OPERATIONS_PER_KEY = 1_000_000_000
    names = (*COMMITS, HIDDEN) if arguments.workload == "register" else COMMITS
    totals = {name: Totals() for name in names}
    with ExitStack() as undo:
        if arguments.runs is None:
            arguments.runs = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        arguments.runs.mkdir(parents=True, exist_ok=True)
        (registers if arguments.workload == "register" else others)(arguments, totals)
    for commits, total in totals.items():
        print(f"{commits}: {dict(total.events)}")


if __name__ == "__main__":
    main()
