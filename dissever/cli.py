"""
The command line. Its commands stand in `commands/`.

Exit status: 0 valid, 1 invalid, 2 unknown, 3 the harness or its environment failed, 64 wrong usage.
"""

from __future__ import annotations

import logging
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console
from rich.logging import RichHandler

from dissever import __version__
from dissever.commands.check import check, report
from dissever.commands.client_test import client_test
from dissever.commands.doom import doom_command
from dissever.commands.explore import explore_
from dissever.commands.export import export
from dissever.commands.gc import gc
from dissever.commands.listing import list_
from dissever.commands.machine import build_host, doctor, heal
from dissever.commands.output import EXIT_FAILED, EXIT_USAGE, tell
from dissever.commands.replay import replay
from dissever.commands.reproduce import reproduce
from dissever.commands.runs import runs_
from dissever.commands.serve import serve
from dissever.commands.shrink import shrink_command
from dissever.commands.streams import sturdy_streams
from dissever.commands.summary import summary
from dissever.commands.test import test
from dissever.harness.bugs import Bug
from dissever.harness.values import printable

LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
"""By how often -v is given."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and exit with its status: nothing that is printed can change that."""
    with _signals(), sturdy_streams():
        status = _status(arguments)
    sys.exit(status)


def _status(arguments: Sequence[str] | None) -> int:
    """Run a command; its exit status, with the reason printed where it came to nothing."""
    try:
        status = cli.main(args=arguments, prog_name="dissever", standalone_mode=False)
    except click.ClickException as error:
        tell(_message(error))
        return EXIT_USAGE if isinstance(error, click.UsageError) else EXIT_FAILED
    except (click.Abort, KeyboardInterrupt):
        tell("interrupted")
        return EXIT_FAILED
    except Bug as bug:  # Of the code that the run was given: the traceback is for its author.
        tell("".join(traceback.format_exception(bug.__cause__ or bug)).rstrip())
        tell(f"the run ended: {bug}")
        return EXIT_FAILED
    except SystemExit:  # Its status is no verdict: it is 0 where a library calls sys.exit().
        tell(traceback.format_exc().rstrip())
        tell("the code that the run was given ended the program, so there is no verdict")
        return EXIT_FAILED
    except Exception:  # A bug of ours. Python's own status, 1, would accuse the system.
        tell(traceback.format_exc().rstrip())
        tell("this is a bug of dissever, or of code that it was given")
        return EXIT_FAILED
    return status if isinstance(status, int) else 0


def _message(error: click.ClickException) -> str:
    """As click shows it; click itself would leave out what looks like a colour."""
    lines = [f"Error: {error.format_message()}"]
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"Try '{error.ctx.command_path} --help' for help.\n"
        lines = [error.ctx.get_usage(), hint, *lines]
    return "\n".join(lines)


@contextmanager
def _signals() -> Iterator[None]:
    """
    SIGTERM ends a command as Ctrl-C does, and what was begun is cleaned up. SIGHUP, when a terminal
    goes away, ends only a run under way, which is then judged: nothing else takes long.
    """
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, _go_on),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _go_on(number: int, frame: object) -> None:
    """Let the command come to its verdict."""


class _Printable(logging.Formatter):
    """Log lines tell what nodes and files said: nothing in them drives the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dissever")
@click.option("-v", "--verbose", count=True, help="Log phases and faults. Twice: every operation.")
def cli(verbose: int) -> None:
    """
    Break a replicated database on purpose, and judge what it answered.

    \b
    dissever doctor                                    what can run on this machine
    dissever test mykv.py -f partition,kill            your own system: see docs/doors.md
    dissever test compose.yaml --client myclient.py    a Compose project as it is
    dissever test simulated --bug stale-read           a demo, in a second
    dissever check runs/latest                         judge a recorded run again

    Exit status: 0 valid, 1 invalid, 2 unknown, 3 the harness or its environment failed, 64 wrong
    usage.
    """
    handler = RichHandler(console=Console(stderr=True), show_path=False)
    level = LEVELS[min(verbose, len(LEVELS) - 1)]
    handler.setFormatter(_Printable("%(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


for command in (
    *(test, explore_, replay, shrink_command, doom_command),
    *(client_test, check, report, summary, export, reproduce),
    *(runs_, gc, serve),
    *(list_, doctor, heal, build_host),
):
    cli.add_command(command)
