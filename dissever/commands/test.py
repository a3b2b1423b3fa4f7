"""The command `test`: run a workload under faults, and judge it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from dissever import planning
from dissever.commands.output import conclude, entry_of, print_verdict, tell
from dissever.commands.params import Concurrency, Name, Nodes, Number, Reference
from dissever.display import Display
from dissever.harness.cluster.backends import Backend
from dissever.harness.options import Option
from dissever.harness.plan import DISK_MB, OK_MIN, OnCrash, Options
from dissever.harness.runner import CannotRun
from dissever.harness.system import System, default_nodes
from dissever.harness.values import quoted
from dissever.harness.watch import DEAD_S
from dissever.nemesis import FAULTS, read_script
from dissever.running import RUNS, run
from dissever.systems import SYSTEMS, load
from dissever.workloads import WORKLOADS

DEFAULT_WORKLOAD: Final = "register"

_OWN: Final = "dissever.own_options"
"""Where click's context keeps what was given for options of the system and of the workload."""


class TestCommand(click.Command):
    """Also has the options that the system and the workload of the command line declare."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look for the two first: they say which options there are."""
        given, named = self._named(ctx, args)
        system = SYSTEMS.get(given) if given else None
        workload = WORKLOADS.get(named)
        ctx.meta[_OWN] = {"system": {}, "workload": {}}
        ctx.obj = [
            _option(owner, name, option)
            for owner, declared in (
                ("system", system.options if system else {}),
                ("workload", workload.options if workload else {}),
            )
            for name, option in declared.items()
        ]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            owners = _owners(error.option_name.lstrip("-"))
            if not owners:
                raise
            what = f"{error.option_name}, which is an option of {' and of '.join(owners)}"
            name = system.name if system else "the system"
            raise click.UsageError(f"expected an option of {name}, got {what}") from error

    def _named(self, ctx: click.Context, args: Sequence[str]) -> tuple[str | None, str]:
        """The system and the workload of a command line; an unknown option takes a value."""
        takes = {
            name: not (isinstance(each, click.Option) and each.is_flag)
            for each in super().get_params(ctx)
            for name in each.opts
        }
        system, workload = None, DEFAULT_WORKLOAD
        words = list(args)
        while words:
            word = words.pop(0)
            if not word.startswith("-"):
                system = system or word
                continue
            name, joined, value = word.partition("=")
            if not word.startswith("--"):
                name, joined, value = word[:2], word[2:], word[2:]
            if not joined and takes.get(name, True) and words and not words[0].startswith("-"):
                value = words.pop(0)
            if name in ("-w", "--workload"):
                workload = value
        return system, workload

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Those of every test, then the declared ones."""
        return [*super().get_params(ctx), *ctx.obj]


def _owners(option: str) -> list[str]:
    """The systems and workloads that declare an option."""
    systems = [name for name in SYSTEMS if option in load(name).options]
    return systems + [name for name, each in WORKLOADS.items() if option in each.options]


def _option(owner: str, name: str, declared: Option) -> click.Option:
    """An option that the system or the workload declares."""

    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None:
            ctx.meta[_OWN][owner][name] = value

    return click.Option(
        [f"--{name}"],
        metavar="|".join(declared.choices) or "VALUE",
        expose_value=False,
        callback=keep,
        help=f"Of the {owner}: {declared.description}.",
    )


@click.command(cls=TestCommand, short_help="Run a workload under faults, and judge it.")
@click.argument("system", type=Reference(SYSTEMS))
@click.option(
    "--workload",
    "-w",
    type=Reference(WORKLOADS),
    default=DEFAULT_WORKLOAD,
    show_default=True,
    help="What clients do.",
)
@click.option(
    "--faults",
    "-f",
    metavar="NAME,…",
    help="What breaks. A name may carry a target: partition:leader. The names are "
    + ", ".join(FAULTS.own)
    + ".",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Take the faults from a YAML file, or from the schedule.jsonl of a recorded run, instead"
    " of drawing them from the seed. See docs/faults.md.",
)
@click.option(
    "--nodes",
    "-n",
    type=Nodes(),
    help="How many nodes, or their names. By default 5, or those that the system names.",
)
@click.option(
    "--backend",
    type=Name("backend", tuple(Backend)),
    help="Where nodes run. By default the first backend that `dissever list` has for the system.",
)
@click.option(
    "--rate",
    type=Number("rate"),
    default=200.0,
    show_default=True,
    help="Operations per second of all clients together.",
)
@click.option(
    "--concurrency",
    "-c",
    type=Concurrency(),
    default="2n",
    show_default=True,
    help="How many clients. 2n means two for each node.",
)
@click.option(
    "--time-limit",
    "-t",
    type=Number("time_limit_s"),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long operations and faults go on.",
)
@click.option("--seed", type=Number("seed"), help="The same seed gives the same plan.")
@click.option(
    "--fault-interval",
    type=Number("fault_interval_s"),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one episode of faults lasts.",
)
@click.option(
    "--operation-limit",
    type=Number("operation_limit_s"),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="After this time without an answer the outcome of an operation is unknown.",
)
@click.option(
    "--disk-mb",
    type=Number("disk_mb"),
    default=DISK_MB,
    show_default=True,
    metavar="MIB",
    help="The size of each node's own disk, if a fault needs one.",
)
@click.option(
    "--ok-min",
    type=Number("ok_min"),
    default=OK_MIN,
    show_default=True,
    metavar="N",
    help="How many operations of each kind must succeed under faults, or the verdict is unknown.",
)
@click.option(
    "--stop-when-dead",
    type=Number("stop_when_dead_s"),
    is_flag=False,
    flag_value=DEAD_S,
    metavar="[SECONDS]",
    help="End the run when no operation has succeeded for this time, and judge what there is."
    f" Without a number: {DEAD_S:g}.",
)
@click.option(
    "--on-crash",
    type=Name("reaction", tuple(OnCrash)),
    default=OnCrash.LEAVE,
    show_default=True,
    help="What becomes of a node that ends by itself: leave it, or restart it after a second.",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=RUNS,
    show_default=True,
    help="Where runs are kept.",
)
@click.option("--keep-data", is_flag=True, help="Keep the nodes' data, whatever the verdict.")
@click.option(
    "--dry-run", is_flag=True, help="Print the command and the schedule of faults, and stop."
)
@click.option("--quiet", "-q", is_flag=True, help="Print only the summary.")
@click.option(
    "--json",
    "is_json",
    is_flag=True,
    help="Print the result as JSON on standard output, and only that: verdict, exit status and, for"
    " each run, findings with their signatures, counts, seed, repeat line, directory, page.",
)
@click.option(
    "--summary",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a summary in Markdown. Without this option it is appended to the file that"
    " GITHUB_STEP_SUMMARY names, if that is set.",
)
@click.pass_context
def test(
    ctx: click.Context,
    system: str,
    workload: str,
    faults: str | None,
    plan: Path | None,
    nodes: tuple[str, ...] | None,
    backend: str | None,
    rate: float,
    concurrency: tuple[int, bool],
    time_limit: float,
    seed: int | None,
    fault_interval: float,
    operation_limit: float,
    disk_mb: int,
    ok_min: int,
    stop_when_dead: float | None,
    on_crash: str,
    runs: Path,
    keep_data: bool,
    dry_run: bool,
    quiet: bool,
    is_json: bool,
    summary: Path | None,
) -> int:
    """
    Run a workload on SYSTEM under faults, and judge what it answered.

    \b
    dissever test simulated --workload register --bug lost-write
    dissever test dqlite -w set -f partition,kill,pause -t 60
    dissever test dqlite -w register --consistency leader -f deposed-leader
    dissever test dqlite -w register --plan examples/isolate-then-kill.yaml --dry-run
    dissever test dqlite -w register --plan runs/latest/schedule.jsonl
    dissever test dqlite -f partition,kill --backend containers --version debian13
    dissever test simulated -t 5 --quiet --json | jq .verdict

    Systems and workloads have options of their own: `dissever test dqlite -w set --help`.
    """
    under_test = load(system)
    script, named = _script(plan, faults)
    count, per_node = concurrency
    try:
        if nodes is None:
            nodes = default_nodes(under_test)
        options = Options(
            system=system,
            workload=workload,
            faults=named,
            script=script,
            script_path=str(plan or ""),
            nodes=nodes,
            backend=Backend(backend or under_test.backends[0]),
            rate=rate,
            concurrency=count * len(nodes) if per_node else count,
            time_limit_s=time_limit,
            operation_limit_s=operation_limit,
            fault_interval_s=fault_interval,
            seed=random.SystemRandom().randrange(1 << 32) if seed is None else seed,
            disk_mb=disk_mb,
            ok_min=ok_min,
            stop_when_dead_s=stop_when_dead,
            on_crash=OnCrash(on_crash),
            workload_options=ctx.meta[_OWN]["workload"],
            system_options=ctx.meta[_OWN]["system"],
        )
        options = planning.checked(options, under_test)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for remark in planning.remarks(options, under_test):
        tell(f"note: {remark}")
    if dry_run:
        _print_schedule(options, under_test)
        return 0
    try:
        ended = run(
            options,
            under_test,
            runs=runs,
            observe=partial(Display, console=Console(stderr=True), is_quiet=quiet),
            keeps_data=keep_data,
        )
    except (CannotRun, OSError) as error:
        raise click.ClickException(str(error)) from error
    if not is_json:
        print_verdict(ended.judged, ended.page, ended.directory)
    if ended.unwritten:
        tell(ended.unwritten)
    entry = entry_of(ended.judged, ended.directory, ended.page)
    return conclude([entry], is_json=is_json, summary=summary)


def _script(path: Path | None, faults: str | None) -> tuple[str, tuple[str, ...]]:
    """The text of a plan, and the faults that the run has."""
    if path is None:
        names = tuple(name.strip() for name in (faults or "").split(",") if name.strip())
        if faults is not None and not names:
            raise click.UsageError(f"expected --faults with names of faults, got {quoted(faults)}")
        return "", names
    if faults is not None:
        raise click.UsageError("expected --faults or --plan, got both")
    try:
        text = path.read_text(encoding="utf-8")
        return text, read_script(text).names
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise click.UsageError(f"{path}: line {line}: expected UTF-8 text, got bytes") from error
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {error}") from error


def _print_schedule(options: Options, under_test: System) -> None:
    table = Table("at", "fault", "operation", Column("value", overflow="fold"), box=None)
    for op in planning.schedule(options, under_test):
        value = msgspec.json.encode(op.value).decode()
        table.add_row(f"{op.offset_ns / 1e9:7.3f} s", op.process, op.f, value)
    console = Console()
    console.print(planning.repeat_command(options, under_test), soft_wrap=True, highlight=False)
    console.print(table)
