"""The command `reproduce`: known bugs of dqlite by name, and what came of the search for each."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dissever.commands.options import runs_option
from dissever.commands.output import print_json
from dissever.commands.params import Duration, Name, Names
from dissever.display import Display
from dissever.harness.cluster.backends import Backend
from dissever.harness.values import printable
from dissever.reproduction import LIMIT_S, Outcome, Reproduction, Target, search
from dissever.systems.dqlite.bugs import BUGS, RELEASES
from dissever.systems.dqlite.images import VERSIONS

EXIT_STATUS = {Outcome.SHOWN: 0, Outcome.NOT_SHOWN: 1, Outcome.CANNOT_RUN: 3}
MARKS = {Outcome.SHOWN: "[red]✗[/]", Outcome.NOT_SHOWN: "[green]✓[/]", Outcome.CANNOT_RUN: "-"}


@click.command(short_help="Find the known bugs of dqlite again.")
@click.argument("names", nargs=-1, type=Name("bug", tuple(BUGS)), metavar="[NAME]...")
@click.option("--all", "is_all", is_flag=True, help="Every bug, one after another.")
@click.option(
    "--version",
    "versions",
    type=Names("version", tuple(VERSIONS)),
    default=(),
    metavar="NAME,…",
    help=f"Of the library, in containers: {', '.join(VERSIONS)}. By default this machine's.",
)
@click.option(
    "--backend",
    type=Name("backend", (Backend.NAMESPACES, Backend.CONTAINERS, Backend.SIMULATED)),
    help="Where nodes run: by default containers with --version, and namespaces without."
    " Simulated nodes run the code of libdqlite in virtual time.",
)
@click.option(
    "--time-limit",
    "-t",
    type=Duration("time_limit_s"),
    default=f"{LIMIT_S:g}s",
    show_default=True,
    help="How long to search for a bug that comes by chance.",
)
@runs_option("Where logs and reports are kept.")
@click.option("--json", "is_json", is_flag=True, help="Print the outcomes as JSON, and only that.")
def reproduce(
    names: tuple[str, ...],
    is_all: bool,
    versions: tuple[str, ...],
    backend: str | None,
    time_limit: float,
    runs: Path,
    is_json: bool,
) -> int:
    """
    Find known bugs of dqlite again, in the libraries that have them; without a name, list them.

    \b
    dissever reproduce
    dissever reproduce stale-read
    dissever reproduce lost-writes --version debian12,debian13
    dissever reproduce ghost-write --backend simulated
    dissever reproduce --all --json

    Exit status: 0 shown, 1 not shown in the time, 3 cannot run here, 64 wrong usage. Of several
    the greatest counts.
    """
    chosen = tuple(BUGS) if is_all else names
    if not chosen:
        _print_bugs()
        return 0
    if backend == Backend.NAMESPACES and versions:
        raise click.UsageError(
            "expected --version with --backend containers: namespaces run this machine's library"
        )
    if backend == Backend.SIMULATED and versions:
        raise click.UsageError(
            "expected --version with --backend containers: a simulator has one library"
        )
    if backend == Backend.CONTAINERS and not versions:
        versions = tuple(VERSIONS)[:1]
    targets = [Target(Backend.CONTAINERS, version) for version in versions]
    here = Target(Backend.SIMULATED if backend == Backend.SIMULATED else Backend.NAMESPACES)
    console = Console(stderr=True)
    reproductions = []
    for name in chosen:
        for target in targets or [here]:
            console.print(f"[bold]{name}[/] {target}: {BUGS[name].summary}", highlight=False)
            reproductions.append(
                search(
                    BUGS[name],
                    target,
                    time_limit,
                    runs,
                    say=partial(_say, console),
                    observe=partial(Display, console=console, is_quiet=not console.is_terminal),
                )
            )
            _print_outcome(console, reproductions[-1])
    if is_json:
        print_json(reproductions)
    return max(EXIT_STATUS[each.outcome] for each in reproductions)


def _say(console: Console, line: str) -> None:
    console.print(f"  {escape(printable(line))}", highlight=False, soft_wrap=True)


def _print_bugs() -> None:
    table = Table(box=None)
    for title in ("bug", *RELEASES):
        table.add_column(title, no_wrap=True)
    table.add_column("what")
    for bug in BUGS.values():
        has = ("yes" if release in bug.releases else "-" for release in RELEASES)
        what = f"{bug.summary} ({bug.references})"
        table.add_row(f"[bold]{bug.name}[/]", *has, escape(what))
    console = Console()
    console.print("Releases of libdqlite that are expected to have it; one name searches for it:\n")
    console.print(table)


def _print_outcome(console: Console, found: Reproduction) -> None:
    outcome = f"{found.outcome.value} in {found.seconds:g} s"
    if found.outcome is Outcome.CANNOT_RUN:
        outcome = f"{found.outcome.value}: {escape(found.seen[-1])}"
    surprise = " [yellow](not what is on record)[/]" if found.is_expected is False else ""
    library = f", libdqlite {found.release}" if found.release else ""
    line = f"{MARKS[found.outcome]} [bold]{found.bug}[/]{library}: {outcome}{surprise}"
    console.print(line, highlight=False, soft_wrap=True)
    if found.run:
        console.print(f"  kept in {found.run}\n", highlight=False, soft_wrap=True)
