"""
Dissever and Porcupine on the same histories: seconds of both, and whether they agree.

    python benchmarks/linearizability.py [--only etcd,kv,…] [--json FILE] [--operations-max N]

Porcupine is fetched as the Go module it is; its test data hold the etcd logs and the texts of the
key-value store. The program around it is ours (`porcupine/main.go`), with a model that hashes its
states, which Porcupine's own etcd test does not. What is not from there is drawn by `histories.c`
from a fixed seed. Each history has 30 s and 8 GB in Porcupine; one it gives up counts as 30 s, so
that the ratio is a lower bound. Both may use all cores. Times are the least of several runs where a
run is short.

`engine` is the time inside C, or for what is no register of the whole checker in Python; `text`
is from the file to the verdict of each key. The ratio is Porcupine's check against `engine`, of the
histories that both were given. An exponent is the slope of log seconds over log operations, over
three decades of sizes; `peak` is the most memory that the engine held for a history.

`growth` is of every engine alone (`growth.py`): how its time and its memory grow.

In the file of --json each family has `seconds` of both on the histories that both were given,
their `ratio`, its `exponents`, and every history in `rows`.

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
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import growth
from contestants import (
    SHORT_S,
    Case,
    Histories,
    Measured,
    Porcupine,
    Shape,
    dissever,
)
from programs import Missing

from dissever.harness.results import Budget


@dataclass(frozen=True)
class Row:
    """What came of one history. `theirs` is None when Porcupine was not asked."""

    case: Case
    ours: Measured
    theirs: Measured | None

    @property
    def contradiction(self) -> str:
        """What is said elsewhere, if it is something else."""
        known = {self.case.expected, self.theirs and self.theirs.verdict} - {None, "unknown"}
        if self.ours.verdict == "unknown" or not known - {self.ours.verdict}:
            return ""
        return f"{self.case.name}: {self.ours.verdict}, elsewhere {known}"


@dataclass(frozen=True)
class Tools:
    """What the families are made with; None is missing here."""

    porcupine: Porcupine | None
    histories: Histories | None
    operations_max: int


def _published(tools: Tools, name: str) -> Iterator[Case]:
    """Porcupine's own histories, with the verdicts that it publishes."""
    if tools.porcupine is None:
        raise Missing("the histories are in Porcupine's module")
    if name == "kv":
        for path in sorted((tools.porcupine.data / "kv").glob("*.txt")):
            expected = "valid" if path.stem.endswith("ok") else "invalid"
            yield Case(path.stem, path, "kv", "kv", expected)
        return
    for path in sorted((tools.porcupine.data / "jepsen").glob("etcd_*.log")):
        if path.stat().st_size > 0:
            expected = "valid" if int(path.stem[-3:]) in ETCD_VALID else "invalid"
            yield Case(path.stem, path, "cas-register", name, expected)


ETCD_VALID = frozenset(
    (2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102)
)

PUBLISHED = ("etcd", "etcd-drop", "kv")
"""102 logs of etcd, where a failed cas is judged as Porcupine's own tests do; the same, where it
asserts nothing for Porcupine either; the texts of a key-value store."""

DRAWN = {
    # A cas-register of 5 values; of 1000 operations, 200 crash.
    "crashes": {f"crashes-{n}": Shape(n, crashed=200) for n in (100, 300, 1000, 3000, 10_000)},
    # T4: a register whose values are unique; 10 % crash.
    "unique": {
        f"unique-{n}": Shape(n, values=0, cas=False, crashed=100)
        for n in (10_000, 100_000, 1_000_000, 10_000_000)
    },
    # T5: one cas-register of 5 values, nothing crashed; then 1 M with 1, 5 and 10 % crashed.
    "cas": {
        **{f"cas-{n}": Shape(n) for n in (1000, 10_000, 100_000, 1_000_000)},
        **{f"cas-1000000-{c}": Shape(1_000_000, crashed=c) for c in (10, 50, 100)},
    },
    # T6: 10,000 cas-registers of 100 operations each; 0, 5 and 10 % crash.
    "keys": {f"keys-{c}": Shape(100, keys=10_000, crashed=c) for c in (0, 50, 100)},
    # T7: 5,000 keys of 100 operations, 3 % of the reads wrong, 10 % crashed.
    "corrupted": {"corrupted": Shape(100, keys=5000, crashed=100, corrupted=30)},
    # T8: crashes and wrong reads, none valid; of 25 seeds those that cost the search the most. With
    # its budget it takes about as long as Porcupine may; the last is past both.
    "hard": {
        "hard-750": Shape(750, crashed=100, corrupted=10, seed=17),
        "hard-2000": Shape(2000, crashed=50, corrupted=10, seed=15),
        "hard-4000": Shape(4000, crashed=50, corrupted=40, seed=13),
        "hard-4000-wide": Shape(4000, crashed=50, corrupted=40, seed=7),
    },
}
BUDGETS = {"hard": Budget(configurations=2_000_000)}
PORCUPINE_MAX = 100_000
"""Operations of one object; Porcupine gives up on fewer."""


def _drawn(tools: Tools, family: str) -> Iterator[Case]:
    if tools.histories is None:
        raise Missing("no C compiler for the generator")
    for name, shape in DRAWN[family].items():
        if shape.operations * max(1, shape.keys) > tools.operations_max:
            continue
        path = tools.histories(name, shape)
        porcupine = "register" if shape.operations <= PORCUPINE_MAX else None
        budget = BUDGETS.get(family, Budget())
        yield Case(name, path, "cas-register", porcupine, budget=budget)
        path.unlink()


