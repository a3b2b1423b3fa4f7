"""
Histories of transactions: seconds from EDN text to the verdict, and adya on the same files.

    python benchmarks/transactions.py [--only append-1m,…] [--json FILE] [--without-adya]

    --only append-10k,append-100k,append-1m     lists, strict serializable; and adya
    --only append-22m                           9 GB of text; adya is not asked
    --only wr-1m                                registers; and adya
    --only scc-20k                              20,000 transactions in one component; and adya
    --only weak-rc,weak-ra,weak-cc              200,000 transactions of 20 operations
    --only weak-rc-1m,weak-ra-1m,weak-cc-1m     the same of 1,000,000
    --only growth                               lists and registers, 1,000 to 1,000,000

Without --only everything runs but append-22m and the three of 1,000,000 × 20 operations, which
take 9 GB of disk each. All are drawn from a fixed seed by `transactions.c`.

adya 0.1 is the crate of that name; cargo fetches and builds it. It has 10 minutes and 14 GB for a
file. The ratio is its seconds of the processor, from the text to the verdict, against ours; the
second ratio is that of the engines alone. What nobody runs here is set beside ours as its authors
publish it, on their machines: see PUBLISHED.

In the file of --json each case has `dissever` and `adya`, with `engine_s`, `total_s`,
`engine_cpu_s`, `total_cpu_s` and `peak_bytes` each, and `ratio` and `engine_ratio`; `growth` has
the exponents, the slope of the logarithms over three decades.

Exit status: 0 done, 1 the two contradict each other, or the verdict is not the one that the case
must have. What cannot run here (no cargo, no compiler, no network) is left out, with the reason.

Known gap: one run on a machine with other work is no measurement; compare ratios and processor
seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Final

from growth import exponent
from judges import Adya, Judged, dissever
from programs import Missing, compiled

GENERATE_LIMIT_S: Final = 1800


@dataclass(frozen=True)
class Shape:
    """What `transactions.c` draws, in the order of its arguments; it says what they mean."""

    transactions: int
    rules: str = "append"
    clients: int = 10
    keys: int = 10
    skewed: int = 1
    least: int = 1
    most: int = 4
    blind: int = 1
    writes: int = 90
    crashed: int = 0
    stale: int = 0
    seed: int = 1


@dataclass(frozen=True)
class Case:
    """A file, and what must come of it; None: no verdict is known beforehand."""

    shape: Shape
    model: str = "strict-serializable"
    expected: str | None = "valid"
    has_adya: bool = True


def _weak(model: str, transactions: int) -> Case:
    """As Plume and AWDIT measure: transactions of 20 operations, half of them writes."""
    shape = Shape(
        transactions, "wr", clients=50, keys=1000, skewed=0, least=20, most=20, writes=4096
    )
    return Case(shape, model, has_adya=False)


CASES: Final = {
    "append-10k": Case(Shape(10_000)),
    "append-100k": Case(Shape(100_000)),
    "append-1m": Case(Shape(1_000_000)),
    "append-22m": Case(Shape(22_000_000), "strong-session-serializable", has_adya=False),
    "wr-1m": Case(Shape(1_000_000, "wr", blind=0)),
    "scc-20k": Case(Shape(20_000, stale=1000), expected="invalid"),
    "weak-rc": _weak("read-committed", 200_000),
    "weak-ra": _weak("read-atomic", 200_000),
    "weak-cc": _weak("causal", 200_000),
    "weak-rc-1m": _weak("read-committed", 1_000_000),
    "weak-ra-1m": _weak("read-atomic", 1_000_000),
    "weak-cc-1m": _weak("causal", 1_000_000),
}
LARGE: Final = ("append-22m", "weak-rc-1m", "weak-ra-1m", "weak-cc-1m")
"""Only on demand."""

GROWTH: Final = "growth"
SIZES: Final = (1000, 10_000, 100_000, 1_000_000)

PUBLISHED: Final = {
    "append-1m": "Elle: 100,000 to 160,000 transactions a second, on many cores (its README)",
    "append-22m": "Elle: about 2 minutes and 60 GB, strong session serializable (its README)",
    "scc-20k": "Elle: at most 1 s for a component, then a time-out (its default)",
    "weak-rc-1m": "Plume: 92 to 105 s and at least 50 GB (OOPSLA 2024); AWDIT 245 times faster than"
    " earlier tools (PLDI 2025)",
    "weak-ra-1m": "Plume: 92 to 105 s and at least 50 GB; AWDIT 193 times faster",
    "weak-cc-1m": "Plume: 92 to 105 s and at least 50 GB; AWDIT 62 times faster",
}
"""Figures of others on machines of theirs, by case."""


@dataclass(frozen=True)
class Row:
    """What came of one case. `theirs` is None when adya was not asked, or gave up."""

    name: str
    case: Case
    text_bytes: int
    ours: Judged
    theirs: Judged | None

    @property
    def contradiction(self) -> str:
        """What is said elsewhere, if it is something else."""
        known = {self.case.expected, self.theirs and self.theirs.verdict} - {None, "unknown"}
        if not known - {self.ours.verdict}:
            return ""
        return f"{self.name}: {self.ours.verdict}, elsewhere {', '.join(sorted(map(str, known)))}"

    @property
    def ratios(self) -> tuple[float | None, float | None]:
        """Of processor seconds, from the text on and of the engines alone: theirs against ours."""
        if self.theirs is None:
            return None, None
        return (
            self.theirs.total_cpu_s / self.ours.total_cpu_s,
            self.theirs.engine_cpu_s / max(self.ours.engine_cpu_s, 1e-6),
        )


class Histories:
    """The generator, compiled once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = compiled("transactions", folder)

    def __call__(self, shape: Shape) -> Path:
        """The file of a history; it replaces the one before."""
        path = self.folder / "history.edn"
        command = [str(self.program), *map(str, astuple(shape)), str(path)]
        subprocess.run(command, check=True, timeout=GENERATE_LIMIT_S)
        return path


