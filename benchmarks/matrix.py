"""
Every fault on every backend, as root and as an ordinary user, each run for real on dqlite.

    python benchmarks/matrix.py [--only kill,pause] [--backends namespaces] [--jobs 2]

Each cell is one run of dissever with that fault alone; its history says whether the fault took hold
and healed, and by which evidence. What cannot run says why. Writes docs/matrix.md and
docs/matrix.json. It fills the cells of who runs it, and leaves the others as they are: run it as
root, and again as an ordinary user, in a clone of his that has the first docs/matrix.json.

Exit status: 0 when every cell held and healed, or says why it cannot run; else 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dissever.nemesis import FAULTS

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "matrix.md"
CELLS = ROOT / "docs" / "matrix.json"
BACKENDS = ("namespaces", "containers")
TIME_LIMIT_S = 8
INTERVAL_S = 4
RUN_LIMIT_S = 180
SEED = 1
SETTINGS = {
    ("upgrade", "containers"): ("--version", "debian12", "--upgrade-to", "debian13"),
}
"""What a fault must be told. In namespaces it takes a second library, which a machine has not."""

HEAD = """\
# Faults, where they were seen

Each row is one run on dqlite with that fault alone, written by
`python benchmarks/matrix.py`. *Held* and *healed* say whether every strike and every
healing of the run left evidence; *evidence* shows some of what was seen of the first.

| fault | backend | user | held | healed | run | evidence, or why it cannot run |
| --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Cell:
    """
    What came of one run. `user`: root or ordinary.

    `verdict` is that of the whole run; `reason` says why it could not run, and is empty otherwise.
    """

    fault: str
    backend: str
    user: str
    held: str = ""
    healed: str = ""
    evidence: str = ""
    verdict: str = ""
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is a run of."""
        return self.fault, self.backend, self.user


def main() -> int:
    """Run the cells, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--only", default=",".join(FAULTS), help="faults, with commas")
    parser.add_argument("--backends", default=",".join(BACKENDS))
    parser.add_argument("--jobs", type=int, default=1, help="so many runs at a time")
    arguments = parser.parse_args()
    read = json.loads(CELLS.read_text()) if CELLS.exists() else []
    cells = {cell.key: cell for cell in (Cell(**each) for each in read)}
    wanted = itertools.product(arguments.only.split(","), arguments.backends.split(","))
    is_well = True
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for cell in pool.map(lambda each: _run(*each), wanted):
            cells[cell.key] = cell
            is_well = is_well and (bool(cell.reason) or cell.held == cell.healed == "yes")
            told = cell.reason or f"held {cell.held}, healed {cell.healed}; {cell.evidence}"
            print(f"{cell.fault} {cell.backend} {cell.user}: {told}", flush=True)
            _write([cells[key] for key in sorted(cells, key=_place)])
    return 0 if is_well else 1


def _place(key: tuple[str, str, str]) -> tuple[int, str, str]:
    names = list(FAULTS)
    return names.index(key[0]) if key[0] in names else len(names), key[1], key[2]


def _run(fault: str, backend: str) -> Cell:
    user = "ordinary" if os.geteuid() else "root"
    with tempfile.TemporaryDirectory(prefix="matrix-") as runs:
        command = [
            *(sys.executable, "-m", "dissever", "test", "dqlite", "-w", "register", "-q"),
            *("-f", fault, "-t", str(TIME_LIMIT_S), "--fault-interval", str(INTERVAL_S)),
            *("--backend", backend, "--rate", "100", "--seed", str(SEED), "--runs", runs),
            *SETTINGS.get((fault, backend), ()),
        ]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return Cell(fault, backend, user, "?", "?", reason=f"no end within {RUN_LIMIT_S} s")
        run = Path(runs) / "latest"
        if not (run / "results.json").exists():
            return Cell(fault, backend, user, reason=_last_line(done.stderr))
        verdict = json.loads((run / "results.json").read_text())["verdict"]
        operations = [json.loads(line) for line in (run / "history.jsonl").open()]
    own = [o for o in operations if o.get("process") == fault and o["type"] == "info"]
    values = [o["value"] for o in own if isinstance(o.get("value"), dict)]
    struck = [v for v in values if "held" in v.get("evidence", {})]
    healed = [v for v in values if "healed" in v.get("evidence", {})]
    return Cell(
        fault,
        backend,
        user,
        _all(v["evidence"]["held"] for v in struck),
        _all(v["evidence"]["healed"] for v in healed),
        _shown(struck[0]["evidence"]) if struck else "",
        verdict,
    )


def _all(marks: Any) -> str:
    seen = list(marks)
    return "no evidence" if not seen else "yes" if all(mark is True for mark in seen) else "no"


def _shown(evidence: dict[str, Any]) -> str:
    """One line of what was seen of the first thing that was struck."""
    nodes = evidence.get("nodes") or evidence.get("during") or evidence.get("links") or {}
    first = next(iter(nodes.values()), {}) if isinstance(nodes, dict) else evidence
    told = first if isinstance(first, dict) and first else evidence
    plain = {name: value for name, value in map(_leaf, told.items()) if value not in (None, [])}
    if "dropped" in evidence:
        plain["dropped"] = sum(evidence["dropped"].values())
    hidden = ("held", "took_ms")
    return ", ".join(f"{k} {v}" for k, v in plain.items() if k not in hidden)[:160]


def _leaf(item: tuple[str, Any]) -> tuple[str, Any]:
    """Of values inside values the first, under all their names."""
    name, value = item
    while isinstance(value, dict) and value:
        inner, value = next(iter(value.items()))
        name = f"{name} {inner}"
    return name, value


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = lines[-1].removeprefix("Error: ") if lines else "it said nothing"
    return re.sub(r"^the fault \S+ cannot be injected: | \(logs are in .*\)$", "", told)


def _write(cells: list[Cell]) -> None:
    CELLS.parent.mkdir(exist_ok=True)
    CELLS.write_text(json.dumps([asdict(cell) for cell in cells], indent=1) + "\n")
    rows = (
        (*cell.key, cell.held, cell.healed, cell.verdict, cell.reason or cell.evidence)
        for cell in cells
    )
    lines = (" | ".join(each.replace("|", "/") or "–" for each in row) for row in rows)
    TABLE.write_text(HEAD + "".join(f"| {line} |\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
