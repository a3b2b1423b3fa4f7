"""
Dissever and Porcupine on the same histories: seconds of both, and whether they agree.

    python benchmarks/linearizability.py [--only etcd,kv,…] [--json FILE] [--operations-max N]

Porcupine is fetched as the Go module it is; its test data hold the etcd logs and the texts of the
key-value store. The program around it is ours (`porcupine/main.go`), with a model that hashes its
states, which Porcupine's own etcd test does not. What is not from there is drawn by `histories.c`
from a fixed seed and written twice, as our JSON lines and as a plain text for Go. Each history has
30 s and 8 GB in Porcupine; one it gives up counts as 30 s, so that the ratio is a lower bound.
Both may use all cores. Times are the least of several runs where a run is short.

`engine` is the time inside C, or for what is no register of the whole checker in Python; `text`
is from the file to the verdict of each key, `report` to the explanation of what failed. The ratio
is Porcupine's check against `engine`. The exponent is the slope of log seconds over log operations,
over three decades of sizes.

Exit status: 0 done, 1 the two contradict each other, or a published verdict. What cannot run here
(no Go, no compiler, no network) is left out, with the reason.

Known gap: one run on a machine with other work is no measurement; compare ratios, not seconds.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dissever.checkers import Linearizable
from dissever.checkers.fast import JUDGED
from dissever.checkers.from_columns import judge_columns
from dissever.checkers.models import MODELS, Family, Model
from dissever.harness.formats import read_history
from dissever.harness.results import Budget
from dissever.native import keys as native_keys
from dissever.native.columns import Columns
from dissever.native.keys import Decision, Findings, judge_keys
from dissever.native.load import load
from dissever.native.texts import judge_texts

HERE = Path(__file__).resolve().parent
MODULE = "github.com/anishathalye/porcupine"
LIMIT_S = 30
GO_BYTES_MAX = 8 << 30
BUDGET = Budget()
SHORT_S = 0.5
REPEATS = 7
GENERATE_LIMIT_S = 600


@dataclass(frozen=True)
class Shape:
    """What `histories.c` draws. `crashed` and `corrupted` are of 1000; keys 0: one object."""

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
    plain: Path
    expected: str | None = None


@dataclass
class Measured:
    """What one side did with one history."""

    verdict: str
    engine_s: float
    text_s: float
    report_s: float = 0.0
    operations: int = 0
    why: str = ""
    configurations: int = 0
    peak_bytes: int = 0


@dataclass
class Sums:
    """The rows of a family, and the sums."""

    name: str
    cases: int = 0
    operations: int = 0
    engine_s: float = 0.0
    text_s: float = 0.0
    report_s: float = 0.0
    verdicts: dict[str, int] = field(default_factory=dict)
    porcupine_s: float | None = None
    porcupine_text_s: float | None = None
    porcupine_verdicts: dict[str, int] = field(default_factory=dict)
    porcupine_cases: int = 0
    compared_engine_s: float = 0.0
    ratio: float | None = None
    is_ratio_a_lower_bound: bool = False
    contradictions: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    exponents: dict[str, float] = field(default_factory=dict)


class Missing(Exception):
    """Something that this machine lacks."""


def dissever(case: Case) -> Measured:
    """Judge a file with ours; the least of several runs."""
    best: Measured | None = None
    for _ in range(REPEATS):
        gc.collect()
        now = _once(case, MODELS[case.model])
        if best is None:
            best = now
        best.engine_s = min(best.engine_s, now.engine_s)
        best.text_s = min(best.text_s, now.text_s)
        best.report_s = min(best.report_s, now.report_s)
        if now.text_s > SHORT_S:
            break
    assert best is not None
    return best


def _once(case: Case, model: Model) -> Measured:
    if model.family not in JUDGED:
        return _once_at_length(case, model)
    began = time.perf_counter()
    columns = load(case.path.read_bytes()).columns
    with _Clock() as clock:
        findings = _find(columns, model)
    text_s = time.perf_counter() - began
    began = time.perf_counter()
    result = judge_columns(columns, model, BUDGET)
    report_s = text_s + time.perf_counter() - began
    n_invalid = findings.count(Decision.INVALID)
    is_valid = findings.count(Decision.VALID) == len(findings)
    verdict = "invalid" if n_invalid else "valid" if is_valid else "unknown"
    if verdict != result.verdict.word:
        raise AssertionError(f"{case.name}: {verdict} in C, {result.verdict.word} in the report")
    return Measured(
        verdict,
        clock.elapsed_s,
        text_s,
        report_s,
        len(columns),
        "" if is_valid else result.why,
        result.details["configurations"],
        result.details["peak_bytes"],
    )


def _find(columns: Columns, model: Model) -> Findings:
    configurations, size = BUDGET.configurations, BUDGET.memory_bytes
    if model.family is Family.TEXT:
        return judge_texts(columns, initial="", configurations_max=configurations, bytes_max=size)
    return judge_keys(
        columns, initial=0, has_cas=True, configurations_max=configurations, bytes_max=size
    )


def _once_at_length(case: Case, model: Model) -> Measured:
    """Models that C does not judge whole: all from Python, objects and explanation included."""
    began = time.perf_counter()
    history = read_history(case.path).history
    ready = time.perf_counter()
    result = Linearizable(model)(history, BUDGET)
    ended = time.perf_counter()
    details = result.details
    return Measured(
        result.verdict.word,
        ended - ready,
        ended - began,
        ended - began,
        details["operations"],
        "" if result.verdict.word == "valid" else result.why,
        details["configurations"],
        details["peak_bytes"],
    )


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

    def __call__(self, model: str, paths: Sequence[Path]) -> list[Measured]:
        """Judge files of one model; a process that dies gives up the file it was at."""
        command = [str(self.program), model, str(LIMIT_S), str(REPEATS), *map(str, paths)]
        done = subprocess.run(
            command, capture_output=True, text=True, preexec_fn=_limit_memory, check=False
        )
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        found = [
            Measured(row["verdict"], row["seconds"], row["text_s"], operations=row["operations"])
            for row in rows
        ]
        if done.returncode != 0:
            if "out of memory" not in done.stderr and "cannot allocate" not in done.stderr:
                raise Missing(f"porcupine: {done.stderr.strip()[:300]}")
            found.append(Measured("unknown", LIMIT_S, LIMIT_S, why="out of memory"))
        return found


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (GO_BYTES_MAX, GO_BYTES_MAX))


class Histories:
    """The generator, compiled once, and the histories it wrote."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise Missing("no C compiler")
        self.folder = folder
        self.program = folder / "histories"
        source = str(HERE / "histories.c")
        subprocess.run([compiler, "-O2", "-std=c11", source, "-o", self.program], check=True)

    def __call__(self, name: str, shape: Shape) -> tuple[Path, Path]:
        """Our file and that for Go."""
        lines, plain = self.folder / f"{name}.jsonl", self.folder / f"{name}.txt"
        numbers = (
            shape.operations, shape.keys, shape.clients, shape.values, shape.crashed,
            shape.corrupted, int(shape.cas), shape.seed,
        )  # fmt: skip
        command = [str(self.program), *map(str, numbers), str(lines), str(plain)]
        subprocess.run(command, check=True, timeout=GENERATE_LIMIT_S)
        return lines, plain