FAMILIES = (*PUBLISHED, *DRAWN)
GROWTH = "growth"


def measure(name: str, tools: Tools) -> list[Row]:
    """Both on every history of a family."""
    rows = []
    for case in (_published if name in PUBLISHED else _drawn)(tools, name):
        _tell(f"{name}: {case.name}")
        ours = dissever(case)
        theirs = None
        if tools.porcupine is not None and case.porcupine is not None:
            _tell(f"{name}: {case.name}: {_told(ours)}; Porcupine is at work")
            theirs = tools.porcupine(case.porcupine, case.path)
        rows.append(Row(case, ours, theirs))
        if theirs is None or ours.operations > 2000 or ours.text_s > SHORT_S:
            _keep(f"  {case.name}: {_told(ours)}; porcupine {_told(theirs)}")
    return rows


def _compared_s(rows: Sequence[Row]) -> tuple[float, float] | None:
    """Seconds of both on the histories that both were given; None without any."""
    both = [(row.ours.engine_s, row.theirs.engine_s) for row in rows if row.theirs]
    return (sum(ours for ours, _ in both), sum(theirs for _, theirs in both)) if both else None


def _exponents(name: str, rows: Sequence[Row]) -> dict[str, float]:
    """Where a family has the same history in several sizes."""
    if name not in ("unique", "cas", "crashes"):
        return {}
    sizes = {row.ours.operations: row.ours for row in reversed(rows)}
    measures = ("engine_s", "text_s", "configurations", "peak_bytes")
    slopes = {
        of: growth.exponent({n: getattr(each, of) for n, each in sizes.items()}) for of in measures
    }
    return {of: slope for of, slope in slopes.items() if not math.isnan(slope)}


def _told(measured: Measured | None) -> str:
    if measured is None:
        return "not asked"
    seconds = f"{_seconds(measured.engine_s)} (text {_seconds(measured.text_s)})"
    return f"{measured.verdict} in {seconds}{f', {measured.why}' if measured.why else ''}"


def _seconds(s: float) -> str:
    return f"{s:.2f} s" if s >= 1 else f"{s * 1e3:.2f} ms"


def _counts(measured: Iterable[Measured]) -> str:
    verdicts = Counter(each.verdict for each in measured)
    return "/".join(str(verdicts[word]) for word in ("valid", "invalid", "unknown"))


HEAD = (
    *("family", "histories", "operations", "engine", "text", "peak", "v/i/u"),
    *("porcupine", "v/i/u", "of", "ratio"),
)


def _line(name: str, rows: Sequence[Row]) -> Sequence[str]:
    """A family in the table; `of` is how many histories Porcupine was asked."""
    ours = [row.ours for row in rows]
    theirs = [row.theirs for row in rows if row.theirs]
    compared_s = _compared_s(rows)
    bound = "≥ " if any(each.verdict == "unknown" for each in theirs) else ""
    return (
        name,
        str(len(rows)),
        f"{sum(each.operations for each in ours):,}",
        _seconds(sum(each.engine_s for each in ours)),
        _seconds(sum(each.text_s for each in ours)),
        f"{max((each.peak_bytes for each in ours), default=0) / 1e6:,.1f} MB",
        _counts(ours),
        bound + _seconds(compared_s[1]) if compared_s else "-",
        _counts(theirs),
        str(len(theirs)),
        f"{bound}{compared_s[1] / compared_s[0]:,.1f}" if compared_s else "-",
    )


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
    families: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tools = Tools(_tool(Porcupine, folder), _tool(Histories, folder), arguments.operations_max)
        for name in names:
            try:
                if name != GROWTH:
                    families[name] = measure(name, tools)
            except Missing as missing:
                _keep(f"{name} is left out: {missing}")
    grown = list(growth.measure(_tell, arguments.operations_max)) if GROWTH in names else []
    _tell("")
    _print(families, grown)
    if arguments.json:
        numbers: dict[str, Any] = {name: _numbers(name, rows) for name, rows in families.items()}
        if grown:
            numbers[GROWTH] = {"engines": [asdict(each) for each in grown]}
        arguments.json.write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    return 1 if any(row.contradiction for rows in families.values() for row in rows) else 0


def _print(families: dict[str, list[Row]], grown: Sequence[growth.Grown]) -> None:
    if families:
        print(_aligned([HEAD, *(_line(name, rows) for name, rows in families.items())]))
    for name, rows in families.items():
        if slopes := [f"{of} {slope:.2f}" for of, slope in _exponents(name, rows).items()]:
            print(f"exponents of {name} in operations: {', '.join(slopes)}")
        for row in rows:
            if row.contradiction:
                print(f"CONTRADICTION in {name}: {row.contradiction}")
    if grown:
        print(_aligned(list(growth.lines(grown))))


def _numbers(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """What is written of a family."""
    ours_s, theirs_s = _compared_s(rows) or (None, None)
    return {
        "seconds": {"dissever": ours_s, "porcupine": theirs_s},
        "ratio": theirs_s / ours_s if ours_s and theirs_s else None,
        "exponents": _exponents(name, rows),
        "rows": [
            {
                "name": row.case.name,
                "dissever": asdict(row.ours),
                "porcupine": row.theirs and asdict(row.theirs),
            }
            for row in rows
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
