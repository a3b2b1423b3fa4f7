"""
What commands print: every text by way of here, so that nothing in it drives the terminal.

The verdict comes with commands that can be typed. Where the words go is for `streams.py`.
"""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console

from dissever.commands import github
from dissever.configuration import here
from dissever.harness.values import printable
from dissever.judging import Judged
from dissever.reports import EXIT_FAILED, EXIT_STATUS, Entry, entry, overview, summary

__all__ = [
    "EXIT_FAILED",
    "EXIT_STATUS",
    "EXIT_USAGE",
    "conclude",
    "entry_of",
    "hushed",
    "print_json",
    "print_verdict",
    "program",
    "say",
    "tell",
]

EXIT_USAGE: Final = 64

NAME: Final = "dissever"


@contextmanager
def hushed() -> Iterator[None]:
    """What single runs log is left out without --verbose: the counts say it."""
    log = logging.getLogger("dissever")
    before = log.level
    if not logging.getLogger().isEnabledFor(logging.INFO):
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def program(*, is_near: bool = True) -> str:
    """
    How the reader can start dissever from where they stand: its name, or the path to it.

    Args:
        is_near: Whether they stand in the current directory, so that the path may start there.
    """
    own = Path(sys.argv[0])
    if own.name != NAME or not own.is_file():
        return f"{shlex.quote(_path(Path(sys.executable), is_near=is_near))} -m {NAME}"
    found = shutil.which(NAME)
    if found is not None and Path(found).samefile(own):
        return NAME
    return shlex.quote(_path(own, is_near=is_near))


def _path(path: Path, *, is_near: bool) -> str:
    """Relative to the current directory, if it is inside; as it is where that directory is gone."""
    try:
        absolute = path.absolute()
    except FileNotFoundError:
        return str(path)
    is_inside = is_near and absolute.is_relative_to(here())
    return str(absolute.relative_to(here())) if is_inside else str(absolute)


def say(text: object) -> None:
    """Print a text on standard output; its line ends stay."""
    click.echo(printable(str(text), keep="\n"))


def tell(text: object) -> None:
    """Print a text on standard error; its line ends stay."""
    click.echo(printable(str(text), keep="\n"), err=True)


def print_json(value: Any) -> None:
    """A value as JSON, and nothing else, on standard output."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    click.echo(_in_json(text))


def _in_json(text: str) -> str:
    """JSON with what must not reach a terminal as escapes of JSON."""
    return "".join(each if each.isprintable() or each == "\n" else _escape(each) for each in text)


def _escape(character: str) -> str:
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def print_verdict(judged: Judged, page: Path | None, run: Path | None = None) -> None:
    """The summary of what was judged, with commands that work from here."""
    subject = judged.subject.seen_from(here())
    text = summary(
        subject,
        judged.history,
        judged.results,
        page,
        judged.figures,
        run=run,
        program=program(is_near=not subject.directory),
    )
    Console().print(text, highlight=False, soft_wrap=True)


def entry_of(judged: Judged, directory: Path, page: Path | None) -> Entry:
    """A run that was judged, for an overview of several, with a command that works anywhere."""
    return entry(
        judged.subject,
        judged.history,
        judged.results,
        judged.figures,
        directory=str(directory),
        page=None if page is None else str(page),
        program=program(is_near=not judged.subject.directory),
    )


def conclude(
    entries: Sequence[Entry], *, is_json: bool, summary: Path | None, failed: str = ""
) -> int:
    """
    The end of a command that made or read runs: the exit status, which is the greatest verdict.

    Args:
        is_json: Whether to print the overview as JSON on standard output.
        summary: Where to write a summary in Markdown; None: only where a CI server asks for one.
        failed: Why a further run could not be made; the status is then 3, unless it is 1.
    """
    runs = overview(entries, failed)
    if is_json:
        print_json(runs)
    for problem in github.publish(runs, summary):
        tell(problem)
    return runs.exit_status
