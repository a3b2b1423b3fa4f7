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
is Porcupine's check against `engine`, of the histories that both were given. The exponent is the
slope of log seconds over log operations, over three decades of sizes; `peak` is the most memory
that the engine held for a history.

`growth` is of every engine alone (`growth.py`): how its time and its memory grow.

In the file of --json each family has `seconds` of both on the histories that both were given,
their `ratio`, and every history in `rows`.

Exit status: 0 done, 1 the two contradict each other, or a published verdict. What cannot run here
(no Go, no compiler, no network) is left out, with the reason.

Known gap: one run on a machine with other work is no measurement; compare ratios, not seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import growth
from contestants import (
    SHORT_S,
    Case,
    Histories,
    Measured,
    Missing,
    Porcupine,
    Shape,
    dissever,
)

from dissever.harness.results import Budget


@dataclass
class Sums:
    """The rows of a family, and the sums."""

    name: str
    cases: int = 0
    operations: int = 0
    engine_s: float = 0.0
    text_s: float = 0.0
    report_s: float = 0.0
    peak_bytes: int = 0
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


HARD_BUDGET = Budget(configurations=2_000_000)


def hard(tools: Tools) -> Iterator[Case]:
    """
    T8: crashes and wrong reads, none valid; of 25 seeds those that cost the search the most.

    With 2 M configurations it takes about as long as Porcupine may; the last is past both.
    """
    shapes = {
        "hard-750": Shape(750, crashed=100, corrupted=10, seed=17),
        "hard-2000": Shape(2000, crashed=50, corrupted=10, seed=15),
        "hard-4000": Shape(4000, crashed=50, corrupted=40, seed=13),
        "hard-4000-wide": Shape(4000, crashed=50, corrupted=40, seed=7),
    }
    for case in _drawn(tools, shapes):
        yield replace(case, budget=HARD_BUDGET)


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
GROWTH = "growth"


def measure(name: str, tools: Tools) -> Sums:
    """Both on every history of a family."""
    family = Sums(name)
    sizes: dict[int, Measured] = {}
    for case in FAMILIES[name](tools):
        _tell(f"{name}: {case.name}")
        ours = dissever(case)
        theirs = None
        if tools.porcupine is not None and case.porcupine is not None:
            _tell(f"{name}: {case.name}: {_told(ours)}; Porcupine is at work")
            theirs = tools.porcupine(case.porcupine, [case.plain])[0]
        _add(family, case, ours, theirs)
        sizes.setdefault(ours.operations, ours)
        if theirs is None or ours.operations > 2000 or ours.text_s > SHORT_S:
            _keep(f"  {case.name}: {_told(ours)}; porcupine {_told(theirs)}")
    if family.porcupine_s is not None and family.compared_engine_s > 0:
        family.ratio = family.porcupine_s / family.compared_engine_s
    if name in ("unique", "cas", "crashes"):
        for of in ("engine_s", "text_s", "configurations", "peak_bytes"):
            slope = growth.exponent({n: getattr(each, of) for n, each in sizes.items()})
            if not math.isnan(slope):
                family.exponents[of] = slope
    return family


def _add(family: Sums, case: Case, ours: Measured, theirs: Measured | None) -> None:
    family.cases += 1
    family.operations += ours.operations
    family.engine_s += ours.engine_s
    family.text_s += ours.text_s
    family.report_s += ours.report_s
    family.peak_bytes = max(family.peak_bytes, ours.peak_bytes)
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
    *("family", "histories", "operations", "engine", "text", "report", "peak", "v/i/u"),
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
                f"{each.peak_bytes / 1e6:,.1f} MB",
                _counts(each.verdicts),
                "-" if each.porcupine_s is None else bound + _seconds(each.porcupine_s),
                _counts(each.porcupine_verdicts),
                str(each.porcupine_cases),
                "-" if each.ratio is None else f"{bound}{each.ratio:,.1f}",
                "" if exponent is None else f"{exponent:.2f}",
            )
        )
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
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


def _tell(line: str) -> None:
    """Show the task at hand in one line, which the next one replaces; on a terminal alone."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def _keep(line: str) -> None:
    _tell("")
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="dissever and Porcupine on the same histories")
    parser.add_argument("--only", default=",".join((*FAMILIES, GROWTH)), metavar="NAME,…")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--operations-max", type=int, default=10_000_000, metavar="N")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if set(names) - {*FAMILIES, GROWTH}:
        known = ", ".join((*FAMILIES, GROWTH))
        parser.error(f"expected some of {known}, got {arguments.only}")
    families = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tools = Tools(_tool(Porcupine, folder), _tool(Histories, folder), arguments.operations_max)
        for name in names:
            if name == GROWTH:
                continue
            try:
                families.append(measure(name, tools))
            except Missing as missing:
                _keep(f"{name} is left out: {missing}")
    grown = growth.measure(_tell, arguments.operations_max) if GROWTH in names else []
    _tell("")
    _print(families, grown)
    if arguments.json:
        numbers: dict[str, Any] = {family.name: _numbers(family) for family in families}
        if grown:
            numbers[GROWTH] = {"engines": [asdict(each) for each in grown]}
        arguments.json.write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    return 1 if any(family.contradictions for family in families) else 0


def _print(families: Sequence[Sums], grown: Sequence[growth.Grown]) -> None:
    if families:
        print(table(families))
    for family in families:
        slopes = [f"{of} {slope:.2f}" for of, slope in family.exponents.items()]
        if slopes:
            print(f"exponents of {family.name} in operations: {', '.join(slopes)}")
    for family in families:
        for line in family.contradictions:
            print(f"CONTRADICTION in {family.name}: {line}")
    if grown:
        print(_aligned(list(growth.lines(grown))))


def _numbers(family: Sums) -> dict[str, Any]:
    """What is written of a family."""
    seconds = {"dissever": family.compared_engine_s or None, "porcupine": family.porcupine_s}
    return {"seconds": seconds, "ratio": family.ratio, **asdict(family)}


if __name__ == "__main__":
    sys.exit(main())
