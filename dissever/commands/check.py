"""The commands `check` and `report`: judge a history again, and write its page again."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from dissever.checkers.linearizability.model import Misfit
from dissever.checkers.transactions.models import SERIALIZABLE
from dissever.commands.options import RUN
from dissever.commands.output import EXIT_STATUS, print_json, print_verdict, say, tell
from dissever.commands.params import ConsistencyModel, Name, Number, Reference, References, RunPath
from dissever.harness import store
from dissever.harness.reader import FormatError
from dissever.judging import (
    Judged,
    Progress,
    StaleResults,
    judge,
    judge_file,
    publish,
    read_judged,
    render,
    try_to_publish,
)
from dissever.recorded import WORKLOADS
from dissever.registries import CHECKERS, MODELS

log = logging.getLogger(__name__)


@click.command(short_help="Judge a recorded history again.")
@click.argument("path", type=RunPath(may_be_file=True))
@click.option(
    "--model",
    "-m",
    type=Reference(MODELS),
    help="What a history file must be linearizable as. Default: cas-register, unless the file holds"
    " transactions or a bank.",
)
@click.option(
    "--workload",
    "-w",
    type=Name("workload", tuple(WORKLOADS)),
    help="What a history file holds: transactions over lists (append) or registers (wr), or the"
    " transfers of a bank. Default: as its content says.",
)
@click.option(
    "--consistency-model",
    type=ConsistencyModel(),
    help="What transactions of a history file must keep: serializable by default. `dissever list`"
    " names the models.",
)
@click.option(
    "--checker",
    "checkers",
    type=References(CHECKERS),
    default="",
    metavar="REFERENCE,…",
    help="Of a run: checkers of yours that judge it, too, such as mine.py:NoGaps.",
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
    metavar="FILE",
    help="Write the report page of a history file.",
)
@click.option("--json", "is_json", is_flag=True, help="Print the results as JSON, and only that.")
@click.option(
    "--ok-min",
    type=Number("ok_min"),
    metavar="N",
    help="Of a run: how many operations of each kind must have succeeded under faults.",
)
def check(
    path: Path,
    model: str | None,
    workload: str | None,
    consistency_model: str | None,
    checkers: tuple[str, ...],
    keyed: bool,
    initial: str | None,
    nil: str,
    html: Path | None,
    is_json: bool,
    ok_min: int | None,
) -> int:
    """
    Judge a run directory, or a history file from anywhere.

    A file may be JSON, Jepsen's or Knossos' EDN, a log with operations in its lines (history.txt,
    jepsen.log), or one of Porcupine's texts; it may be compressed. The content decides which it is,
    not the name. `dissever list` names the models. Transactions are judged by the anomalies that
    their consistency model forbids; those that it allows are named, and do not count.

    \b
    dissever check runs/latest
    dissever check history.edn --model cas-register --html report.html
    dissever check c50-bad.txt --model kv
    dissever check history.jsonl --model mymodel.py:LeaseLock
    dissever check runs/latest --checker mine.py:NoGaps
    dissever check append.edn --consistency-model strict-serializable
    dissever check history.json --workload wr --consistency-model snapshot-isolation --json
    """
    if path.is_dir() and html is not None:
        raise click.UsageError("--html is for history files; a run has index.html in its directory")
    if path.is_file() and checkers:
        raise click.UsageError("--checker is for runs; what judges a history file is its --model")
    if path.is_file() and model is not None and (workload or consistency_model):
        other = "--workload" if workload else "--consistency-model"
        raise click.UsageError(f"--model is for single objects, {other} for transactions: give one")
    if path.is_dir() and (workload or consistency_model):
        given = "--workload" if workload else "--consistency-model"
        raise click.UsageError(f"{given} is for history files; a run has its own in its plan")
    run, page, unwritten = None, html, ""
    try:
        if path.is_dir():
            run = path
            _withdraw(run)
            with _showing(run.name) as progress:
                judged = judge(run, ok_min, checkers, progress)
                progress("writing the report")
                page, unwritten = try_to_publish(run, judged)
        else:
            judged = _judged(
                path,
                model,
                workload=workload,
                consistency_model=consistency_model or SERIALIZABLE,
                keyed=keyed,
                initial=_value(initial),
                nil_is_unknown=nil == "unknown",
            )
    except Misfit as error:
        raise click.UsageError(str(error)) from error
    except (OSError, FormatError, store.BrokenFile) as error:
        raise click.ClickException(f"{path}: {error}") from error
    for note in judged.notes:
        tell(f"note: {note}")
    if html is not None:
        page, unwritten = _write(html, judged)
    if is_json:
        print_json(judged.results)
    else:
        print_verdict(judged, page, run)
    if unwritten:
        tell(unwritten)
    return EXIT_STATUS[judged.results.verdict]


def _value(text: str | None) -> Any:
    """A value as it is typed: JSON, nil, or a text or keyword without quotes."""
    if text is None or text == "nil":
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text.removeprefix(":")


def _withdraw(run: Path) -> None:
    """What an earlier check said must not outlive this one, however this one ends."""
    with contextlib.suppress(OSError):  # Nothing can be written then, and this check says so.
        store.withdraw(run)


def _judged(
    path: Path,
    model: str | None,
    *,
    workload: str | None,
    consistency_model: str,
    keyed: bool,
    initial: Any,
    nil_is_unknown: bool,
) -> Judged:
    """A history file, with what happens on the terminal meanwhile."""
    with _showing(path.name) as progress:
        progress("reading")
        return judge_file(
            path,
            model,
            workload=workload,
            consistency_model=consistency_model,
            keyed=keyed,
            initial=initial,
            nil_is_unknown=nil_is_unknown,
            progress=progress,
        )


@contextlib.contextmanager
def _showing(name: str) -> Iterator[Progress]:
    """What hears what goes on; it is shown on a terminal, and logged."""
    with Console(stderr=True).status(escape(name)) as status:

        def progress(what: str) -> None:
            log.info("%s: %s", name, what)
            status.update(escape(f"{name}: {what}"))

        yield progress


def _write(html: Path, judged: Judged) -> tuple[Path | None, str]:
    """The page's path, or None and why there is none."""
    try:
        store.write_text(html, render(judged))
    except OSError as error:
        return None, f"{html} could not be written: {error.strerror or error}"
    return html, ""


@click.command(short_help="Write the report of a run again.")
@RUN
def report(run: Path) -> int:
    """
    Write the HTML page and the JUnit file of a run from its results.

    \b
    dissever report runs/latest
    """
    try:
        say(publish(run, read_judged(run)))
    except (FileNotFoundError, StaleResults) as error:
        raise click.ClickException(f"{error}; `dissever check {run}` judges the run") from error
    except (OSError, FormatError, store.BrokenFile) as error:
        raise click.ClickException(f"{run}: {error}") from error
    return 0