@dataclass(frozen=True)
class Tools:
    """What the families are made with; None is missing here."""

    porcupine: Porcupine | None
    histories: Histories | None
    operations_max: int


def etcd(tools: Tools) -> Iterator[Case]:
    """Porcupine's 102 logs of etcd; a failed cas is judged as its own tests do."""
    yield from _logs(tools, "etcd")


def etcd_drop(tools: Tools) -> Iterator[Case]:
    """The same logs, a failed cas asserting nothing for Porcupine either."""
    yield from _logs(tools, "etcd-drop")


def _logs(tools: Tools, model: str) -> Iterator[Case]:
    if tools.porcupine is None:
        raise Missing("the logs are in Porcupine's module")
    for path in sorted((tools.porcupine.data / "jepsen").glob("etcd_*.log")):
        if path.stat().st_size > 0:
            expected = "valid" if int(path.stem[-3:]) in ETCD_VALID else "invalid"
            yield Case(path.stem, path, "cas-register", model, path, expected)


ETCD_VALID = frozenset(
    (2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102)
)


def kv(tools: Tools) -> Iterator[Case]:
    """Porcupine's texts of a key-value store."""
    if tools.porcupine is None:
        raise Missing("the texts are in Porcupine's module")
    for path in sorted((tools.porcupine.data / "kv").glob("*.txt")):
        expected = "valid" if path.stem.endswith("ok") else "invalid"
        yield Case(path.stem, path, "kv", "kv", path, expected)


