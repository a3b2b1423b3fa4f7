"""
The two that are compared, and the histories that they are given.

Dissever is timed in this process: `engine_s` is the time inside C, or for what is no register of
the whole checker in Python. Porcupine is a Go program around its module (`porcupine/main.go`), in a
process of its own with a limit of memory.
"""

from __future__ import annotations

import gc
import json
import math
import resource
import shutil
import subprocess
import time
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Final

from programs import HERE, Missing, compiled

from dissever.checkers.linearizability import Linearizable, Model, model_named
from dissever.harness.reader import read_history
from dissever.harness.results import Budget
from dissever.native import registers as native_keys
from dissever.native.columns import Columns
from dissever.native.load import load
from dissever.native.registers import KeyOutcomes, KeyVerdict

MODULE: Final = "github.com/anishathalye/porcupine"
LIMIT_S: Final = 30
GO_BYTES_MAX: Final = 8 << 30
SHORT_S: Final = 0.5
REPEATS: Final = 7
GENERATE_LIMIT_S: Final = 600


@dataclass(frozen=True)
class Shape:
    """
    What `histories.c` draws, in the order of its arguments.

    `crashed` and `corrupted` are of 1000; keys 0: one object; values 0: each is unique.
    """

    operations: int
    keys: int = 0
    clients: int = 10
    values: int = 5
    crashed: int = 0
    corrupted: int = 0
    cas: bool = True
    seed: int = 1


@dataclass(frozen=True)
class Case:
    """One history for both. `porcupine` is the model of main.go; None: too large for it."""

    name: str
    path: Path
    model: str
    porcupine: str | None
    expected: str | None = None
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True)
class Measured:
    """What one side did with one history."""

    verdict: str
    engine_s: float
    text_s: float
    operations: int = 0
    why: str = ""
    configurations: int = 0
    peak_bytes: int = 0


def dissever(case: Case) -> Measured:
    """Judge a file with ours; the least of several runs."""
    model = model_named(case.model)
    once = _by_keys if model.family.judge_keys else _whole
    gc.collect()  # Once: to walk all objects before each run would clear the caches for it.
    runs = [once(case, model)]
    while runs[0][2] <= SHORT_S and len(runs) < REPEATS:
        runs.append(once(case, model))
    engine_s, text_s = min(run[1] for run in runs), min(run[2] for run in runs)
    if model.family.judge_keys and text_s <= SHORT_S:
        engine_s = min(engine_s, _again(case, model))
    verdict = runs[0][0]
    result = Linearizable(model)(read_history(case.path).history, case.budget)
    if verdict != result.verdict.word:
        raise AssertionError(f"{case.name}: {verdict}, but {result.verdict.word} in the report")
    why = "" if verdict == "valid" else result.why
    of = result.details
    return Measured(
        verdict, engine_s, text_s, of["operations"], why, of["configurations"], of["peak_bytes"]
    )


def _by_keys(case: Case, model: Model) -> tuple[str, float, float]:
    """The verdict, the seconds in C, and those from the text to the verdict of each key."""
    began = time.perf_counter()
    columns = load(case.path.read_bytes()).columns
    with _Clock() as clock:
        findings = _find(columns, model, case.budget)
    text_s = time.perf_counter() - began
    is_valid = findings.count(KeyVerdict.VALID) == len(findings)
    is_invalid = findings.count(KeyVerdict.INVALID) > 0
    verdict = "invalid" if is_invalid else "valid" if is_valid else "unknown"
    return verdict, clock.elapsed_s, text_s


def _again(case: Case, model: Model) -> float:
    """The check alone, over and over on what was read once, as Porcupine is timed too."""
    columns = load(case.path.read_bytes()).columns
    least = math.inf
    for _ in range(REPEATS):
        with _Clock() as clock:
            _find(columns, model, case.budget)
        least = min(least, clock.elapsed_s)
    return least


def _find(columns: Columns, model: Model, budget: Budget) -> KeyOutcomes:
    assert model.family.judge_keys is not None
    return model.family.judge_keys(columns, model, budget, None)


def _whole(case: Case, model: Model) -> tuple[str, float, float]:
    """Models that C does not judge whole: all from Python, objects and explanation included."""
    began = time.perf_counter()
    history = read_history(case.path).history
    ready = time.perf_counter()
    result = Linearizable(model)(history, case.budget)
    ended = time.perf_counter()
    return result.verdict.word, ended - ready, ended - began


class _Clock:
    """Measures the time inside the calls of C alone, by standing between."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self._module: Any = native_keys
        self._lib = self._module.lib

    def __enter__(self) -> _Clock:
        self._module.lib = self
        return self

    def __exit__(self, *_: object) -> None:
        self._module.lib = self._lib

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._lib, name)
        if not name.startswith("keys_"):
            return found

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            answer = found(*arguments)
            self.elapsed_s += time.perf_counter() - began
            return answer

        return timed


class Porcupine:
    """The Go program, built once."""

    def __init__(self, folder: Path) -> None:
        go = shutil.which("go")
        if go is None:
            raise Missing("go is not on the path")
        self.program = folder / "porcupine"
        self._go(go, "build", "-o", str(self.program), ".")
        self.data = Path(self._go(go, "list", "-m", "-f", "{{.Dir}}", MODULE).strip()) / "test_data"

    def _go(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=HERE / "porcupine", capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise Missing(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def __call__(self, model: str, path: Path) -> Measured:
        """Judge a file; it is given up when the memory does not suffice."""
        done = subprocess.run(
            [str(self.program), model, str(LIMIT_S), str(REPEATS), str(path)],
            capture_output=True,
            text=True,
            preexec_fn=_limit_memory,
            check=False,
        )
        if done.returncode == 0:
            return Measured(**json.loads(done.stdout))
        if "out of memory" not in done.stderr and "cannot allocate" not in done.stderr:
            raise Missing(f"porcupine: {done.stderr.strip()[:300]}")
        return Measured("unknown", LIMIT_S, LIMIT_S, why="out of memory")


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (GO_BYTES_MAX, GO_BYTES_MAX))


class Histories:
    """The generator, compiled once, and the histories it wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = compiled("histories", folder)

    def __call__(self, name: str, shape: Shape) -> Path:
        """The file of a history."""
        path = self.folder / f"{name}.jsonl"
        numbers = map(int, astuple(shape))
        command = [str(self.program), *map(str, numbers), str(path)]
        subprocess.run(command, check=True, timeout=GENERATE_LIMIT_S)
        return path
