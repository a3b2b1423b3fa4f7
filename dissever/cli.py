"""
The command line. Its commands stand in `commands/`.

Exit status: 0 valid, 1 invalid, 2 unknown, 3 the harness or its environment failed, 64 wrong usage.
"""

from __future__ import annotations

import logging
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import click
from rich.console import Console
from rich.logging import RichHandler

from dissever import __version__
from dissever.commands.check import check, report
from dissever.commands.machine import doctor, heal, list_
from dissever.commands.output import EXIT_FAILED, EXIT_USAGE
from dissever.commands.reproduce import reproduce
from dissever.commands.test import test
from dissever.harness.bugs import Bug

LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
"""By how often -v is given."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and exit with its status."""
    # SIGTERM ends it as Ctrl-C does: whatever was begun is cleaned up.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = cli.main(args=arguments, prog_name="dissever", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(EXIT_FAILED)
    except Bug as bug:  # Of the code that the run was given: the traceback is for its author.
        traceback.print_exception(bug.__cause__ or bug)
        click.echo(f"the run ended: {bug}", err=True)
        sys.exit(EXIT_FAILED)
    except Exception:  # A bug of ours. Python's own status, 1, would accuse the system.
        traceback.print_exc()
        click.echo("this is a bug of dissever, or of code that it was given", err=True)
        sys.exit(EXIT_FAILED)
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(status if isinstance(status, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dissever")
@click.option("-v", "--verbose", count=True, help="Log phases and faults. Twice: every operation.")
def cli(verbose: int) -> None:
    """
    Break a replicated database on purpose, and judge what it answered.

    \b
    dissever doctor                                    what can run on this machine
    dissever test simulated --workload register --bug stale-read
    dissever test dqlite --workload register --faults partition,kill,pause
    dissever check runs/latest                         judge a recorded run again

    Exit status: 0 valid, 1 invalid, 2 unknown, 3 the harness or its environment failed, 64 wrong
    usage.
    """
    handler = RichHandler(console=Console(stderr=True), show_path=False)
    level = LEVELS[min(verbose, len(LEVELS) - 1)]
    logging.basicConfig(level=level, format="%(name)s: %(message)s", handlers=[handler], force=True)


for command in (test, check, report, reproduce, list_, doctor, heal):
    cli.add_command(command)
