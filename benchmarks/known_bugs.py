"""
Every known bug of dqlite in every library that this machine can run.

    python benchmarks/known_bugs.py [--only stale-read,returning] [--libraries here,debian13]
                                    [--time-limit 600]

Each cell is one `dissever reproduce`. Writes docs/known-bugs.md, and next to it what it is made of;
cells that were not asked for stay as they are. `here` is this machine's library, in namespaces; the
others are those of images, in containers.

Exit status: 0 when every cell is as on record or cannot run here, else 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from dissever.reproduction import LIMIT_S
from dissever.systems.dqlite.bugs import BUGS, Bug, Directed
from dissever.systems.dqlite.images import VERSIONS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "known-bugs.md"
CELLS = ROOT / "docs" / "known-bugs.json"
HERE = "here"
LIBRARIES = (HERE, *VERSIONS)

HEAD = """\
# Known bugs of dqlite, found again

`python benchmarks/known_bugs.py` makes this page. Each cell is one run of `dissever reproduce NAME`
on two cores, with `--version` for the library of an image, and the time that it took. **Shown**
means that the bug was seen again. "-" means that it was not, within that time and those attempts.
*!*: the outcome is not what is on record.

1.18.7 runs in virtual time too: `dissever reproduce NAME --backend simulated`. What shows there is
in [docs/simulation.md](simulation.md#dqlite).

The cells of containers were measured on a busy machine, at a load of 20 to 30. A bug that comes by
chance may show later there, or not in that time. Each section below says what was tried.

"""


def main() -> int:
    """Run the cells, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--only", default=",".join(BUGS), help="bugs, with commas")
    parser.add_argument("--libraries", default=",".join(LIBRARIES), help="with commas")
    parser.add_argument("--time-limit", type=float, default=LIMIT_S, help="seconds for each cell")
    arguments = parser.parse_args()
    is_well = True
    for name in arguments.only.split(","):
        for library in arguments.libraries.split(","):
            finding = _run(name, library, arguments.time_limit)
            is_well = is_well and finding["is_expected"] is not False
            took = f"{finding['seconds']:7.1f} s"
            print(f"{took}  {name} {library}: {finding['outcome']}", flush=True)
            cells = {**_read(), f"{name} {library}": finding}
            CELLS.write_text(json.dumps(cells, indent=1, sort_keys=True) + "\n")
            PAGE.write_text(page(cells), encoding="utf-8")
    return 0 if is_well else 1


def page(cells: dict[str, Any]) -> str:
    """The page of the findings, by `bug library`."""
    rows = [_row(["bug", *(_title(cells, library) for library in LIBRARIES)])]
    rows.append(_row(["---"] * (len(LIBRARIES) + 1)))
    for name in BUGS:
        found = (_cell(cells.get(f"{name} {library}")) for library in LIBRARIES)
        rows.append(_row([f"[`{name}`](#{name})", *found]))
    sections = (_section(bug, cells) for bug in BUGS.values())
    return HEAD + "\n".join(rows) + "\n" + "".join(sections)


def _title(cells: dict[str, Any], library: str) -> str:
    found = (cell for key, cell in cells.items() if key.endswith(f" {library}"))
    releases = "/".join(sorted({cell["release"] for cell in found} - {""})) or "?"
    return f"{releases}, namespaces" if library == HERE else f"{releases} ({library})"


def _cell(finding: dict[str, Any] | None) -> str:
    if finding is None:
        return "not tried"
    if finding["outcome"] == "cannot run here":
        return f"cannot run: {finding['seen'][-1]}"
    text = f"**shown**, {finding['seconds']:.0f} s"
    if finding["outcome"] == "not shown":
        text = f"- in {finding['seconds']:.0f} s, {finding['attempts']} attempts"
    return f"{text} *!*" if finding["is_expected"] is False else text


def _section(bug: Bug, cells: dict[str, Any]) -> str:
    """What a bug is, how it is tried, and what was seen where it first showed."""
    record = f"On record in {', '.join(bug.releases)}; reported: {bug.references}."
    lines = [f"\n## {bug.name}\n\n{_sentence(bug.summary)} {record}\n"]
    lines.append(f"\n{_how(bug)}\n")
    found = [f for lib in LIBRARIES if (f := cells.get(f"{bug.name} {lib}"))]
    for finding in [each for each in found if each["outcome"] == "shown"][:1]:
        seen = [line for line in finding["seen"] if not line.startswith(("report:", "repeat:"))]
        shown = "\n".join(seen[:6])
        command = f"$ {finding['command']}    # libdqlite {finding['release']}"
        lines.append(f"\n```\n{command}\n{shown}\n```\n")
    return "".join(lines)


def _how(bug: Bug) -> str:
    if isinstance(bug.test, Directed):
        count = {3: "three", 5: "five"}[len(bug.test.nodes)]
        return f"A client on a fresh cluster of {count}, at most {bug.test.attempts} times."
    ways = " or ".join(
        f"`{', '.join(options.faults)}`" + (" by a plan" if options.script else "")
        for options in bug.test.options
    )
    first = bug.test.options[0]
    return (
        f"Runs of the workload `{first.workload}` for {first.time_limit_s:g} s under {ways}, "
        "with one seed after another."
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _run(name: str, library: str, limit_s: float) -> dict[str, Any]:
    version = [] if library == HERE else ["--version", library]
    with tempfile.TemporaryDirectory(prefix="known-bugs-") as runs:
        command = [sys.executable, "-m", "dissever", "reproduce", name, *version, "--json"]
        command += ["--time-limit", str(limit_s), "--runs", runs]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    (finding,) = json.loads(done.stdout)
    del finding["run"]
    finding["seen"] = [line for line in finding["seen"] if runs not in line]
    return dict(finding)


def _read() -> dict[str, Any]:
    return dict(json.loads(CELLS.read_text())) if CELLS.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
