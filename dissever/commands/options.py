"""Arguments and options that several commands have, one definition each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from dissever.commands.params import Duration, RunPath
from dissever.running import RUNS
from dissever.workers import JOBS_MAX

__all__ = [
    "JSON",
    "QUIET",
    "RUN",
    "SUMMARY",
    "jobs_option",
    "real_time_limit",
    "runs_option",
    "signature_option",
]

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

RUN: Final = click.argument("run", type=RunPath(), metavar="RUN")
"""A recorded run."""

QUIET: Final = click.option("--quiet", "-q", is_flag=True, help="Print only what came of it.")

JSON: Final = click.option(
    "--json",
    "is_json",
    is_flag=True,
    help="Print what came of it as JSON on standard output, and only that.",
)

SUMMARY: Final = click.option(
    "--summary",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a summary in Markdown. Without this option it is appended to the file that"
    " GITHUB_STEP_SUMMARY names, if that is set.",
)
"""Of commands that end with `conclude`."""


def jobs_option(what: str) -> Decorator:
    """How many of those go on at a time; None where nobody says."""
    return click.option(
        "--jobs",
        "-j",
        type=click.IntRange(1, JOBS_MAX),
        metavar="N",
        help=f"How many {what} at a time, each in a process of its own. By default one for each CPU"
        " if the system is simulated. Real nodes disturb each other, so there it is 1.",
    )


def real_time_limit(*names: str, purpose: str) -> Decorator:
    """After what time of the real clock something ends; None where nobody says."""
    return click.option(*names, type=Duration("time_limit_s"), help=purpose)


def runs_option(purpose: str) -> Decorator:
    """The folder of runs."""
    return click.option(
        "--runs",
        type=click.Path(path_type=Path, file_okay=False),
        default=RUNS,
        show_default=True,
        help=purpose,
    )


def signature_option(purpose: str) -> Decorator:
    """A failure of a run; empty where nobody says."""
    return click.option("--signature", default="", metavar="TEXT", help=purpose)
