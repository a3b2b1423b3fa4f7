"""
Every bug of the simulated store: found with the standard faults, replayed, shrunk, and explained.

    python benchmarks/bugs.py [--only stale-leader,figure-8] [--steps find,shrink,replay,doom]
                              [--time-limit 120] [--jobs 1]

For each bug: `dissever explore -f standard` until a run fails, `shrink` of that run, then
`replay --times 100` and `doom` of the shrunk one. A run that fails in several ways is shrunk by one
after another until one is small, and the smallest is shown. Writes docs/bugs.json, and the table in
docs/simulated.md; steps that were not asked for stay as they are. Runs are kept below runs/bugs,
where later steps look for them. A search that the time limit ended goes on when it is asked again.

Seconds are those of the processor, of all processes together: they do not depend on how busy the
machine is. The time limit is for each step, in the same seconds as far as one job has a processor
of its own.

Exit status: 0 when each bug that was asked for is as it should be, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any, Final

from dissever.systems.simulated.bugs import BUGS

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "simulated.md"
CELLS: Final = ROOT / "docs" / "bugs.json"
RUNS: Final = ROOT / "runs" / "bugs"

BEGIN, END = "<!-- benchmarks/bugs.py writes this -->", "<!-- until here -->"

SETTINGS: Final = "--rate 30 --time-limit 20 --fault-interval 1 --recovery-limit 10"
"""Light runs with many faults: what fails is small from the start."""

SEEDS_MAX: Final = 2000
REPLAYS: Final = 100

FOUND_S_MAX: Final = 120.0
"""60 s on two cores."""

FAULTS_MAX, CLIENTS_MAX, OPERATIONS_MAX = 3, 2, 10

Finding = dict[str, Any]


def main() -> int:
    """Make the steps of one bug after another, and write the table after each step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--only", default=",".join(BUGS), help="bugs, with commas")
    parser.add_argument("--steps", default=",".join(STEPS), help="with commas")
    parser.add_argument("--time-limit", type=float, default=FOUND_S_MAX, help="seconds of a step")
    parser.add_argument("--jobs", type=int, default=1, help="how many runs go on side by side")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    for name in names:
        for step in arguments.steps.split(","):
            finding = {} if step == "find" else _read().get(name, {})
            before_s = _processor_s()
            goes_on = step == "shrink" and finding.get("whole") is False
            finding |= STEPS[step](name, finding, arguments.time_limit, arguments.jobs)
            took_s = _processor_s() - before_s
            if goes_on:
                took_s += finding["shrink_s"]
            finding[f"{step}_s"] = round(took_s, 1)
            cells = {**_read(), name: finding}
            _keep(cells)
            _write(cells)
            took = f"{finding[f'{step}_s']:7.1f} s"
            print(f"{took}  {step} {name}: {_said(step, finding)}", flush=True)
    cells = _read()
    return 0 if all(is_well(cells.get(name, {})) for name in names) else 1


def is_well(finding: Finding) -> bool:
    """Whether it was found in time, fails again and again, is small, and has a fault to blame."""
    return (
        bool(finding.get("signature"))
        and finding["find_s"] <= FOUND_S_MAX
        and finding.get("replayed") == REPLAYS
        and is_small(finding)
        and (_needs_none(finding) or bool(finding.get("named")))
    )


