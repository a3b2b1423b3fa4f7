"""The command `replay`: a recorded run once more, and how often it fails in the same way."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from dissever import planning
from dissever.anchoring import schedule_text
from dissever.attempts import Attempt
from dissever.commands.options import JSON, QUIET, RUN, runs_option, signature_option
from dissever.commands.output import EXIT_FAILED, EXIT_STATUS, print_json, say, tell
from dissever.harness import store
from dissever.harness.plan import Options
from dissever.harness.results import Verdict
from dissever.harness.runner import CannotRun
from dissever.harness.values import count_text
from dissever.replaying import Hear, Recorded, Replayed, at_home, follow, recorded, rerun
from dissever.replaying import replay as make
from dissever.signature import Signature
from dissever.systems import load

TIMES_EXACT: Final = 1
TIMES_REAL: Final = 5
TIMES_MAX: Final = 10_000

BY_TIME: Final = "time"
BY_EVENTS: Final = "events"


@click.command(short_help="Repeat a recorded run: does it fail again?")
@RUN
@click.option(
    "--times",
    "-n",
    type=click.IntRange(1, TIMES_MAX),
    metavar="N",
    help=f"How often. By default {TIMES_EXACT} in simulation, where each has the same history, and"
    f" {TIMES_REAL} on real nodes.",
)
@click.option(
    "--anchor",
    type=click.Choice([BY_TIME, BY_EVENTS]),
    default=BY_TIME,
    show_default=True,
    help="When each fault strikes: at its time, or as long after an event of the cluster as then.",
)
@signature_option(
    "Which failure of the run to look for, such as linearizable/stale-read/read. By default that of"
    " its verdict."
)
@runs_option("Where a replay is kept that shows the failure on real nodes, or that differs.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the schedule of faults of a replay, as a file for --plan of `dissever test`, and"
    " stop.",
)
@QUIET
@JSON
def replay(
    run: Path,
    times: int | None,
    anchor: str,
    signature: str,
    runs: Path,
    dry_run: bool,
    is_json: bool,
    quiet: bool,
) -> int:
    """
    Repeat the recorded run of directory RUN, and say how often it fails in the same way.

    \b
    dissever replay runs/latest
    dissever replay runs/latest --times 100
    dissever replay runs/latest --signature nodes/crash/SIGSEGV
    dissever replay runs/dqlite/set/20261130T071014.095Z-7 --times 20 --anchor events

    A simulated run is repeated exactly: its history must be the same to the byte. On real nodes the
    same faults strike the same nodes at the same times; `--anchor events` lets each follow what the
    cluster did before it instead. A failure is the same if its signature is: checker, anomaly,
    shape and role. See docs/replay.md.

    Exit status: as of `dissever test`, by the worst verdict of the replays, so 1 if it failed
    again; 2 if a simulated replay differs from the run and none is invalid.
    """
    try:
        before = recorded(run, signature)
        options = follow(before) if anchor == BY_EVENTS else rerun(before)
        if dry_run:
            with at_home(before.plan):
                say(_schedule(options))
            return 0
        is_exact = options.backend.is_virtual and anchor == BY_TIME
        came = make(
            before,
            options,
            times=times or (TIMES_EXACT if options.backend.is_virtual else TIMES_REAL),
            keep=_new(runs, before),
            is_exact=is_exact,
            hear=_unheard if quiet or is_json else _told(before),
        )
    except (CannotRun, OSError, ValueError, store.BrokenFile) as error:
        raise click.ClickException(str(error)) from error
    status = EXIT_STATUS[came.verdict]
    if came.failures and came.verdict is not Verdict.INVALID:
        status = EXIT_FAILED
    if is_json:
        print_json({**msgspec.to_builtins(came), "verdict": came.verdict, "exit_status": status})
    else:
        _print(came)
    return status


def _schedule(options: Options) -> str:
    """The operations of the faults of a replay, an event a line."""
    with_nodes = planning.schedule(options, load(options.system))
    return schedule_text(with_nodes).rstrip()


def _new(runs: Path, before: Recorded) -> Path:
    """The directory of a replay that is kept."""
    options = before.plan.options
    name = f"replayed-{store.timestamp(datetime.now(UTC))}-{options.seed}"
    return store.directory_of(runs, options) / name


def _unheard(_: int, __: Attempt) -> None:
    """Nobody is told."""


def _told(before: Recorded) -> Hear:
    """Print a line for each replay on standard error."""

    def hear(number: int, tried: Attempt) -> None:
        is_shown = bool(before.signature) and tried.shows(before.signature)
        found = f"the same: {before.signature}" if is_shown else tried.signature
        tell(f"replay {number}: {tried.verdict.word}{f', {found}' if found else ''}")

    return hear


def _recorded(signature: str) -> str:
    """What the recorded run had come to."""
    if not signature:
        return "the run shows no failure"
    if Signature.parsed(signature).name == Verdict.UNKNOWN.word:
        return f"the run is unknown: {signature}"
    return f"the run shows the failure {signature}"


def _print(came: Replayed) -> None:
    say(_recorded(came.signature))
    share = f"{came.shown} of {count_text(came.tried, 'replay')}"
    if came.identical is not None:
        same = "identical" if came.identical == came.tried else "not all identical"
        say(f"{same}: {came.identical} of {came.tried} have the same history to the byte")
    again = "it again" if came.signature else "no failure again"
    is_sure = came.identical is not None and came.identical == came.tried > 0
    interval = "" if is_sure else f" (95 % interval: {came.low:.0%} to {came.high:.0%})"
    say(f"{share} {'shows' if came.tried == 1 else 'show'} {again}{interval}")
    for signature, count in came.others.items():
        say(f"another failure: {signature} in {count} of {came.tried}")
    if (differs := came.difference) is not None:
        say(f"the first difference is event {differs.event} of {store.HISTORY}:")
        say(f"  recorded  {differs.recorded}")
        say(f"  replayed  {differs.replayed}")
        if differs.why:
            say(f"  versions differ: {differs.why}")
    for failure in came.failures:
        tell(f"could not be made: {failure}")
    if came.ended:
        say(f"it ended early: {came.ended}")
    if came.kept:
        say(f"  kept    {came.kept}")
