"""
The command line: test, check, report, list, doctor, reproduce.

Exit status: 0 valid, 1 invalid, 2 unknown, 3 the harness or its environment failed, 64 wrong usage.
"""

from __future__ import annotations

import logging
import random
import signal
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Column, Table

from dissever import __version__, assembly, doctor, recorded
from dissever.checkers import CHECKERS
from dissever.checkers.models import MODELS
from dissever.display import Display
from dissever.harness import store
from dissever.harness.cluster import backends
from dissever.harness.formats import FormatError
from dissever.harness.history import MalformedHistory
from dissever.harness.plan import DISK_MB, Options, Plan
from dissever.harness.results import Results, Verdict
from dissever.harness.runner import CannotRun, execute
from dissever.nemesis import FAULTS, TRIGGERS, Backend, read_script
from dissever.params import Concurrency, Name, Nodes, Setting, unknown
from dissever.reports import summary
from dissever.reproduce import reproduce
from dissever.systems import SYSTEMS, load
from dissever.systems.simulated import BUGS
from dissever.workloads import WORKLOADS

EXIT_STATUS = {Verdict.VALID: 0, Verdict.INVALID: 1, Verdict.UNKNOWN: 2}
EXIT_FAILED = 3
EXIT_USAGE = 64

RUNS = Path("runs")

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and exit with its status."""
    # SIGTERM ends it as Ctrl-C does: whatever was begun is cleaned up.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = cli.main(args=arguments, prog_name="dissever", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(EXIT_FAILED)
    except Exception:  # A bug of ours: Python's own status, 1, would accuse the system.
        traceback.print_exc()
        click.echo("dissever itself failed; this is a bug", err=True)
        sys.exit(EXIT_FAILED)
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(status if isinstance(status, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dissever")
@click.option("-v", "--verbose", count=True, help="Log phases and faults; twice: every operation.")
def cli(verbose: int) -> None:
    """
    Break a replicated database on purpose, and judge what it answered.

    \b
    dissever doctor                                    what can run on this machine
    dissever test simulated --workload register --bug stale-read
    dissever test dqlite --workload register --faults partition,kill,pause
    dissever check runs/latest                         judge a recorded run again

    Exit status: 0 valid, 1 invalid, 2 unknown, 3 the harness or its environment failed, 64 wrong
    usage.
    """
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    handler = RichHandler(console=Console(stderr=True), show_path=False)
    logging.basicConfig(level=level, format="%(name)s: %(message)s", handlers=[handler], force=True)


@cli.command(short_help="Run a workload under faults, and judge it.")
@click.argument("system", type=Name("system", tuple(SYSTEMS)))
@click.option(
    "--workload",
    "-w",
    type=Name("workload", tuple(WORKLOADS)),
    default="register",
    show_default=True,
    help="What clients do.",
)
@click.option(
    "--faults",
    "-f",
    default="",
    metavar="NAME,…",
    help="What breaks: " + ", ".join(FAULTS) + "; a name may carry a target, partition:leader.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Faults as a YAML file says, or as a recorded run had them (its schedule.jsonl), instead"
    " of drawn from the seed; see docs/faults.md.",
)
@click.option(
    "--nodes",
    "-n",
    type=Nodes(),
    default="5",
    show_default=True,
    help="How many nodes, or their names.",
)
@click.option(
    "--backend",
    type=Name("backend", tuple(Backend)),
    help="Where nodes run; by default the first that `dissever list` has for the system.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 1e6),
    default=200.0,
    show_default=True,
    help="Operations per second, of all clients together.",
)
@click.option(
    "--concurrency",
    "-c",
    type=Concurrency(),
    default="2n",
    show_default=True,
    help="How many clients; 2n means two per node.",
)
@click.option(
    "--time-limit",
    "-t",
    type=click.FloatRange(0.1, 86_400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long operations and faults go on.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), help="The same seed gives the same plan."
)
@click.option(
    "--consistency",
    type=Name("consistency", ("leader", "quorum")),
    default="quorum",
    show_default=True,
    help="How reads are served, where the system knows a difference.",
)
@click.option(
    "--values",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    help="Draw values from so many; 0: every value is unique, and checks are fast.",
)
@click.option(
    "--fault-interval",
    type=click.FloatRange(0.5, 3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one episode of faults lasts.",
)
@click.option(
    "--operation-limit",
    type=click.FloatRange(0.05, 600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="An operation without an answer after so long is unknown.",
)
@click.option(
    "--disk-mb",
    type=click.IntRange(16, 1 << 20),
    default=DISK_MB,
    show_default=True,
    metavar="MIB",
    help="The size of each node's own disk, where a fault needs one.",
)
@click.option(
    "--bug", type=Name("bug", tuple(BUGS)), help="Switch a bug of the simulated system on."
)
@click.option(
    "--set",
    "settings",
    type=Setting(),
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the system; `dissever list` names them.",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=RUNS,
    show_default=True,
    help="Where runs are kept.",
)
@click.option("--keep-data", is_flag=True, help="Keep the nodes' data, also of a valid run.")
@click.option(
    "--dry-run", is_flag=True, help="Print the plan and its schedule of faults, and stop."
)
@click.option("--quiet", "-q", is_flag=True, help="Only the last lines.")
def test(
    system: str,
    workload: str,
    faults: str,
    plan: Path | None,
    nodes: tuple[str, ...],
    backend: str | None,
    rate: float,
    concurrency: tuple[int, bool],
    time_limit: float,
    seed: int | None,
    consistency: str,
    values: int,
    fault_interval: float,
    operation_limit: float,
    disk_mb: int,
    bug: str | None,
    settings: tuple[tuple[str, Any], ...],
    runs: Path,
    keep_data: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """
    Run a workload on SYSTEM under faults, and judge what it answered.

    \b
    dissever test simulated --workload register --bug lost-write
    dissever test dqlite -w set -f partition,kill,pause -t 60
    dissever test dqlite -w register --consistency leader -f deposed-leader
    dissever test dqlite -w register --plan examples/isolate-then-kill.yaml --dry-run
    dissever test dqlite -w register --plan runs/latest/schedule.jsonl
    dissever test dqlite -f partition,kill --backend containers --set version=debian13
    """
    script, named = _script(plan, faults)
    count, per_node = concurrency
    options = Options(
        system=system,
        workload=workload,
        faults=named,
        script=script,
        script_path=str(plan or ""),
        nodes=nodes,
        backend=backend or load(system).backends[0],
        rate=rate,
        concurrency=count * len(nodes) if per_node else count,
        time_limit_s=time_limit,
        operation_limit_s=operation_limit,
        fault_interval_s=fault_interval,
        seed=random.SystemRandom().randrange(1 << 32) if seed is None else seed,
        consistency=consistency,
        values=values,
        disk_mb=disk_mb,
        system_options=_system_options(system, bug, settings),
    )
    under_test = _checked(options)
    if dry_run:
        _print_schedule(options, under_test)
        return 0
    missing = under_test.probe(options)
    if missing is not None:
        raise click.ClickException(f"{system} cannot run here: {missing.reason}; {missing.remedy}")
    if absent := assembly.missing_fault(options, under_test):
        raise click.ClickException(absent)
    return _run(options, under_test, runs, keep_data=keep_data, is_quiet=quiet)


def _script(path: Path | None, faults: str) -> tuple[str, tuple[str, ...]]:
    """The text of a plan, and the faults that the run has."""
    if path is None:
        return "", tuple(name.strip() for name in faults.split(",") if name.strip())
    if faults:
        raise click.UsageError("expected --faults or --plan, got both")
    try:
        text = path.read_text(encoding="utf-8")
        return text, read_script(text).names
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {error}") from error


def _system_options(
    system: str, bug: str | None, settings: tuple[tuple[str, Any], ...]
) -> dict[str, Any]:
    known = load(system).options
    options = dict(settings)
    if bug is not None:
        options["bug"] = bug
    for name in options:
        if name not in known:
            raise click.UsageError(unknown(f"option of {system}", name, tuple(known) or ("none",)))
    return options


def _checked(options: Options) -> Any:
    """The system, once the options are known to make sense."""
    under_test = load(options.system)
    if options.workload not in under_test.workloads:
        raise click.UsageError(unknown("workload", options.workload, under_test.workloads))
    if options.backend not in under_test.backends:
        raise click.UsageError(unknown("backend", options.backend, under_test.backends))
    try:
        under_test.check(options)
        assembly.plan_faults(options, under_test)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return under_test


def _run(options: Options, under_test: Any, runs: Path, *, keep_data: bool, is_quiet: bool) -> int:
    started = datetime.now(UTC)
    try:
        run = store.create_run(runs, options, started)
    except OSError as error:
        raise click.ClickException(f"no run directory can be made in {runs}: {error}") from error
    plan = assembly.make_plan(options, under_test, started)
    store.write_plan(run, plan)
    console = Console(stderr=True)
    with Display(options, console, is_quiet=is_quiet) as display:
        try:
            outcome = execute(assembly.make_test(plan, under_test), run, display)
        except (CannotRun, OSError) as error:
            told = str(error).removeprefix("[Errno 0] ") or type(error).__name__
            raise click.ClickException(f"{told} (logs are in {run})") from error
        if not (run / store.HISTORY).exists():
            raise click.ClickException(f"{outcome.interruption} (logs are in {run})")
        display.phase("judging")
        results = _judged(run, plan, outcome.interruption)
        display.phase("writing the report")
        page = _written(run, plan, results)
    if results.verdict is not Verdict.INVALID and not keep_data:
        store.drop_node_data(run)
    return _conclude(run, plan, results, page)


def _judged(run: Path, plan: Plan, interruption: str) -> Results:
    history, notes = assembly.read_run(run)
    results = assembly.judge(run, plan, history, interruption, notes)
    store.write_results(run, results)
    return results


def _written(run: Path, plan: Plan, results: Results) -> Path:
    history, _ = assembly.read_run(run)
    return assembly.write_reports(run, plan, history, results)


def _conclude(run: Path, plan: Plan, results: Results, page: Path) -> int:
    history, _ = assembly.read_run(run)
    Console().print(summary(plan, history, results, page), highlight=False, soft_wrap=True)
    return EXIT_STATUS[results.verdict]


def _print_schedule(options: Options, under_test: Any) -> None:
    table = Table("at", "fault", "operation", Column("value", overflow="fold"), box=None)
    for op in assembly.plan_faults(options, under_test):
        value = msgspec.json.encode(op.value).decode()
        table.add_row(f"{op.offset_ns / 1e9:7.3f} s", op.process, op.f, value)
    console = Console()
    console.print(assembly.repeat_command(options), soft_wrap=True, highlight=False)
    console.print(table)


@cli.command(short_help="Judge a recorded history again.")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--model",
    "-m",
    type=Name("model", tuple(MODELS)),
    default="cas-register",
    show_default=True,
    help="What a history file must be linearizable as.",
)
@click.option("--keyed", is_flag=True, help="In EDN, values are [key value] pairs.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Write the report page of a history file.",
)
@click.option("--json", "is_json", is_flag=True, help="Print the results as JSON, and only that.")
def check(path: Path, model: str, keyed: bool, html: Path | None, is_json: bool) -> int:
    """
    Judge a run directory, or a history file from anywhere.

    A file may be JSON lines, Jepsen's or Knossos' EDN, or one of Porcupine's texts: what it holds
    decides, not its name. `dissever list` names the models.

    \b
    dissever check runs/latest
    dissever check history.edn --model cas-register --html report.html
    dissever check c50-bad.txt --model kv
    """
    if not path.is_dir():
        return _check_file(path, model, keyed=keyed, html=html, is_json=is_json)
    if html is not None:
        raise click.UsageError("--html is for history files; a run has its page beside it")
    run, plan = _found_run(path)
    interruption = store.read_outcome(run).interruption
    try:
        results = _judged(run, plan, interruption)
        page = _written(run, plan, results)
    except (OSError, FormatError, MalformedHistory) as error:
        raise click.ClickException(f"{run}: {error}") from error
    if is_json:
        _print_json(results)
        return EXIT_STATUS[results.verdict]
    return _conclude(run, plan, results, page)


def _check_file(path: Path, model: str, *, keyed: bool, html: Path | None, is_json: bool) -> int:
    console = Console(stderr=True)
    try:
        with console.status(f"{path.name}: reading") as status:

            def progress(what: str) -> None:
                log.info("%s: %s", path.name, what)
                status.update(f"{path.name}: {what}")

            judged = recorded.judge_file(path, model, keyed=keyed, progress=progress)
    except (OSError, FormatError) as error:
        raise click.ClickException(f"{path}: {error}") from error
    for note in judged.notes:
        click.echo(f"note: {note}", err=True)
    if html is not None:
        try:
            html.write_text(recorded.page(judged), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{html}: {error}") from error
    if is_json:
        _print_json(judged.results)
    else:
        told = summary(judged.plan, judged.history, judged.results, None, judged.figures)
        if html is not None:
            told.append(f"\n  report  {html}")
        Console().print(told, highlight=False, soft_wrap=True)
    return EXIT_STATUS[judged.results.verdict]


def _print_json(results: Results) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(results)).decode())


@cli.command(short_help="Write the report of a run again.")
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="RUN")
def report(path: Path) -> int:
    """
    Write the HTML page and the JUnit file of a run from its results.

    \b
    dissever report runs/latest
    """
    run, plan = _found_run(path)
    try:
        results = store.read_results(run)
        page = _written(run, plan, results)
    except FileNotFoundError as error:
        raise click.ClickException(f"{error}; dissever check {run} judges it first") from error
    except (OSError, FormatError, msgspec.ValidationError) as error:
        raise click.ClickException(f"{run}: {error}") from error
    click.echo(page)
    return 0


def _found_run(path: Path) -> tuple[Path, Plan]:
    try:
        run = store.find_run(path)
        return run, store.read_plan(run)
    except (OSError, msgspec.ValidationError, msgspec.DecodeError) as error:
        raise click.ClickException(str(error)) from error


@cli.command(name="list", short_help="Name the systems, workloads, faults, checkers.")
def list_() -> int:
    """Name everything there is, with one line each."""
    console = Console()
    for title, rows in (
        ("systems", _system_rows()),
        ("workloads", [(name, workload.description) for name, workload in WORKLOADS.items()]),
        ("faults", [(name, fault.description) for name, fault in FAULTS.items()]),
        ("triggers", [(name, each.description) for name, each in TRIGGERS.items()]),
        ("checkers", list(CHECKERS.items())),
        ("models", [(name, model.description) for name, model in MODELS.items()]),
    ):
        table = Table(
            title=title, title_justify="left", box=None, show_header=False, padding=(0, 2)
        )
        for name, description in rows:
            table.add_row(f"[bold]{name}[/]", escape(description))
        console.print(table)
        console.print()
    return 0


def _system_rows() -> list[tuple[str, str]]:
    rows = []
    for name in SYSTEMS:
        system = load(name)
        rows.append((name, f"{system.description} ({', '.join(system.workloads)})"))
        rows.append(("", f"backends: {', '.join(system.backends)}"))
        rows += [("", f"{option}: {meaning}") for option, meaning in system.options.items()]
    return rows


@cli.command(short_help="Remove what killed runs left with the Docker engine.")
def heal() -> int:
    """
    Remove containers, networks and volumes of runs whose harness is gone; runs that go on stay.

    Only a harness that was killed together with its reaper leaves anything, and the next run with
    `--backend containers` removes it as well. Namespaces leave nothing: the kernel takes them.
    """
    missing = backends.probe(backends.CONTAINERS)
    if missing is not None:
        raise click.ClickException(f"{missing.reason}; {missing.remedy}")
    removed = backends.heal()
    click.echo("\n".join(removed) or "nothing was left behind")
    return 0


@cli.command(name="doctor", short_help="What can run on this machine, and what would help.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor_(as_json: bool) -> int:
    """Try out what dissever needs. Exit status 0 when every system can run, else 3."""
    diagnosis = doctor.diagnose()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(diagnosis), indent=2).decode())
        return 0 if diagnosis.is_well else EXIT_FAILED
    console = Console()
    for title, findings in doctor.rows(diagnosis):
        table = Table(
            title=title, title_justify="left", box=None, show_header=False, padding=(0, 2)
        )
        for finding in findings:
            mark = "[green]✓[/]" if finding.available else "[red]✗[/]"
            remedy = f"\n[yellow]{finding.remedy}[/]" if finding.remedy else ""
            table.add_row(mark, f"[bold]{finding.what}[/]", finding.detail + remedy)
        console.print(table)
        console.print()
    table = Table("fault", "backend", "", title="faults", title_justify="left", box=None)
    for finding in diagnosis.faults:
        table.add_row(
            finding.fault, finding.backend, "yes" if finding.available else finding.reason
        )
    console.print(table)
    return 0 if diagnosis.is_well else EXIT_FAILED


cli.add_command(reproduce)