def is_small(finding: Finding) -> bool:
    """Whether the shrunk run has as few faults, clients and operations as are asked for."""
    after = finding.get("after")
    return (
        after is not None
        and after["faults"] <= FAULTS_MAX
        and after["clients"] <= CLIENTS_MAX
        and after["operations"] is not None  # None: the workload draws them.
        and after["operations"] <= OPERATIONS_MAX
    )


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _asked(*arguments: str) -> Any:
    """What a command prints as JSON; None when it prints none."""
    command = [sys.executable, "-m", "dissever", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        return {"why": lines[-1]}


def explore_options(name: str) -> list[str]:
    """The options of `dissever explore` that find a bug."""
    bug = BUGS[name]
    own = [word for option, value in bug.options.items() for word in (f"--{option}", str(value))]
    return ["--bug", name, *own, "-f", "standard", "-w", bug.workload, *SETTINGS.split()]


def _find(name: str, _: Finding, limit_s: float, jobs: int) -> Finding:
    keep = RUNS / name
    shutil.rmtree(keep, ignore_errors=True)
    came = _asked(
        *("explore", "simulated", *explore_options(name), "--seeds", f"1-{SEEDS_MAX}"),
        *("--until-failure", "--time-limit-real", f"{limit_s:g}", "--jobs", str(jobs)),
        *("--keep", str(keep)),
    )
    found = [each for each in came.get("found", ()) if each["verdict"] == "invalid"]
    if not found:
        return {"seeds": came.get("tried", 0), "signature": None, "run": None}
    run = str(Path(found[0]["directory"]).relative_to(ROOT))
    results = json.loads((ROOT / run / "results.json").read_text(encoding="utf-8"))
    return {"seeds": came["tried"], "signature": results["signature"], "run": run}


def _shrink(_: str, finding: Finding, limit_s: float, jobs: int) -> Finding:
    if not finding.get("run"):
        return {"after": None}
    tries: list[Finding] = []
    for signature in _signatures(finding["run"], finding["signature"]):
        tries.append(_shrunk(finding, signature, limit_s, jobs))
        if is_small(tries[-1]):
            break
    return min(tries, key=_weight)


def _signatures(run: str, first: str) -> tuple[str, ...]:
    """The ways in which a run fails, that of its verdict first."""
    results = json.loads((ROOT / run / "results.json").read_text(encoding="utf-8"))
    invalid = [each for each in results["results"] if each["verdict"] == "invalid"]
    own = [anomaly["signature"] for each in invalid for anomaly in each["anomalies"]]
    return tuple(dict.fromkeys((first, *filter(None, own))))


def _weight(finding: Finding) -> tuple[bool, float, float, float]:
    """Sorts what is small before what is large."""
    after = finding["after"]
    if after is None:
        return True, inf, inf, inf
    operations = inf if after["operations"] is None else after["operations"]
    return not is_small(finding), after["faults"], after["clients"], operations


def _shrunk(finding: Finding, signature: str, limit_s: float, jobs: int) -> Finding:
    limits = ("--time-limit", f"{limit_s:g}", "--jobs", str(jobs), "--runs", str(RUNS))
    asked = ("shrink", finding["run"], "--signature", signature, *limits)
    goes_on = finding.get("whole") is False and finding["signature"] == signature
    came = _asked(*asked, *(("--resume",) if goes_on else ()))
    if "after" not in came:
        return {"after": None, "why": came.get("why", "")}
    run = came["run"] and str(Path(came["run"]).relative_to(ROOT))
    names = ("before", "after", "whole", "attempts", "story")
    return {"signature": signature, "shrunk": run, **{name: came[name] for name in names}}


def _replay(_: str, finding: Finding, __: float, ___: int) -> Finding:
    run = finding.get("shrunk") or finding.get("run")
    if not run:
        return {"replayed": None}
    came = _asked("replay", run, "--times", str(REPLAYS), "--runs", str(RUNS))
    return {"replayed": came.get("shown")}


def _doom(_: str, finding: Finding, limit_s: float, jobs: int) -> Finding:
    run = finding.get("shrunk") or finding.get("run")
    if not run or _needs_none(finding):
        return {"named": None}
    limits = ("--time-limit", f"{limit_s:g}", "--jobs", str(jobs), "--moments", "2")
    came = _asked("doom", run, *limits)  # The curve need not be fine: the fault is asked for.
    named = came.get("named")
    return {"named": named and named["fault"], "told": named and named["text"]}


STEPS: Final[Mapping[str, Callable[[str, Finding, float, int], Finding]]] = {
    "find": _find,
    "shrink": _shrink,
    "replay": _replay,
    "doom": _doom,
}


def _said(step: str, finding: Finding) -> str:
    if step == "find":
        return f"{finding['signature'] or 'not found'} in {finding['seeds']} seeds"
    if step == "replay":
        return f"{finding['replayed']} of {REPLAYS}"
    if step == "shrink":
        return _size(finding.get("after")) or str(finding.get("why", "no run"))
    return str(finding.get("told") or "no fault is named")


def _write(cells: Mapping[str, Finding]) -> None:
    """Put the table where the page has a place for it."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(cells)}\n{END}{after}", encoding="utf-8")


def table(cells: Mapping[str, Finding]) -> str:
    """A row for each bug."""
    heads = ("bug", "failure", "seeds", "find", "shrunk from", "to", "shrink", "replayed", "fault")
    rows = [heads, ("---",) * len(heads)]
    rows += [_row(name, cells[name]) for name in BUGS if name in cells]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _row(name: str, finding: Finding) -> tuple[str, ...]:
    signature, replayed = finding.get("signature"), finding.get("replayed")
    return (
        f"`{name}`",
        f"`{signature}`" if signature else "not found",
        str(finding.get("seeds", "")),
        _seconds(finding, "find"),
        _size(finding.get("before")),
        _size(finding.get("after")) or "not shrunk",
        _seconds(finding, "shrink"),
        "not tried" if replayed is None else f"{replayed} of {REPLAYS}",
        str(finding.get("named") or ("none needed" if _needs_none(finding) else "none named")),
    )


def _needs_none(finding: Finding) -> bool:
    after = finding.get("after")
    return after is not None and after["faults"] == 0


def _seconds(finding: Finding, step: str) -> str:
    seconds = finding.get(f"{step}_s")
    return "" if seconds is None else f"{seconds:.0f} s"


def _size(size: Mapping[str, Any] | None) -> str:
    if size is None:
        return ""
    numbers = (size[name] for name in ("faults", "nodes", "clients", "operations"))
    return " / ".join("drawn" if each is None else str(each) for each in numbers)


def _keep(cells: dict[str, Finding]) -> None:
    """Whole or not at all: another one may read meanwhile."""
    new = CELLS.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(cells, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    new.replace(CELLS)


def _read() -> dict[str, Finding]:
    return dict(json.loads(CELLS.read_text(encoding="utf-8"))) if CELLS.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
