"""The commands `check` and `report`: judge a history again, and write its page again."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import msgspec
from rich.console import Console

from dissever.checkers.linearizability.models import NAMES
from dissever.commands.output import EXIT_STATUS, print_json, print_verdict
from dissever.commands.params import Name
from dissever.harness import store
from dissever.harness.history import MalformedHistory
from dissever.harness.reader import FormatError
from dissever.judging import Judged, judge, judge_file, publish, read_judged, render

log = logging.getLogger(__name__)


@click.command(short_help="Judge a recorded history again.")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--model",
    "-m",
    type=Name("model", NAMES),
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

    A file may be JSON lines, a JSON array, Jepsen's or Knossos' EDN, or one of Porcupine's texts.
    The content decides which it is, not the name. `dissever list` names the models.

    \b
    dissever check runs/latest
    dissever check history.edn --model cas-register --html report.html
    dissever check c50-bad.txt --model kv
    """
    if path.is_dir() and html is not None:
        raise click.UsageError("--html is for history files; a run has index.html in its directory")
    run, page = None, html
    try:
        if path.is_dir():
            run = store.find_run(path)
            judged = judge(run)
            page = publish(run, judged)
        else:
            judged = _judged(path, model, keyed)
    except (OSError, FormatError, msgspec.DecodeError) as error:
        raise click.ClickException(f"{path}: {error}") from error
    for note in judged.notes:
        click.echo(f"note: {note}", err=True)
    if html is not None:
        _write(html, judged)
    if is_json:
        print_json(judged.results)
    else:
        print_verdict(judged, page, run)
    return EXIT_STATUS[judged.results.verdict]


def _judged(path: Path, model: str, keyed: bool) -> Judged:
    """A history file, with what happens on the terminal meanwhile."""
    with Console(stderr=True).status(f"{path.name}: reading") as status:

        def progress(what: str) -> None:
            log.info("%s: %s", path.name, what)
            status.update(f"{path.name}: {what}")

        return judge_file(path, model, keyed=keyed, progress=progress)


def _write(html: Path, judged: Judged) -> None:
    try:
        html.write_text(render(judged), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{html}: {error}") from error


@click.command(short_help="Write the report of a run again.")
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="RUN")
def report(path: Path) -> int:
    """
    Write the HTML page and the JUnit file of a run from its results.

    \b
    dissever report runs/latest
    """
    try:
        run = store.find_run(path)
        click.echo(publish(run, read_judged(run)))
    except FileNotFoundError as error:
        raise click.ClickException(
            f"{error}; `dissever check {path}` judges the run first"
        ) from error
    except (OSError, FormatError, MalformedHistory, msgspec.DecodeError) as error:
        raise click.ClickException(f"{path}: {error}") from error
    return 0
