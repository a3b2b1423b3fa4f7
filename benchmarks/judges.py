"""
The two that judge one file of transactions, each in a process of its own, so that peaks compare.

    python benchmarks/judges.py append|wr MODEL FILE     # ours; prints one JSON object

Ours goes the way of `dissever check`: read, engine, replay of the serial order, words. `engine` is
the time inside the engine in C. adya is the crate, with a program of ours around it
(`adya/src/main.rs`): its `engine` is its check without reading. Processor seconds are those that
compare on a machine with other work.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from programs import HERE, Missing

ADYA_LIMIT_S: Final = 600
ADYA_BYTES_MAX: Final = 14 << 30
SHORT_S: Final = 3.0
REPEATS: Final = 5
KIB: Final = 1024

WORKLOADS: Final = {"append": "list-append", "wr": "rw-register"}
"""What adya calls our rules."""

WEAK: Final = ("read-committed", "read-atomic", "causal")
"""Models that the engine of weak levels decides here, whatever else a checker asks."""


@dataclass(frozen=True)
class Judged:
    """What one of them did with one file; seconds, and seconds of the processor."""

    verdict: str
    engine_s: float
    total_s: float
    engine_cpu_s: float
    total_cpu_s: float
    peak_bytes: int
    anomalies: Sequence[str] = ()
    details: dict[str, Any] = field(default_factory=dict)


def dissever(rules: str, model: str, path: Path) -> Judged:
    """Ours in a process of its own; of several runs the one that took least."""
    command = [sys.executable, str(HERE / "judges.py"), rules, model, str(path)]
    runs = [_run(command)]
    while runs[0].total_s <= SHORT_S and len(runs) < REPEATS:
        runs.append(_run(command))
    return min(runs, key=lambda run: run.total_cpu_s)


class Adya:
    """The Rust program, built once in a folder, with the crate fetched by cargo."""

    def __init__(self, folder: Path) -> None:
        cargo = shutil.which("cargo")
        if cargo is None:
            raise Missing("cargo is not on the path")
        project = shutil.copytree(HERE / "adya", folder / "adya")
        done = subprocess.run(
            [cargo, "build", "--quiet", "--release"],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Missing(f"cargo build: {done.stderr.strip()[-300:]}")
        self.program = project / "target" / "release" / "adya-benchmark"

    def __call__(self, rules: str, model: str, path: Path) -> Judged | None:
        """Judge a file; None where it takes too long or too much memory."""
        command = [str(self.program), WORKLOADS[rules], model, str(path)]
        try:
            runs = [_run(command, ADYA_LIMIT_S, ADYA_BYTES_MAX)]
            while runs[0].total_s <= SHORT_S and len(runs) < REPEATS:
                runs.append(_run(command, ADYA_LIMIT_S, ADYA_BYTES_MAX))
        except (subprocess.TimeoutExpired, MemoryError):
            return None
        return min(runs, key=lambda run: run.total_cpu_s)


def _run(command: Sequence[str], limit_s: float | None = None, bytes_max: int = 0) -> Judged:
    def limit() -> None:
        if bytes_max:
            resource.setrlimit(resource.RLIMIT_AS, (bytes_max, bytes_max))

    done = subprocess.run(
        command, capture_output=True, text=True, timeout=limit_s, check=False, preexec_fn=limit
    )
    if done.returncode == 0:
        return Judged(**json.loads(done.stdout))
    if bytes_max and (done.returncode < 0 or "memory allocation" in done.stderr):
        raise MemoryError(command[0])
    raise Missing(f"{' '.join(command[:3])}: {done.stderr.strip()[-300:]}")


class _Clock:
    """Measures the time inside some functions of C, by standing between them and a module."""

    def __init__(self, module: Any, *functions: str) -> None:
        self.elapsed_s = self.elapsed_cpu_s = 0.0
        self._lib = module.lib
        self._functions = functions
        module.lib = self

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._lib, name)
        if name not in self._functions:
            return found

        def timed(*arguments: Any) -> Any:
            began, began_cpu = time.perf_counter(), time.process_time()
            answer = found(*arguments)
            self.elapsed_s += time.perf_counter() - began
            self.elapsed_cpu_s += time.process_time() - began_cpu
            return answer

        return timed


def judge(rules: str, model: str, path: Path) -> Judged:
    """Judge a file in this process."""
    # Imported here: the process that compares has no use for it, and its peak would count it.
    from dissever.checkers.transactions import Transactions
    from dissever.harness.reader import read_history
    from dissever.harness.results import Budget
    from dissever.native import transactions, weak

    strong = _Clock(transactions, "transactions_judge")
    levels = _Clock(weak, "weak_judge")
    began, began_cpu = time.perf_counter(), time.process_time()
    history = read_history(path).history
    details: dict[str, Any]
    if model in WEAK:
        level = weak.Level[model.upper().replace("-", "_")]
        outcome = weak.judge_level(history.micro, level)
        verdict, anomalies = outcome.verdict.name.lower(), [e.wrong.name for e in outcome.errors]
        details = {"transactions": outcome.transactions, "edges": outcome.edges}
    else:
        assert rules in ("append", "wr")
        checker = Transactions("append" if rules == "append" else "wr", model)
        result = checker(history, Budget())
        verdict = result.verdict.word
        anomalies = sorted({anomaly.name for anomaly in result.anomalies})
        details = {"why": result.why, "transactions": result.details.get("transactions")}
    return Judged(
        verdict,
        strong.elapsed_s + levels.elapsed_s,
        time.perf_counter() - began,
        strong.elapsed_cpu_s + levels.elapsed_cpu_s,
        time.process_time() - began_cpu,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB,
        anomalies,
        details,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(judge(sys.argv[1], sys.argv[2], Path(sys.argv[3])))))