def _drawn(tools: Tools, shapes: dict[str, Shape], *, porcupine_max: int = 10**9) -> Iterator[Case]:
    if tools.histories is None:
        raise Missing("no C compiler for the generator")
    for name, shape in shapes.items():
        if shape.operations * max(1, shape.keys) > tools.operations_max:
            continue
        lines, plain = tools.histories(name, shape)
        is_for_both = shape.operations <= porcupine_max
        yield Case(name, lines, "cas-register", "register" if is_for_both else None, plain)
        lines.unlink()
        plain.unlink()


def crashes(tools: Tools) -> Iterator[Case]:
    """A cas-register of 5 values; of 1000 operations, 200 crash."""
    sizes = (100, 300, 1000, 3000, 10_000)
    return _drawn(tools, {f"crashes-{n}": Shape(n, crashed=200) for n in sizes})


def unique(tools: Tools) -> Iterator[Case]:
    """T4: a register whose values are unique; 10 % crash."""
    sizes = (10_000, 100_000, 1_000_000, 10_000_000)
    shapes = {f"unique-{n}": Shape(n, values=0, cas=False, crashed=100) for n in sizes}
    return _drawn(tools, shapes, porcupine_max=100_000)


def cas(tools: Tools) -> Iterator[Case]:
    """T5: one cas-register of 5 values, nothing crashed; then 1 M with 1, 5 and 10 % crashed."""
    shapes = {f"cas-{n}": Shape(n) for n in (1000, 10_000, 100_000, 1_000_000)}
    shapes |= {f"cas-1000000-{c}": Shape(1_000_000, crashed=c) for c in (10, 50, 100)}
    return _drawn(tools, shapes, porcupine_max=100_000)


def keys(tools: Tools) -> Iterator[Case]:
    """T6: 10,000 cas-registers of 100 operations each; 0, 5 and 10 % crash."""
    return _drawn(tools, {f"keys-{c}": Shape(100, keys=10_000, crashed=c) for c in (0, 50, 100)})


def corrupted(tools: Tools) -> Iterator[Case]:
    """T7: 5,000 keys of 100 operations, 3 % of the reads wrong, 10 % crashed."""
    return _drawn(tools, {"corrupted": Shape(100, keys=5000, crashed=100, corrupted=30)})


def hard(tools: Tools) -> Iterator[Case]:
    """T8: crashes and a few wrong reads, from seeds that cost the search the most of 25."""
    shapes = {
        "hard-750": Shape(750, crashed=100, corrupted=10, seed=9),
        "hard-750-wide": Shape(750, crashed=100, corrupted=10, seed=17),
        "hard-5000": Shape(5000, crashed=70, corrupted=2, seed=3),
        "hard-7500": Shape(7500, crashed=100, corrupted=2, seed=1),
    }
    return _drawn(tools, shapes)


FAMILIES: dict[str, Callable[[Tools], Iterator[Case]]] = {
    "etcd": etcd,
    "etcd-drop": etcd_drop,
    "kv": kv,
    "crashes": crashes,
    "unique": unique,
    "cas": cas,
    "keys": keys,
    "corrupted": corrupted,
    "hard": hard,
}


def measure(name: str, tools: Tools) -> Sums:
    """Both on every history of a family."""
    family = Sums(name)
    sizes: dict[int, Measured] = {}
    for case in FAMILIES[name](tools):
        ours = dissever(case)
        theirs = None
        if tools.porcupine is not None and case.porcupine is not None:
            theirs = tools.porcupine(case.porcupine, [case.plain])[0]
        _add(family, case, ours, theirs)
        sizes.setdefault(ours.operations, ours)
        if theirs is None or ours.operations > 2000 or ours.text_s > SHORT_S:
            print(f"  {case.name}: {_told(ours)}; porcupine {_told(theirs)}", file=sys.stderr)
    if family.porcupine_s is not None and family.compared_engine_s > 0:
        family.ratio = family.porcupine_s / family.compared_engine_s
    if name in ("unique", "cas", "crashes"):
        for of in ("engine_s", "text_s", "configurations", "peak_bytes"):
            slope = _exponent({n: getattr(each, of) for n, each in sizes.items()})
            if not math.isnan(slope):
                family.exponents[of] = slope
    return family


