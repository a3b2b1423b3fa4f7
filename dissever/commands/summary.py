"""The command `summary`: several runs together, for a CI server."""

from __future__ import annotations

from pathlib import Path

import click

from dissever.commands.gathering import judged_or_unknown, runs_in
from dissever.commands.options import SUMMARY
from dissever.commands.output import conclude, entry_of, say, tell
from dissever.harness import store
from dissever.reports import junit_suite, overview, render_markdown, render_suites


@click.command(short_help="Sum up several runs: Markdown, JSON, JUnit, annotations.")
@click.argument(
    "paths", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True, metavar="RUN…"
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON instead of Markdown.")
@SUMMARY
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write one JUnit file with a test suite for each run.",
)
def summary(
    paths: tuple[Path, ...], is_json: bool, summary: Path | None, junit: Path | None
) -> int:
    """
    Sum up runs that have ended: run directories, or folders that hold some.

    In GitHub Actions it also annotates the job, once for each kind of finding. The exit status is
    the greatest verdict of the runs. A run without results is unknown, with the reason.

    \b
    dissever summary runs
    dissever summary runs/mykv runs/simulated/set --junit junit.xml --summary summary.md
    dissever summary runs --json | jq -r '.runs[] | select(.verdict != "valid") | .repeat'
    """
    suites, entries = [], []
    for run in runs_in(paths):
        judged = judged_or_unknown(run)
        page = run / store.REPORT
        suites.append(
            junit_suite(
                judged.subject, judged.history, judged.results, str(page), counted=judged.figures
            )
        )
        entries.append(entry_of(judged, run, page if page.exists() else None))
    if not is_json:
        say(render_markdown(overview(entries)).rstrip())
    if junit is not None:
        try:
            store.write_text(junit, render_suites(suites))
        except OSError as error:
            tell(f"{junit} could not be written: {error.strerror or error}")
    return conclude(entries, is_json=is_json, summary=summary)
