"""
The engine of transactions beside adya 0.1 on random histories, and every difference adjudicated.

    python benchmarks/compare_adya.py append --cases 100000 --seed 1
    python benchmarks/compare_adya.py wr --cases 100000 --seed 1 --examples 20

Histories of up to 16 transactions are drawn by the generator of the tests (`compare_adya.c`), from
databases of nine levels of isolation; a quarter has answers that were changed. Both judge each of
them, for strict-serializable and serializable. All events have times of their own: adya goes by
their order alone, and to us equal times are concurrent (`--equal` draws equal ones, too).

Where one says valid and the other one invalid, every serial order is tried, by code that shares
nothing with either: "none" exists, an "order" does, or there are too "many". A read of what nobody
wrote ("invented") has no order. That settles who is right, whatever the names are. Where only the
names differ, they are counted one by one, with the reason where it is mechanical (`reason`).

Prints tables and, with --examples N, the smallest history of the N most frequent classes. Exit
status: 0, or 1 where an order, or the lack of one, contradicts us. Needs cc, and cargo with
crates.io (or `--adya PROGRAM`). 100,000 histories take some four minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from judges import WORKLOADS, Adya

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
CHUNK: Final = 10_000
SERIALIZABLE: Final = "serializable"
STRICT: Final = "strict-serializable"

RUNGS: Final = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")
LEVELS: Final = ("", "-process", "-realtime")
KINDS: Final = (
    "internal",
    "future-read",
    "phantom",
    "G1a",
    "G1b",
    "dirty-update",
    "duplicate-elements",
    "incompatible-order",
    "cyclic-versions",
    "lost-update",
)
NAMES: Final = (*(rung + level for level in LEVELS for rung in RUNGS), *KINDS)
"""By the bits of `compare_adya.c`."""

STRONGER: Final = {
    name: {
        RUNGS[above] + LEVELS[below]
        for above in range(at % len(RUNGS) + 1)
        for below in range(at // len(RUNGS) + 1)
    }
    - {name}
    for at, name in enumerate(NAMES[: len(RUNGS) * len(LEVELS)])
}
"""Of each class of cycles: those that imply it."""


BESIDE: Final = (
    ("incompatible-order", "duplicate-elements"),
    ("phantom",),
    ("G1a", "dirty-update"),
    ("cyclic-versions",),
    ("G1b",),
    ("future-read",),
    ("internal",),
)
"""What leaves the order of versions, or what a read says, open: then the two draw other edges."""

EXISTS: Final = {
    "PL-1-cycle-exists": "G0",
    "PL-2-cycle-exists": "G1c",
    "PL-SI-cycle-exists": "G-nonadjacent",
    "PL-2.99-cycle-exists": "G2-item",
    "PL-3-cycle-exists": "G2-item",
    "strong-PL-1-cycle-exists": "G0-realtime",
    "strong-PL-2-cycle-exists": "G1c-realtime",
    "strong-snapshot-isolation-cycle-exists": "G-nonadjacent-realtime",
    "PL-SS-cycle-exists": "G2-item-realtime",
}
"""What adya says where its search for a cycle of one class finds none, and what it means."""


@dataclass(frozen=True)
class Case:
    """One history, and what was said of it."""

    text: str
    is_ambiguous: bool
    ours: dict[str, str]
    adya: dict[str, str]
    names: frozenset[str]
    adya_names: frozenset[str]
    orders: dict[str, str] = field(default_factory=dict)

    def differs(self, model: str) -> bool:
        """Whether one says valid and the other one invalid; who wrote what must be known."""
        said = {self.ours[model], self.adya[model]}
        return not self.is_ambiguous and said == {"valid", "invalid"}


@dataclass
class Class:
    """Cases that differ in the same way."""

    count: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    smallest: Case | None = None

    def add(self, case: Case, order: str = "") -> None:
        """Count a case, with what the orders said."""
        self.count += 1
        if order:
            self.orders[order] += 1
        if self.smallest is None or len(case.text) < len(self.smallest.text):
            self.smallest = case


def built(folder: Path) -> Path:
    """The generator with our engine and solver."""
    units = [ROOT / "tests/native/random_transactions"]
    units += [ROOT / "native" / unit for unit in ("transactions", "graph", "weak")]
    sources = [HERE / "compare_adya.c", *(file for unit in units for file in unit.glob("*.c"))]
    headers = {file.parent for file in (*(ROOT / "native").rglob("*.h"), *units[0].glob("*.h"))}
    includes = [f"-I{header}" for header in sorted(headers)]
    program = folder / "compare_adya"
    command = ["cc", "-std=c11", "-O2", "-pthread", *includes, *map(str, sources)]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


def cases(
    generator: Path, adya: Path, rules: str, options: argparse.Namespace, folder: Path
) -> Iterator[Case]:
    """Draw, and let both judge."""
    path, times = folder / "histories.json", "equal" if options.equal else "apart"
    for chunk, first in enumerate(range(0, options.cases, CHUNK)):
        drawn = str(min(CHUNK, options.cases - first)), str(options.seed * 1000 + chunk)
        ours = _lines([generator, *drawn, str(options.operations), rules, times, path])
        said = {
            model: _lines([adya, WORKLOADS[rules], model, path, "each"])
            for model in (SERIALIZABLE, STRICT)
        }
        texts = path.read_text().strip().split("\n\n")
        rows = zip(texts, ours, said[SERIALIZABLE], said[STRICT], strict=True)
        read = [read_case(*row) for row in rows]
        asked = [
            at
            for at, case in enumerate(read)
            if (case.differs(STRICT) or case.differs(SERIALIZABLE)) and not is_invented(case.text)
        ]
        wanted = folder / "wanted"
        wanted.write_text("".join(f"{at}\n" for at in asked))
        command = [generator, *drawn, str(options.operations), rules, times, "/dev/null", wanted]
        for line in _lines(command) if asked else ():
            at, serial, strict = line.split()
            read[int(at)].orders.update({SERIALIZABLE: serial, STRICT: strict})
        yield from read


def named(name: str) -> str:
    """A name of adya as ours."""
    return EXISTS.get(name, name if name.startswith("G2") else name.replace("-item", ""))


def read_case(text: str, ours: str, serial: str, strict: str) -> Case:
    """From what was printed."""
    ambiguous, bits, ours_serial, ours_strict = ours.split()
    found = int(bits, 16)
    verdict, *names = strict.split()
    return Case(
        text,
        ambiguous == "1",
        {SERIALIZABLE: ours_serial, STRICT: ours_strict},
        {SERIALIZABLE: serial.split()[0], STRICT: verdict},
        frozenset(name for bit, name in enumerate(NAMES) if found >> bit & 1),
        frozenset(named(name) for name in names),
    )


def _lines(command: Sequence[object]) -> list[str]:
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def is_invented(text: str) -> bool:
    """Whether an ok read shows what no transaction tried to write: no order explains that."""
    events = [json.loads(line) for line in text.splitlines()]
    micros = [(event["type"], micro) for event in events for micro in event["value"]]
    written = {(micro[1], micro[2]) for _, micro in micros if micro[0] != "r"}
    return any(
        (micro[1], value) not in written
        for kind, micro in micros
        if kind == "ok" and micro[0] == "r" and micro[2] is not None
        for value in (micro[2] if isinstance(micro[2], list) else [micro[2]])
    )


def reason(case: Case, name: str, is_ours: bool) -> str:
    """Why one of them has a name that the other one lacks, where it is mechanical."""
    if (STRONGER.get(name, set()) | {name}) & (case.adya_names if is_ours else case.names):
        return "the other has a stronger one"
    if is_ours and name.endswith("-process"):
        return "adya has no process edges beside real time"
    for kinds in BESIDE:
        if name in STRONGER and case.names.intersection(kinds):
            return f"beside {' or '.join(kinds)}"
    return "to be looked at"


def compare(drawn: Iterator[Case]) -> dict[str, dict[str, Class]]:
    """Sort all cases; see the tables that `told` prints."""
    tables: dict[str, dict[str, Class]] = {"verdicts": {}, "differences": {}, "names": {}}

    def put(table: str, name: str, case: Case, order: str = "") -> None:
        tables[table].setdefault(name, Class()).add(case, order)

    for case in drawn:
        for model in (SERIALIZABLE, STRICT):
            ours, adya = case.ours[model], case.adya[model]
            kind = " (ambiguous)" if case.is_ambiguous else ""
            put("verdicts", f"{model}: ours {ours}, adya {adya}{kind}", case)
            if not case.differs(model):
                continue
            order = case.orders.get(model, "invented")
            names = {name for name in case.names if model == STRICT or name not in _TIMED}
            shown = f"{_listed(names)} | {_listed(case.adya_names)}"
            put("differences", f"{model}: ours {ours}, adya {adya}: {shown}", case, order)
        if case.is_ambiguous or case.ours[STRICT] != case.adya[STRICT]:
            continue
        if case.ours[STRICT] != "invalid":
            continue
        if case.names == case.adya_names:
            put("names", "same names", case)
        for name in case.names - case.adya_names:
            put("names", f"ours only: {name}: {reason(case, name, True)}", case)
        for name in case.adya_names - case.names:
            put("names", f"adya only: {name}: {reason(case, name, False)}", case)
    return tables


_TIMED: Final = frozenset(rung + level for level in LEVELS[1:] for rung in RUNGS)


def _listed(names: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def told(tables: dict[str, dict[str, Class]], examples: int) -> bool:
    """Print all; whether no order contradicts us."""
    is_right = True
    for table, classes in tables.items():
        print(f"\n== {table}")
        for name, each in sorted(classes.items(), key=lambda item: -item[1].count):
            orders = ", ".join(f"{count} {order}" for order, count in each.orders.items())
            print(f"{each.count:7}  {name}{f': {orders}' if orders else ''}")
            wrong = "order" if "ours invalid" in name else "none"
            is_right = is_right and each.orders[wrong] == 0
    for table in ("differences", "names"):
        some = sorted(tables[table].items(), key=lambda item: -item[1].count)[:examples]
        for name, each in some:
            if each.smallest is not None:
                print(f"\n-- {name}\n{each.smallest.text}")
    return is_right


def main() -> int:
    """The command line; see the head of this file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("rules", choices=("append", "wr"))
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--operations", type=int, default=16, help="at most, in a history")
    parser.add_argument("--equal", action="store_true", help="some events have the same time")
    parser.add_argument("--examples", type=int, default=0, help="of classes in each table")
    parser.add_argument("--adya", type=Path, help="the built program of adya/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        adya = options.adya or Adya(folder).program
        drawn = cases(built(folder), adya, options.rules, options, folder)
        return 0 if told(compare(drawn), options.examples) else 1


if __name__ == "__main__":
    sys.exit(main())