def measure(name: str, case: Case, histories: Histories, adya: Adya | None) -> Row:
    """Both on one case."""
    _tell(f"{name}: being drawn")
    path = histories(case.shape)
    _tell(f"{name}: {path.stat().st_size / 1e6:,.0f} MB; dissever is at work")
    ours = dissever(case.shape.rules, case.model, path)
    theirs = None
    if adya is not None and case.has_adya:
        _tell(f"{name}: {ours.verdict} in {ours.total_s:.2f} s; adya is at work")
        theirs = adya(case.shape.rules, case.model, path)
    return Row(name, case, path.stat().st_size, ours, theirs)


def grown(histories: Histories, sizes: Sequence[int]) -> dict[str, dict[str, float]]:
    """By rules the exponents of engine, total and peak memory above the smallest size."""
    exponents = {}
    for rules in ("append", "wr"):
        runs = {}
        for n in sizes:
            _tell(f"growth: {rules}, {n:,} transactions")
            runs[n] = dissever(rules, "strict-serializable", histories(Shape(n, rules, blind=0)))
        exponents[rules] = {
            "engine_cpu_s": exponent({n: run.engine_cpu_s for n, run in runs.items()}),
            "total_cpu_s": exponent({n: run.total_cpu_s for n, run in runs.items()}),
            # The process itself takes 30 MB, which the small sizes do not outweigh.
            "peak_bytes": exponent({n: run.peak_bytes for n, run in list(runs.items())[-2:]}),
        }
    return exponents


HEAD: Final = (
    *("case", "transactions", "text", "verdict", "engine", "total", "processor", "peak"),
    *("adya", "engine", "processor", "peak", "ratio", "engines"),
)


