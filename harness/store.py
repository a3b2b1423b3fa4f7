"""
The run directory, where every value from the plan on is written the moment it exists.

`runs/<system>/<workload>/<time>-<seed>/` with `plan.json`, `history.jsonl`, `schedule.jsonl`,
`results.json`, `index.html`, `junit.xml` and `nodes/<node>/`; `runs/latest` leads to the newest
run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dissever.harness.cluster import Exit
from dissever.harness.history import Event
from dissever.harness.plan import Options, Outcome, Plan
from dissever.harness.results import Results

PLAN = "plan.json"
HISTORY = "history.jsonl"
SCHEDULE = "schedule.jsonl"
OUTCOME = "outcome.json"
RESULTS = "results.json"
REPORT = "index.html"
JUNIT = "junit.xml"
NODES = "nodes"
EXITS = "exits.json"
LATEST = "latest"


def create_run(root: Path, options: Options, now: datetime) -> Path:
    """
    Make a new run directory, and point `latest` to it.

    Raises:
        OSError: When the root cannot be written.
    """
    name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%f}"[:-3] + f"Z-{options.seed}"
    run = root / options.system / options.workload / name
    run.mkdir(parents=True)
    _point(root / LATEST, run)
    return run


def find_run(path: Path) -> Path:
    """
    The run directory that a path means: itself, a link to it, or a file in it.

    Raises:
        FileNotFoundError: When there is no plan; the message says what was looked for.
    """
    directory = path.resolve()
    if directory.is_file():
        directory = directory.parent
    if not (directory / PLAN).is_file():
        raise FileNotFoundError(f"expected a run directory with {PLAN}, found none in {path}")
    return directory


def write_plan(run: Path, plan: Plan) -> None:
    """Write what is about to happen."""
    _write_json(run / PLAN, plan)


def read_plan(run: Path) -> Plan:
    """Raises msgspec.ValidationError when the file holds something else; it says where."""
    return msgspec.json.decode((run / PLAN).read_bytes(), type=Plan)


def write_results(run: Path, results: Results) -> None:
    """Write what was judged."""
    _write_json(run / RESULTS, results)


def read_results(run: Path) -> Results:
    """As `read_plan`; FileNotFoundError when the run was never judged."""
    return msgspec.json.decode((run / RESULTS).read_bytes(), type=Results)


def write_schedule(run: Path, events: Iterable[Event]) -> None:
    """Write the events of the nemeses alone: what a replay needs."""
    faults = [event for event in events if not event.is_client]
    (run / SCHEDULE).write_bytes(msgspec.json.Encoder().encode_lines(faults))


def write_outcome(run: Path, outcome: Outcome) -> None:
    """Write how the run ended: the last thing that a run itself writes."""
    _write_json(run / OUTCOME, outcome)


def read_outcome(run: Path) -> Outcome:
    """How the run ended; there is no file when the harness was killed."""
    try:
        return msgspec.json.decode((run / OUTCOME).read_bytes(), type=Outcome)
    except FileNotFoundError:
        return Outcome("the harness ended before the run did")


def read_exits(run: Path, node: str) -> tuple[Exit, ...]:
    """How the processes of a node ended; empty when the harness was killed before that."""
    try:
        written = (node_directory(run, node) / EXITS).read_bytes()
    except FileNotFoundError:
        return ()
    return msgspec.json.decode(written, type=tuple[Exit, ...])


def node_directory(run: Path, node: str) -> Path:
    """Where a node's logs, exit status and data are."""
    return run / NODES / node


def drop_node_data(run: Path) -> None:
    """Remove the data directories of the nodes, and leave their logs."""
    for data in sorted((run / NODES).glob("*/data")):
        shutil.rmtree(data, ignore_errors=True)


def _write_json(path: Path, value: object) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(encoded + b"\n")
    draft.replace(path)


def _point(link: Path, run: Path) -> None:
    """Let the link lead to the run; two runs may do this at the same time."""
    draft = link.with_name(f".{link.name}-{run.name}")
    draft.symlink_to(run.relative_to(link.parent), target_is_directory=True)
    draft.replace(link)
