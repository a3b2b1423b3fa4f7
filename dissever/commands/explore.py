"""The command `explore`: many seeds of one test, and of each kind of failure the smallest run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from dissever.campaign import Found, MadeBy
from dissever.commands.asked import TestCommand, asked, shortened
from dissever.commands.options import JSON, QUIET, jobs_option, real_time_limit
from dissever.commands.output import (
    EXIT_FAILED,
    EXIT_STATUS,
    hushed,
    print_json,
    program,
    say,
    tell,
)
from dissever.commands.params import Seeds
from dissever.commands.test import test
from dissever.comparing import Compared
from dissever.exploring import Campaign, Explored, Hear, Progress, explore
from dissever.harness import store
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.harness.runner import CannotRun
from dissever.harness.values import count_text
from dissever.reached import RECORDED, SERVERS
from dissever.workers import jobs_for

SEEDS_MAX: Final = 10_000_000
SEEDS: Final = "1-1000"

SHORT: Final = {"rate": 30.0, "time_limit": 8.0, "fault_interval": 2.5}
"""
Of a simulated run by default: all faults of `-f standard` have time to strike. docs/replay.md has
what runs of other lengths find in the same time.
"""

EVERY_S: Final = 5.0
EVERY_ON_TERMINAL_S: Final = 0.5
"""How often progress is told."""

NEVER_SHOWN: Final = 20
DIFFER_SHOWN: Final = 10

_OTHERS: Final = (
    *("seed", "seeds", "test_count", "until_failure", "keep_data", "dry_run", "print_config"),
    *("quiet", "is_json", "summary"),
)
"""Options of `test` that this command has not, or has as its own."""

_SHARED: Final = [each for each in test.params if each.name not in _OTHERS]


class ExploreCommand(TestCommand):
    """Has the options of `test` that say what a run is."""

    others = [each for each in test.params if each.name in _OTHERS]  # noqa: RUF012 - never changed


@click.command(
    "explore",
    cls=ExploreCommand,
    params=list(_SHARED),
    short_help="Try many seeds, and keep what fails.",
)
@click.option(
    "--seeds",
    type=Seeds(SEEDS_MAX),
    default=SEEDS,
    show_default=True,
    metavar="SEED,…",
    help="Which seeds, such as 1-20000.",
)
@jobs_option("runs")
@real_time_limit("--time-limit-real", purpose="Begin no run after this time on the real clock.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIRECTORY",
    help="The directory of the campaign. If it has one of the same test, that goes on: seeds that"
    " were tried are not tried again. By default a new one in the directory of --runs.",
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="Another campaign of the same test, made elsewhere or in another order: its directory, or"
    " its explored.jsonl. Every seed that both have tried must have the same bytes.",
)
@click.option("--until-failure", is_flag=True, help="Stop after the first run that is invalid.")
@click.option(
    "--expect-invalid",
    is_flag=True,
    help="A canary: the system has a bug that must be found. The exit status is 0 if a run is"
    " invalid, and 1 if none is.",
)
@QUIET
@JSON
@click.pass_context
def explore_(ctx: click.Context, /, **given: Any) -> int:
    """
    Run a test with many seeds, and keep of each kind of failure the smallest run.

    \b
    dissever explore simulated -f partition,kill --seeds 1-20000
    dissever explore simulated --bug stale-read --seeds 1-50 --expect-invalid
    dissever explore raft -f partition,kill,pause --jobs 4 --time-limit-real 3600
    dissever explore simulated --seeds 1-20000 --keep campaigns/nightly
    dissever explore mykv.py -f kill --seeds 1-20 --until-failure
    dissever explore raft -f standard --seeds 1-200 --compare elsewhere/explored.jsonl

    All options of `dissever test` that say what a run is are options here, too. Where the system is
    simulated, the defaults are those of short runs: --time-limit 8 --rate 30 --fault-interval 2.5,
    and --timings exaggerated where the system has that option.
    Ctrl-C ends it, and keeps what was found. With the same --keep it goes on. See docs/replay.md.

    Exit status: as of `dissever test`, by the worst verdict of all runs; 2 if nothing was found,
    and Ctrl-C ended it or a seed has other bytes than in the other campaign; 3 if a run could not
    be made and nothing was found.
    """
    shortened(ctx, SHORT)
    wanted = asked(ctx)
    is_virtual = wanted.options.backend.is_virtual
    jobs = jobs_for(given["jobs"], is_virtual=is_virtual)
    if jobs > 1 and not is_virtual:
        raise click.UsageError(
            f"expected --jobs 1: the backend {wanted.options.backend} has real nodes, and runs side"
            " by side would disturb each other"
        )
    if given["compare"] is not None and not is_virtual:
        raise click.UsageError(
            f"expected no --compare: runs of real nodes ({wanted.options.backend}) never have the"
            " same bytes"
        )
    keep = given["keep"] or _new(wanted.runs, wanted.options)
    campaign = Campaign(
        options=wanted.options,
        system=wanted.system,
        seeds=wanted.seeds,
        keep=keep,
        jobs=jobs,
        limit_s=given["time_limit_real"],
        until_failure=given["until_failure"],
        compare_with=given["compare"],
    )
    try:
        with hushed():
            came = explore(campaign, _unheard if given["quiet"] else _teller())
    except (CannotRun, OSError) as error:
        raise click.ClickException(str(error)) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    status = _status(came, expects_invalid=given["expect_invalid"])
    if given["is_json"]:
        print_json({**msgspec.to_builtins(came), "verdict": came.verdict, "exit_status": status})
    else:
        _print(came, status, expects_invalid=given["expect_invalid"])
    return status


def _new(runs: Path, options: Options) -> Path:
    """The directory of a campaign that has no name."""
    return store.directory_of(runs, options) / f"explored-{store.timestamp(datetime.now(UTC))}"


def _status(came: Explored, *, expects_invalid: bool) -> int:
    if expects_invalid:
        return 0 if came.verdict is Verdict.INVALID else 1
    if came.failures and came.verdict is not Verdict.INVALID:
        return EXIT_FAILED
    return EXIT_STATUS[came.verdict]


def _unheard(_: Progress) -> None:
    """Nobody is told."""


def _teller() -> Hear:
    """Prints a line of progress on standard error from time to time; a terminal shows the last."""
    console = Console(stderr=True)
    every_s = EVERY_ON_TERMINAL_S if console.is_terminal else EVERY_S
    end = "\r" if console.is_terminal else "\n"
    next_s = time.monotonic() + every_s

    def hear(progress: Progress) -> None:
        nonlocal next_s
        now = time.monotonic()
        if now >= next_s or progress.tried == progress.asked:
            next_s = now + every_s
            line = _line(progress)
            if console.is_terminal:
                line = line[: console.width - 1].ljust(console.width - 1)
                end_now = "\n" if progress.tried == progress.asked else end
                console.print(escape(line), end=end_now, highlight=False, soft_wrap=True)
            else:
                tell(line)

    return hear


def _line(progress: Progress) -> str:
    rate = progress.made / progress.seconds if progress.seconds else 0.0
    counts = ", ".join(
        f"{count:,} {each.word}" for each, count in sorted(progress.verdicts.items())
    )
    line = f"{progress.tried:,} of {progress.asked:,} seeds, {rate:,.1f}/s: {counts or 'none yet'}"
    kinds = [f"{each.signature} ({each.runs:,})" for each in progress.found()]
    return "; ".join((line, *kinds))


def _print(came: Explored, status: int, *, expects_invalid: bool) -> None:
    console = Console()
    counts = ", ".join(f"{count:,} {word}" for word, count in came.verdicts.items()) or "none"
    took = f"{came.made:,} in {came.seconds:,.1f} s" if came.made else "none now"
    say(f"{came.tried:,} of {came.asked:,} seeds tried ({took})")
    say(f"all runs of the campaign: {counts}")
    if came.ended:
        say(f"it ended early: {came.ended}")
    for failure in came.failures:
        tell(f"could not be made: {failure}")
    if came.found:
        console.print(_table(came.found))
    servers = [name for name in came.never if name in SERVERS]
    _print_never("any run", [name for name in came.never if name not in SERVERS])
    watched = came.reached.get(RECORDED, 0)
    _print_never(f"the {count_text(watched, 'run')} whose servers were watched", servers)
    for before, now in pairwise(came.makers):
        runs = count_text(before.seeds, "run")
        say(f"what makes the runs has changed after {runs}: {_changes(before, now)}")
    if came.compared is not None:
        _print_compared(came.compared)
    if expects_invalid:
        say("the bug was found" if status == 0 else "expected an invalid run, found none")
    say("")
    if (kept := next((each for each in came.found if each.directory), None)) is not None:
        where = shlex.quote(kept.directory or "")
        say(f"  replay  {program()} replay {where}")
        say(f"  shrink  {program()} shrink {where}")
    say(f"  kept    {came.directory}")
    if came.ended:
        say(f"  go on   the same command with --keep {shlex.quote(came.directory)}")


def _changes(before: MadeBy, now: MadeBy) -> str:
    """What differs between two makers of runs."""
    old, new = before.versions, now.versions
    return ", ".join(
        f"{name} was {old.get(name, 'none')} and is {new.get(name, 'none')}"
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )


def _print_compared(compared: Compared) -> None:
    """Whether each seed has the same bytes in another campaign."""
    both = compared.same + len(compared.differ)
    share = f"{compared.same:,} of {count_text(both, 'seed')}"
    say(f"compared with {compared.path}: {share} {'has' if both == 1 else 'have'} the same bytes")
    for each in compared.differ[:DIFFER_SHOWN]:
        say(f"  seed {each.seed} differs in {each.file}")
    if len(compared.differ) > DIFFER_SHOWN:
        say(f"  and {len(compared.differ) - DIFFER_SHOWN:,} more")
    if compared.only_here or compared.only_there:
        say(f"  not compared: {compared.only_here:,} only here, {compared.only_there:,} only there")
    for line in compared.versions:
        say(f"  {line}")


def _print_never(where: str, names: Sequence[str]) -> None:
    if names:
        left = len(names) - NEVER_SHOWN
        more = f", and {left} more" if left > 0 else ""
        say(f"never seen in {where}: {', '.join(names[:NEVER_SHOWN])}{more}")


def _table(found: tuple[Found, ...]) -> Table:
    table = Table(
        Column("signature", overflow="fold"),
        Column("runs", justify="right"),
        Column("first seed", justify="right"),
        "smallest run",
        box=None,
    )
    for each in found:
        size = each.size
        small = f"seed {each.seed}: {count_text(size.strikes, 'fault')}, {size.events:,} events,"
        small += f" {size.time_ns / 1e9:.3f} s"
        table.add_row(escape(each.signature), f"{each.runs:,}", str(each.first), small)
    return table
