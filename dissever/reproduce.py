"""The command `reproduce`: known bugs of dqlite by name, and what came of the search for each."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dissever.harness.cluster import backends
from dissever.known_bugs import LIMIT_S, Finding, Outcome, Target
from dissever.known_bugs import reproduce as search_for
from dissever.params import Name, Names
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
    type=Name("backend", (backends.NAMESPACES, backends.CONTAINERS)),
    help="Where nodes run: by default containers with --version, and namespaces without.",
)
@click.option(
    "--time-limit",
    "-t",
    type=click.FloatRange(0.1, 86_400),
    default=LIMIT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to search for a bug that comes by chance.",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Where logs and reports are kept.",
)
@click.option("--json", "is_json", is_flag=True, help="Print the findings as JSON, and only that.")
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
    dissever reproduce --all --json

    Exit status: 0 shown, 1 not shown in the time, 3 cannot run here, 64 wrong usage. Of several
    the greatest counts.
    """
    chosen = tuple(BUGS) if is_all else names
    if not chosen:
        _print_bugs()
        return 0
    if backend == backends.NAMESPACES and versions:
        raise click.UsageError(
            "expected --version with --backend containers: namespaces run this machine's library"
        )
    if backend == backends.CONTAINERS and not versions:
        versions = tuple(VERSIONS)[:1]
    targets = [Target(backends.CONTAINERS, version) for version in versions]
    console = Console(stderr=True)
    findings = []
    for name in chosen:
        for target in targets or [Target(backends.NAMESPACES)]:
            console.print(f"[bold]{name}[/] {target}: {BUGS[name].summary}", highlight=False)
            finding = search_for(
                BUGS[name],
                target,
                time_limit,
                runs,
                lambda line: console.print(f"  {escape(line)}", highlight=False, soft_wrap=True),
            )
            _print_finding(console, finding)
            findings.append(finding)
    if is_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    return max(EXIT_STATUS[each.outcome] for each in findings)


def _print_bugs() -> None:
    table = Table(box=None)
    for title in ("bug", *RELEASES):
        table.add_column(title, no_wrap=True)
    table.add_column("what")
    for bug in BUGS.values():
        has = ("yes" if release in bug.releases else "-" for release in RELEASES)
        told = f"{bug.summary} ({bug.references})"
        table.add_row(f"[bold]{bug.name}[/]", *has, escape(told))
    console = Console()
    console.print("Releases of libdqlite that are expected to have it; one name searches for it:\n")
    console.print(table)


def _print_finding(console: Console, finding: Finding) -> None:
    told = f"{finding.outcome.value} in {finding.seconds:g} s"
    if finding.outcome is Outcome.CANNOT_RUN:
        told = f"{finding.outcome.value}: {escape(finding.seen[-1])}"
    surprise = " [yellow](not what is on record)[/]" if finding.is_expected is False else ""
    library = f", libdqlite {finding.release}" if finding.release else ""
    mark = MARKS[finding.outcome]
    line = f"{mark} [bold]{finding.bug}[/]{library}: {told}{surprise}"
    console.print(line, highlight=False, soft_wrap=True)
    if finding.run:
        console.print(f"  kept in {finding.run}\n", highlight=False, soft_wrap=True)