def _line(row: Row) -> Sequence[str]:
    ours, theirs = row.ours, row.theirs
    ratio, engine_ratio = row.ratios
    return (
        row.name,
        f"{row.case.shape.transactions:,}",
        _megabytes(row.text_bytes),
        ours.verdict,
        _seconds(ours.engine_s),
        _seconds(ours.total_s),
        _seconds(ours.total_cpu_s),
        _megabytes(ours.peak_bytes),
        theirs.verdict if theirs else "-",
        _seconds(theirs.engine_s) if theirs else "-",
        _seconds(theirs.total_cpu_s) if theirs else "-",
        _megabytes(theirs.peak_bytes) if theirs else "-",
        f"{ratio:.1f}" if ratio else "-",
        f"{engine_ratio:.1f}" if engine_ratio else "-",
    )


def _seconds(s: float) -> str:
    return f"{s:.2f} s" if s >= 1 else f"{s * 1e3:.1f} ms"


def _megabytes(n: int) -> str:
    return f"{n / 1e6:,.0f} MB"


def _print(rows: Sequence[Row], exponents: dict[str, dict[str, float]]) -> None:
    if rows:
        table = [HEAD, *map(_line, rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for cells in table:
            print("  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)))
    for row in rows:
        if row.name in PUBLISHED:
            print(f"published beside {row.name}: {PUBLISHED[row.name]}")
        if row.contradiction:
            print(f"CONTRADICTION: {row.contradiction}")
    for rules, slopes in exponents.items():
        words = ", ".join(f"{of} {slope:.2f}" for of, slope in slopes.items())
        print(f"exponents of {rules}, 1,000 to 1,000,000 transactions: {words}")


def _numbers(row: Row) -> dict[str, Any]:
    ratio, engine_ratio = row.ratios
    return {
        "transactions": row.case.shape.transactions,
        "model": row.case.model,
        "text_bytes": row.text_bytes,
        "dissever": asdict(row.ours),
        "adya": row.theirs and asdict(row.theirs),
        "ratio": ratio,
        "engine_ratio": engine_ratio,
        "published": PUBLISHED.get(row.name),
    }


def _json(rows: Sequence[Row], exponents: dict[str, dict[str, float]]) -> str:
    numbers: dict[str, Any] = {row.name: _numbers(row) for row in rows}
    return json.dumps(numbers | ({GROWTH: exponents} if exponents else {}), indent=1)


def _keep(line: str) -> None:
    _tell("")
    print(line, file=sys.stderr, flush=True)


def _tell(line: str) -> None:
    """Show the task at hand in one line, which the next one replaces; on a terminal alone."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def _adya(folder: Path, is_wanted: bool) -> Adya | None:
    try:
        return Adya(folder) if is_wanted else None
    except Missing as missing:
        print(f"adya is left out: {missing}", file=sys.stderr)
        return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAME,…", help="cases, as above")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--without-adya", action="store_true", help="ours alone")
    arguments = parser.parse_args()
    default = [*(name for name in CASES if name not in LARGE), GROWTH]
    arguments.names = arguments.only.split(",") if arguments.only else default
    if unknown := set(arguments.names) - {*CASES, GROWTH}:
        known = ", ".join((*CASES, GROWTH))
        parser.error(f"expected some of {known}, got {', '.join(sorted(unknown))}")
    return arguments


def main() -> int:
    """Measure, print, write."""
    arguments = _arguments()
    rows: list[Row] = []
    exponents: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        try:
            histories = Histories(folder)
        except Missing as missing:
            print(f"nothing can be measured: {missing}", file=sys.stderr)
            return 0
        wants = any(CASES[name].has_adya for name in arguments.names if name in CASES)
        adya = _adya(folder, wants and not arguments.without_adya)
        for name in arguments.names:
            if name == GROWTH:
                exponents = grown(histories, SIZES)
            else:
                rows.append(measure(name, CASES[name], histories, adya))
                _keep("  ".join(_line(rows[-1])))
            if arguments.json:  # After each case: a long run may be interrupted.
                arguments.json.write_text(_json(rows, exponents), encoding="utf-8")
    _tell("")
    _print(rows, exponents)
    return 1 if any(row.contradiction for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
