"""The command `export`: a run in the format of another program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from dissever.commands.gathering import judged_or_unknown, runs_in
from dissever.commands.output import program, say, tell
from dissever.commands.params import Name, RunPath
from dissever.exporting import record_of_file, record_of_judged, record_of_run
from dissever.harness import store
from dissever.harness.history import MalformedHistory
from dissever.harness.reader import FormatError
from dissever.harness.values import count_text
from dissever.reports.exports import FORMATS, CannotExport, Format, Record

STANDARD_OUTPUT = Path("-")


@click.command(short_help="Write a run in the format of another program.")
@click.argument(
    "paths", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True, metavar="RUN…"
)
@click.option(
    "--format",
    "-f",
    "name",
    type=Name("format", tuple(FORMATS)),
    required=True,
    help="; ".join(f"{name}: {each.what}" for name, each in FORMATS.items()) + ".",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=STANDARD_OUTPUT,
    metavar="FILE",
    help="Where to write it. Without this option, or with -, to standard output.",
)
def export(paths: tuple[Path, ...], name: str, output: Path) -> int:
    """
    Write a run in a format that other programs read.

    \b
    dissever export runs/latest --format markdown
    dissever export runs --format markdown -o comment.md
    dissever export runs/latest --format trace -o trace.json
    dissever export runs/latest --format otlp -o spans.jsonl
    dissever export runs/latest --format edn -o history.edn
    dissever export runs/latest --format parquet -o operations.parquet
    dissever export runs/latest --format parquet-faults -o faults.parquet

    RUN is a run directory or, except for markdown, a history file of any format that `dissever
    check` reads. Only markdown takes several runs, and folders of runs. Nothing is judged: the
    verdict is the one that the run has. The exit status is 0 once everything is written.
    """
    format_ = FORMATS[name]
    try:
        records = _records(paths, name, format_)
        _write(format_.write(records), output, name, format_)
    except CannotExport as error:
        raise click.ClickException(str(error)) from error
    except (FormatError, MalformedHistory, store.BrokenFile) as error:
        raise click.ClickException(f"{paths[0]}: {error}") from error
    except OSError as error:
        place = error.filename or (output if output != STANDARD_OUTPUT else "standard output")
        raise click.ClickException(f"{place}: {error.strerror or error}") from error
    return 0


def _records(paths: tuple[Path, ...], name: str, format_: Format) -> list[Record]:
    """What is to be written; notes on it are printed to standard error."""
    files = [path for path in paths if path.is_file()]
    if format_.of_verdicts:
        if files:
            what = "expected a run directory, got a history file, which has no verdict"
            raise click.UsageError(f"{files[0]}: {what}; `dissever check` gives one")
        return [record_of_judged(judged_or_unknown(run), run, program()) for run in runs_in(paths)]
    if len(paths) > 1:
        what = f"{name} holds the history of one run"
        raise click.UsageError(f"{what}: expected one path, got {count_text(len(paths), 'path')}")
    (path,) = paths
    if files:
        record, notes = record_of_file(path)
    else:
        record, notes = record_of_run(RunPath().convert(path, None, None))
        if record.results is None:
            tell(f"note: no anomaly is marked, because {record.why_unjudged}")
    for note in notes:
        tell(f"note: {note}")
    return [record]


def _write(pieces: Iterator[bytes], output: Path, name: str, format_: Format) -> None:
    """
    Raises:
        OSError: When not everything can be written.
    """
    if output != STANDARD_OUTPUT:
        store.write_pieces(output, pieces)
    elif not sys.stdout.isatty():
        _print(pieces)
    elif format_.is_text:
        for text in _whole_lines(pieces):
            say(text)
    else:
        raise click.UsageError(f"{name} is binary: name a file with -o, or pipe it")


def _print(pieces: Iterable[bytes]) -> None:
    """Write bytes to standard output; a reader, such as `head`, may stop early."""
    out = sys.stdout.buffer
    try:
        out.writelines(pieces)
        out.flush()
    except BrokenPipeError:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), out.fileno())


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """The text of the pieces, cut at ends of lines."""
    rest = b""
    for piece in pieces:
        whole, _, rest = (rest + piece).rpartition(b"\n")
        if whole:
            yield whole.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")
