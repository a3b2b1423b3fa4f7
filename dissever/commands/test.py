"""The command `test`: run a workload under faults, and judge it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from dissever import planning
from dissever.commands.asked import DEFAULT_WORKLOAD, Setting, TestCommand, asked, settings
from dissever.commands.options import SUMMARY, runs_option
from dissever.commands.output import print_json, tell
from dissever.commands.params import (
    SEEDS_MAX,
    Concurrency,
    Duration,
    Faults,
    Name,
    Nodes,
    Number,
    Reference,
    References,
    Seeds,
)
from dissever.commands.series import run_all
from dissever.harness.cluster.backends import Backend
from dissever.harness.plan import DISK_MB, OK_MIN, RECOVERY_S, OnCrash, Options
from dissever.harness.system import System
from dissever.harness.watch import DEAD_S
from dissever.registries import CHECKERS
from dissever.systems import SYSTEMS
from dissever.workloads import WORKLOADS


@click.command(cls=TestCommand, short_help="Run a workload under faults, and judge it.")
@click.argument("system", type=Reference(SYSTEMS), required=False, envvar="DISSEVER_SYSTEM")
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
    type=Faults(),
    metavar="NAME,…",
    help="What breaks. A name may carry a target: partition:leader. `standard` stands for faults"
    " that every replicated system has to stand, `all` for every fault that can strike here."
    " `dissever list` shows all names.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Take the faults from a YAML file, or from the schedule.jsonl of a recorded run, instead"
    " of drawing them from the seed. See docs/faults.md.",
)
@click.option(
    "--checker",
    type=References(CHECKERS),
    default="",
    metavar="REFERENCE,…",
    help="Checkers of yours that judge the run, too, such as mine.py:NoGaps.",
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
    help=f"Where nodes run: {', '.join(Backend)}. By default the first that `dissever list` has for"
    " the system.",
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
    type=Duration("time_limit_s"),
    default="30s",
    show_default=True,
    help="How long operations and faults go on.",
)
@click.option("--seed", type=Number("seed"), help="The same seed gives the same plan.")
@click.option(
    "--seeds",
    type=Seeds(),
    metavar="SEED,…",
    help="Run once for each of these seeds, such as 1-20 or 3,7,40-45. The exit status is the worst"
    " verdict.",
)
@click.option(
    "--test-count",
    type=click.IntRange(1, SEEDS_MAX),
    metavar="N",
    help="Run N times: with the seeds from --seed upwards, or with random ones.",
)
@click.option(
    "--until-failure", is_flag=True, help="Of several runs, stop after the first that is not valid."
)
@click.option(
    "--fault-interval",
    type=Duration("fault_interval_s"),
    default="5s",
    show_default=True,
    help="How long one episode of faults lasts.",
)
@click.option(
    "--operation-limit",
    type=Duration("operation_limit_s"),
    default="1s",
    show_default=True,
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
    type=Duration("stop_when_dead_s"),
    is_flag=False,
    flag_value=DEAD_S,
    metavar="[DURATION]",
    help="End the run when no operation has succeeded for this time, and judge what there is."
    f" Without a duration: {DEAD_S:g}s.",
)
@click.option(
    "--recovery-limit",
    type=Duration("recovery_limit_s"),
    default=f"{RECOVERY_S:g}s",
    show_default=True,
    help="How long the cluster may take once all faults have healed: to acknowledge a write, then"
    " until every node serves, then until all nodes hold the same.",
)
@click.option(
    "--on-crash",
    type=Name("reaction", tuple(OnCrash)),
    default=OnCrash.LEAVE.value,
    show_default=True,
    help="What becomes of a node that ends by itself: leave it, or restart it after a second.",
)
@click.option(
    "--watch-roles/--no-watch-roles",
    default=True,
    show_default=True,
    help="Ask every node once a second whether it leads, and show that on the page. It costs what"
    " one more client costs. Nodes that are simulated are never asked: there it is known.",
)
@runs_option("Where runs are kept.")
@click.option("--keep-data", is_flag=True, help="Keep the nodes' data, whatever the verdict.")
@click.option(
    "--dry-run", is_flag=True, help="Print the command and the schedule of faults, and stop."
)
@click.option(
    "--profile",
    metavar="NAME",
    help="Take the settings of [tool.dissever.profiles.NAME] in pyproject.toml before those of"
    " [tool.dissever].",
)
@click.option(
    "--no-config", is_flag=True, help="Read neither pyproject.toml nor DISSEVER_… variables."
)
@click.option(
    "--print-config",
    is_flag=True,
    help="Print every setting and where it comes from, and stop. With --json, for programs.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print only the summary.")
@click.option(
    "--json",
    "is_json",
    is_flag=True,
    help="Print the result as JSON on standard output, and only that: verdict, exit status and, for"
    " each run, findings with their signatures, counts, seed, repeat line, directory, page.",
)
@SUMMARY
@click.pass_context
def test(ctx: click.Context, /, **given: Any) -> int:
    """
    Run a workload on SYSTEM under faults, and judge what it answered.

    \b
    dissever test mykv.py -f partition,kill
    dissever test mykv.py:MyKv -w set -f partition:leader,pause -n 3 -t 60
    dissever test compose.yaml --client myclient.py --nodes db1,db2,db3
    dissever test simulated --workload register --bug lost-write
    dissever test dqlite -w set -f partition,kill,pause -t 60
    dissever test dqlite -w register --consistency leader -f deposed-leader
    dissever test dqlite -w register --plan examples/isolate-then-kill.yaml --dry-run
    dissever test dqlite -w register --plan runs/latest/schedule.jsonl
    dissever test dqlite -f partition,kill --backend containers --version debian13
    dissever test simulated -t 5 --quiet --json | jq .verdict
    dissever test --profile nightly --seeds 1-20

    Systems and workloads have options of their own: `dissever test dqlite -w set --help`. What the
    command line leaves open is taken from DISSEVER_… variables, then from [tool.dissever] in the
    nearest pyproject.toml, SYSTEM included: see docs/configuration.md.

    A DURATION is like 90s, 5m, 1h30m or 500ms; a plain number is in seconds.
    """
    if given["print_config"]:
        _print_config(tuple(settings(ctx)), is_json=given["is_json"])
        return 0
    wanted = asked(ctx)
    for remark in planning.remarks(wanted.options, wanted.system):
        tell(f"note: {remark}")
    if given["dry_run"]:
        for seed in wanted.seeds:
            _print_schedule(wanted.with_seed(seed), wanted.system)
        return 0
    return run_all(
        wanted,
        is_quiet=given["quiet"],
        is_json=given["is_json"],
        summary=given["summary"],
        until_failure=given["until_failure"],
    )


def _print_schedule(options: Options, under_test: System) -> None:
    table = Table("at", "fault", "operation", Column("value", overflow="fold"), box=None)
    for op in planning.schedule(options, under_test):
        value = msgspec.json.encode(op.value).decode()
        table.add_row(f"{op.offset_ns / 1e9:7.3f} s", op.process, op.f, value)
    console = Console()
    command = planning.repeat_command(options, under_test)
    console.print(command, soft_wrap=True, highlight=False)
    console.print(table)


def _print_config(found: Sequence[Setting], *, is_json: bool) -> None:
    if is_json:
        said = {each.name: {"value": each.value, "source": each.source} for each in found}
        print_json(said)
        return
    table = Table("option", Column("value", overflow="fold"), "from", box=None)
    for each in found:
        table.add_row(each.name, escape(_shown(each.value)), escape(each.source))
    Console().print(table)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