def _add(family: Sums, case: Case, ours: Measured, theirs: Measured | None) -> None:
    family.cases += 1
    family.operations += ours.operations
    family.engine_s += ours.engine_s
    family.text_s += ours.text_s
    family.report_s += ours.report_s
    family.verdicts[ours.verdict] = family.verdicts.get(ours.verdict, 0) + 1
    row: dict[str, Any] = {"name": case.name, "dissever": asdict(ours)}
    known = {case.expected, theirs.verdict if theirs else None} - {None, "unknown"}
    if ours.verdict != "unknown" and known - {ours.verdict}:
        family.contradictions.append(f"{case.name}: {ours.verdict}, elsewhere {known}")
    if theirs is not None:
        family.porcupine_cases += 1
        family.porcupine_s = (family.porcupine_s or 0.0) + theirs.engine_s
        family.porcupine_text_s = (family.porcupine_text_s or 0.0) + theirs.text_s
        family.compared_engine_s += ours.engine_s
        family.is_ratio_a_lower_bound |= theirs.verdict == "unknown"
        verdicts = family.porcupine_verdicts
        verdicts[theirs.verdict] = verdicts.get(theirs.verdict, 0) + 1
        row["porcupine"] = asdict(theirs)
        row["ratio"] = theirs.engine_s / ours.engine_s
    family.rows.append(row)


def _exponent(measured: dict[int, float]) -> float:
    """The slope of a straight line through the logarithms; not a number without two points."""
    points = [(math.log(n), math.log(s)) for n, s in measured.items() if s > 0]
    if len(points) < 2:
        return math.nan
    x, y = (sum(each) / len(points) for each in zip(*points, strict=True))
    slope: float = sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)
    return slope


def _told(measured: Measured | None) -> str:
    if measured is None:
        return "not asked"
    seconds = f"{_seconds(measured.engine_s)} (text {_seconds(measured.text_s)})"
    return f"{measured.verdict} in {seconds}{f', {measured.why}' if measured.why else ''}"


def _seconds(s: float) -> str:
    return f"{s:.2f} s" if s >= 1 else f"{s * 1e3:.2f} ms"


def _counts(verdicts: dict[str, int]) -> str:
    return "/".join(str(verdicts.get(word, 0)) for word in ("valid", "invalid", "unknown"))


HEAD = (
    *("family", "histories", "operations", "engine", "text", "report", "v/i/u"),
    *("porcupine", "v/i/u", "of", "ratio", "exponent"),
)


def table(families: Sequence[Sums]) -> str:
    """One line a family; `of` is how many histories Porcupine was asked."""
    rows = [HEAD]
    for each in families:
        bound = "≥ " if each.is_ratio_a_lower_bound else ""
        exponent = each.exponents.get("engine_s")
        rows.append(
            (
                each.name,
                str(each.cases),
                f"{each.operations:,}",
                _seconds(each.engine_s),
                _seconds(each.text_s),
                _seconds(each.report_s),
                _counts(each.verdicts),
                "-" if each.porcupine_s is None else bound + _seconds(each.porcupine_s),
                _counts(each.porcupine_verdicts),
                str(each.porcupine_cases),
                "-" if each.ratio is None else f"{bound}{each.ratio:,.1f}",
                "" if exponent is None else f"{exponent:.2f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def _tool(kind: Callable[[Path], Any], folder: Path) -> Any:
    try:
        return kind(folder)
    except Missing as missing:
        print(f"left out: {missing}", file=sys.stderr)
        return None


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="dissever and Porcupine on the same histories")
    parser.add_argument("--only", default=",".join(FAMILIES), metavar="NAME,…")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--operations-max", type=int, default=10_000_000, metavar="N")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if set(names) - set(FAMILIES):
        parser.error(f"expected some of {', '.join(FAMILIES)}, got {arguments.only}")
    families = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tools = Tools(_tool(Porcupine, folder), _tool(Histories, folder), arguments.operations_max)
        for name in names:
            try:
                families.append(measure(name, tools))
            except Missing as missing:
                print(f"{name} is left out: {missing}", file=sys.stderr)
    print(table(families))
    for family in families:
        slopes = [f"{of} {slope:.2f}" for of, slope in family.exponents.items()]
        if slopes:
            print(f"exponents of {family.name} in operations: {', '.join(slopes)}")
    for family in families:
        for line in family.contradictions:
            print(f"CONTRADICTION in {family.name}: {line}")
    if arguments.json:
        numbers = {family.name: asdict(family) for family in families}
        arguments.json.write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    return 1 if any(family.contradictions for family in families) else 0


if __name__ == "__main__":
    sys.exit(main())
