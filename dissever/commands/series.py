"""Runs one after the other, one for each seed, with a table of their verdicts at the end."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from dissever.commands.asked import Asked
from dissever.commands.output import conclude, entry_of, print_verdict, tell
from dissever.display import Display
from dissever.harness.results import Verdict
from dissever.harness.runner import INTERRUPTED, CannotRun
from dissever.reports import Entry
from dissever.running import Run, run

__all__ = ["run_all"]


def run_all(
    wanted: Asked, *, is_quiet: bool, is_json: bool, summary: Path | None, until_failure: bool
) -> int:
    """
    Make the runs; the exit status is the greatest verdict of those that were made.

    If one cannot be made, no other is tried. The status is then 1 if an earlier run was invalid,
    and 3 otherwise.

    Raises:
        click.ClickException: When the only run cannot be made.
    """
    entries: list[Entry] = []
    failed = ""
    for number, seed in enumerate(wanted.seeds, 1):
        if len(wanted.seeds) > 1:
            tell(f"run {number} of {len(wanted.seeds)}, seed {seed}")
        try:
            ended = run(
                wanted.with_seed(seed),
                wanted.system,
                runs=wanted.runs,
                observe=partial(Display, console=Console(stderr=True), is_quiet=is_quiet),
                keeps_data=wanted.keeps_data,
            )
        except (CannotRun, OSError) as error:
            if not entries:
                raise click.ClickException(str(error)) from error
            failed = f"the run with seed {seed} could not be made: {error}"
            break
        except KeyboardInterrupt:
            if not entries:
                raise
            failed = f"the run with seed {seed} was interrupted, and is not judged"
            break
        entries.append(_told(ended, is_json=is_json))
        if ended.interruption == INTERRUPTED or (until_failure and not ended.is_valid):
            break
    if len(wanted.seeds) > 1 and not is_json:
        _print_table(entries, left=len(wanted.seeds) - len(entries))
    if failed:
        tell(failed)
    return conclude(entries, is_json=is_json, summary=summary, failed=failed)


def _told(ended: Run, *, is_json: bool) -> Entry:
    """Print what came of a run, where people read it."""
    if not is_json:
        print_verdict(ended.judged, ended.page, ended.directory)
    if ended.unwritten:
        tell(ended.unwritten)
    return entry_of(ended.judged, ended.directory, ended.page)


def _print_table(entries: list[Entry], left: int) -> None:
    """A line for each run, and how many were valid."""
    table = Table(
        Column("seed", justify="right"),
        "verdict",
        "found",
        Column("run", overflow="fold"),
        box=None,
    )
    for each in entries:
        seed = "" if each.seed is None else str(each.seed)
        table.add_row(seed, each.verdict.word, escape(each.found), escape(each.directory))
    console = Console()
    console.print(table)
    valid = sum(each.verdict is Verdict.VALID for each in entries)
    rest = f"; {left} not made" if left else ""
    console.print(f"{valid} of {len(entries)} runs valid{rest}", highlight=False)
