"""The commands `check` and `report`: judge a history again, and write its page again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from dissever.checkers.linearizability.model import Misfit
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
@click.option("--keyed", is_flag=True, help="Values of a history file are [key value] pairs.")
@click.option(
    "--initial",
    metavar="VALUE",
    help="What each object of a history file holds at first, as JSON; a text may stand alone.",
)
@click.option(
    "--nil",
    type=click.Choice(["value", "unknown"]),
    default="value",
    show_default=True,
    help="What a read of nil says: that nothing was there, or as in Knossos, nothing at all.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Write the report page of a history file.",
)
@click.option("--json", "is_json", is_flag=True, help="Print the results as JSON, and only that.")
def check(
    path: Path,
    model: str,
    keyed: bool,
    initial: str | None,
    nil: str,
    html: Path | None,
    is_json: bool,
) -> int:
    """
    Judge a run directory, or a history file from anywhere.

    A file may be JSON, Jepsen's or Knossos' EDN, a log with operations in its lines (history.txt,
    jepsen.log), or one of Porcupine's texts; it may be compressed. The content decides which it is,
    not the name. `dissever list` names the models.

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
            judged = _judged(path, model, keyed, _value(initial), nil == "unknown")
    except Misfit as error:
        raise click.UsageError(str(error)) from error
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


def _value(text: str | None) -> Any:
    """A value as it is typed: JSON, nil, or a text or keyword without quotes."""
    if text is None or text == "nil":
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text.removeprefix(":")


def _judged(path: Path, model: str, keyed: bool, initial: Any, nil_is_unknown: bool) -> Judged:
    """A history file, with what happens on the terminal meanwhile."""
    with Console(stderr=True).status(f"{path.name}: reading") as status:

        def progress(what: str) -> None:
            log.info("%s: %s", path.name, what)
            status.update(f"{path.name}: {what}")

        return judge_file(
            path,
            model,
            keyed=keyed,
            initial=initial,
            nil_is_unknown=nil_is_unknown,
            progress=progress,
        )


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
