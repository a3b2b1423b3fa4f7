"""The command `runs`: which runs are kept, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from msgspec import structs
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dissever.commands.choosing import FOLDER, query_of, query_options
from dissever.commands.output import print_json, say, tell
from dissever.harness.results import Verdict
from dissever.harness.values import count_text, printable, shorten
from dissever.runs import State, Stored, index
from dissever.runs.units import short_age, size_text

LIMIT: Final = 20
FAULTS_SHOWN: Final = 3

HEADS: Final = ("age", "verdict", "test", "faults", "seed", "ops", "size")
RIGHT: Final = frozenset({"age", "seed", "ops", "size"})

STYLES: Final = {Verdict.VALID: "green", Verdict.UNKNOWN: "yellow", Verdict.INVALID: "bold red"}


@click.command(name="runs", short_help="List the runs that are kept.")
@FOLDER
@query_options
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=LIMIT,
    show_default=True,
    metavar="N",
    help="How many runs the table shows; 0: all.",
)
@click.option("--json", "is_json", is_flag=True, help="Print all of them as JSON, and only that.")
@click.option("--paths", "is_paths", is_flag=True, help="Print a path a line, and only that.")
def runs_(folder: Path, limit: int, is_json: bool, is_paths: bool, **chosen: Any) -> int:
    """
    List the runs of a folder, newest first: runs/ by default.

    \b
    dissever runs
    dissever runs --verdict invalid --since 7d
    dissever runs --system dqlite --fault partition --signature linearizable/stale-read
    dissever runs --json | jq -r '.runs[] | select(.size_bytes > 1e9) | .path'
    dissever runs --paths --verdict unknown | xargs -n 1 dissever check

    What cannot be read is listed with the reason. The exit status is 0, also if no run matches.
    """
    if is_json and is_paths:
        raise click.UsageError("--json and --paths: give one")
    try:
        found = index(folder)
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror or error}") from error
    meant = query_of(chosen).of(found.runs)
    if is_json:
        print_json(
            {
                "folder": printable(str(folder)),
                "latest": printable(found.latest),
                "runs": [_safe(run) for run in meant],
                "troubles": [printable(each) for each in found.troubles],
            }
        )
    elif is_paths:
        for run in meant:
            say(printable(str(folder / run.path)))
    else:
        _print(meant, limit, latest=found.latest, of=len(found.runs))
    if not is_json:
        for trouble in found.troubles:
            tell(f"cannot be read: {printable(trouble)}")
    return 0


def _safe(run: Stored) -> Stored:
    """A name of a file may hold bytes that are no text."""
    return structs.replace(run, path=printable(run.path))


def _print(runs: Sequence[Stored], limit: int, *, latest: str, of: int) -> None:
    """Two lines a run: what it was, and where it is with what was found."""
    shown = runs[:limit] if limit else runs
    now = datetime.now(UTC)
    rows = [HEADS, *(_row(run, now) for run in shown)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    console = Console()
    for row, run in zip(rows, (None, *shown), strict=True) if shown else ():
        line = Text("  ").join(
            Text(cell.rjust(width) if title in RIGHT else _ljust(cell, width))
            for cell, width, title in zip(row, widths, HEADS, strict=True)
        )
        if run is None:
            line.stylize("dim")
        elif style := _style(run):
            start = widths[0] + 2
            line.stylize(style, start, start + widths[1])
        console.print(line, soft_wrap=True, highlight=False)
        if run is not None:
            where = printable(_where(run, is_latest=run.path == latest))
            console.print(Text(f"{' ' * widths[0]}  {where}", style="dim"), soft_wrap=True)
    size = size_text(sum(run.size_bytes for run in runs))
    among = "" if len(runs) == of else f" of {of:,}"
    more = len(runs) - len(shown)
    rest = f"; {more:,} more are not shown, --limit 0 shows all" if more else ""
    console.print(f"{count_text(len(runs), 'run')}{among}, {size}{rest}", highlight=False)


def _row(run: Stored, now: datetime) -> tuple[str, ...]:
    cells = (
        short_age((now - run.started_at).total_seconds()),
        _verdict(run),
        f"{shorten(run.system, 24)}, {shorten(run.workload, 24)}",
        faults_text(run.faults),
        "" if run.seed is None else str(run.seed),
        "" if run.operations is None else f"{run.operations:,}",
        size_text(run.size_bytes),
    )
    return tuple(map(printable, cells))


def _ljust(text: str, width: int) -> str:
    """Of characters that take two cells there are fewer."""
    return text + " " * (width - cell_len(text))


def _verdict(run: Stored) -> str:
    """The verdict, or why there is none."""
    if run.state is State.JUDGED and run.verdict is not None:
        return run.verdict.word
    return run.state.value


def _style(run: Stored) -> str:
    if run.state is State.JUDGED and run.verdict is not None:
        return STYLES[run.verdict]
    return "cyan" if run.state is State.RUNNING else ""


def _where(run: Stored, *, is_latest: bool) -> str:
    """The path, then the first signature, or what is broken."""
    what = run.broken or (run.signatures[0] if run.signatures else "")
    name = f"{run.path} (latest)" if is_latest else run.path
    return f"{name}  {shorten(what, 120)}" if what else name


def faults_text(faults: Sequence[str]) -> str:
    """The names of a few, or how many there are."""
    if len(faults) > FAULTS_SHOWN:
        return count_text(len(faults), "fault")
    return ", ".join(shorten(fault, 24) for fault in faults) or "no fault"
