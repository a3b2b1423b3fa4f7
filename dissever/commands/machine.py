"""The commands about this machine: `list`, `doctor`, `heal`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dissever import doctor
from dissever.checkers import CHECKERS
from dissever.checkers.models import MODELS
from dissever.commands.output import EXIT_FAILED, print_json
from dissever.harness.cluster import backends
from dissever.harness.cluster.backends import Backend
from dissever.nemesis import FAULTS, TRIGGERS, Fault
from dissever.systems import SYSTEMS, load
from dissever.workloads import WORKLOADS


@click.command(name="list", short_help="Name the systems, workloads, faults, checkers, models.")
@click.argument("names", nargs=-1, metavar="[FAULT]...")
def list_(names: tuple[str, ...]) -> int:
    """
    Name everything there is, with one line each. With the name of a fault, show its targets and
    parameters.

    \b
    dissever list
    dissever list partition disk-error
    """
    if names:
        return _print_faults(names)
    _print_tables(
        (
            ("systems", _system_rows()),
            ("workloads", ((name, each.description) for name, each in WORKLOADS.items())),
            ("faults", ((name, each.description) for name, each in FAULTS.items())),
            ("triggers", ((name, each.description) for name, each in TRIGGERS.items())),
            ("checkers", CHECKERS.items()),
            ("models", ((name, each.description) for name, each in MODELS.items())),
        )
    )
    return 0
